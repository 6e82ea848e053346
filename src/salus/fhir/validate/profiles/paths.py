# SPDX-License-Identifier: Apache-2.0
"""The paths of discriminators: the small part of FHIRPath that slicing may use, in definitions and in resources.

Element names, `$this`, `extension(url)`, `resolve()`, `ofType(type)`
(https://hl7.org/fhir/R4/profiling.html#discriminator).
"""

from __future__ import annotations

import re
from functools import cache
from typing import Final, NamedTuple, Protocol

from salus.fhir.definitions import structure
from salus.fhir.validate.profiles.element import PREFIX, Element, TypeRef, UnknownPathError
from salus.fhir.validate.profiles.run import Item, Run, children

_STEP: Final = re.compile(
    r"\.?(?:(?P<this>\$this)|(?P<resolve>resolve\(\))|extension\(\s*'(?P<url>[^']*)'\s*\)"
    r"|ofType\(\s*(?:FHIR\.)?(?P<type>\w+)\s*\)|(?P<name>\w+)(?:\[x\])?)"
)


class Step(NamedTuple):
    """One step: `kind` is `name`, `extension`, `resolve` or `type`."""

    kind: str
    word: str = ""


class Trees(Protocol):
    """Profiles as trees."""

    def tree(self, canonical: str) -> Element | None:
        """The tree of a profile; None when it is not known."""
        ...

    def type_of(self, canonical: str) -> str:
        """The type that a profile constrains; "" when it is not known."""
        ...


@cache
def steps(path: str) -> tuple[Step, ...] | None:
    """A discriminator's path taken apart; None when it is more than the part of FHIRPath that is allowed here."""
    found: list[Step] = []
    at = 0
    path = path.strip()
    while at < len(path):
        match = _STEP.match(path, at)
        if match is None:
            return None
        at = match.end()
        if match["resolve"]:
            found.append(Step("resolve"))
        elif match["url"] is not None:
            found.append(Step("extension", match["url"]))
        elif match["type"]:
            found.append(Step("type", match["type"]))
        elif match["name"]:
            found.append(Step("name", match["name"]))
    return tuple(found)


def located(trees: Trees, element: Element, path: tuple[Step, ...]) -> list[Element]:
    """The definitions that a path leads to from an element or slice; more than one where profiles offer a choice."""
    if not path:
        return [element]
    step, rest = path[0], path[1:]
    if step.kind == "type":
        one = element.slices.get(element.name.removesuffix("[x]") + step.word[:1].upper() + step.word[1:])
        return located(trees, one or element, rest)
    if step.kind == "resolve":
        found: list[Element] = []
        for ref in element.types:
            for target in ref.targets:
                tree = trees.tree(target) or _bare(target)
                if tree is not None:
                    found += located(trees, tree, rest)
        return found
    if step.kind == "extension":
        return _extension(trees, element, step.word, rest)
    own = _child(element, step.word)
    given = _within(element, step.word)
    if given and (own is None or not said(own)):
        return [one for each in given for one in located(trees, each, rest)]
    profiles = [tree for ref in element.types for url in ref.profiles if (tree := trees.tree(url)) is not None]
    if profiles and (own is None or not said(own)):
        return [one for tree in profiles for one in located(trees, tree, path)]
    return located(trees, own, rest) if own is not None else []


def said(element: Element) -> bool:
    """Whether a definition says more about an element than R4 does."""
    return bool(
        element.values
        or element.binding
        or element.slices
        or (element.base is not None and (element.min, element.max) != (element.base.min, element.base.max))
        or any(said(child) for child in element.children.values())
    )


def selected(run: Run, item: Item, path: tuple[Step, ...]) -> list[Item]:
    """The values that a path leads to from an item of a resource."""
    found = [item]
    for step in path:
        if step.kind == "name":
            found = [one for each in found for one in children(each, step.word)]
        elif step.kind == "extension":
            every = [one for each in found for one in children(each, "extension")]
            found = [one for one in every if type(one.value) is dict and one.value.get("url") == step.word]
        elif step.kind == "type":
            found = [one for one in found if one.type == step.word]
        else:
            found = [target for each in found if (target := resolved(run, each)) is not None]
    return found


def resolved(run: Run, item: Item) -> Item | None:
    """What a reference points to; without content when only its type is known."""
    literal = item.value.get("reference") if type(item.value) is dict else None
    if type(literal) is not str:
        stated = item.value.get("type") if type(item.value) is dict else None
        return Item(stated, None, None, item.place) if type(stated) is str else None
    target = run.find(literal, run.root)
    if target is not None:
        return Item(str(target.get("resourceType")), target, None, item.place)
    parts = literal.split("/_history/")[0].split("/")
    kind = parts[-2] if len(parts) > 1 else ""
    return Item(kind, None, None, item.place) if kind in structure().types else None


def _within(element: Element, name: str) -> list[Element]:
    """The children that a fixed value or pattern of the whole implies."""
    found: list[Element] = []
    for kind in ("fixed", "pattern"):
        whole = element.values.get(kind)
        value = whole.get(name) if type(whole) is dict else None
        every = value if type(value) is list else [value]
        found += [Element(name, values={kind: one}) for one in every if one is not None]
    return found


def _child(element: Element, name: str) -> Element | None:
    try:
        return element.child(name)
    except UnknownPathError:
        return None


def _extension(trees: Trees, element: Element, url: str, rest: tuple[Step, ...]) -> list[Element]:
    holder = _child(element, "extension")
    for one in holder.slices.values() if holder is not None else ():
        if extension_url(trees, one) == url:
            return located(trees, one, rest)
    if holder is None or rest:
        tree = trees.tree(url)
        return located(trees, tree, rest) if tree is not None else []
    return [holder]


def extension_url(trees: Trees, element: Element) -> str:
    """The url of the extensions that a slice of `extension` is for; "" when it does not say."""
    own = element.children.get("url")
    if own is not None and type(own.values.get("fixed")) is str:
        return str(own.values["fixed"])
    for ref in element.types:
        for profile in ref.profiles:
            tree = trees.tree(profile)
            fixed = tree.child("url").values.get("fixed") if tree is not None and tree.table == "Extension" else None
            return fixed if type(fixed) is str else profile.partition("|")[0]
    return ""


def _bare(canonical: str) -> Element | None:
    """A type of R4 as a tree that says nothing more."""
    name = canonical.partition("|")[0].removeprefix(PREFIX)
    return Element(name, name, types=(TypeRef(name),)) if name in structure().types else None
