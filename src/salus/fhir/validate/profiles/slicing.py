# SPDX-License-Identifier: Apache-2.0
"""Which slice an item belongs to, and how many there may be (https://hl7.org/fhir/R4/profiling.html#slicing)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from salus.fhir.validate.profiles.bindings import is_member
from salus.fhir.validate.profiles.element import PREFIX, Element
from salus.fhir.validate.profiles.paths import Step, Trees, extension_url, located, selected, steps
from salus.fhir.validate.profiles.run import Item, Run, children, inside
from salus.fhir.validate.profiles.values import equal, fits

Json = dict[str, Any]
Test = Callable[[Run, Item], bool]

_BY_URL: Final = ({"type": "value", "path": "url"},)
_BY_TYPE: Final = ({"type": "type", "path": "$this"},)


class Matcher(NamedTuple):
    """How to tell whether an item belongs to a slice.

    Attributes:
        url: url of an extension, when that is all there is to ask.
        tests: all must say yes.
    """

    url: str
    tests: tuple[Test, ...]

    def matches(self, run: Run, item: Item) -> bool:
        """Whether the item belongs to the slice."""
        if self.url:
            return type(item.value) is dict and item.value.get("url") == self.url
        return all(test(run, item) for test in self.tests)


def matcher(trees: Trees, sliced: Element, one: Element, conforms: Test) -> Matcher:
    """The matcher of one slice.

    Args:
        sliced: the element with its `slicing`.
        one: the slice.
        conforms: whether an item fulfils everything that the slice says: asked where no discriminator helps.
    """
    said = (sliced.slicing or {}).get("discriminator") or _usual(sliced, one)
    if sliced.name in ("extension", "modifierExtension") and [d.get("path") for d in said] == ["url"]:
        url = extension_url(trees, one)
        if url:
            return Matcher(url, ())
    tests = []
    for discriminator in said:
        path = steps(str(discriminator.get("path", "$this")))
        test = None if path is None else _test(trees, one, str(discriminator.get("type", "value")), path)
        tests.append(test or conforms)
    return Matcher("", tuple(tests) or (conforms,))


def _usual(sliced: Element, one: Element) -> tuple[Json, ...]:
    """The discriminator where none is said: url for extensions, type for choices."""
    if sliced.name in ("extension", "modifierExtension"):
        return _BY_URL
    return _BY_TYPE if sliced.name.endswith("[x]") and len(one.types) < len(sliced.types) else ()


def _test(trees: Trees, one: Element, kind: str, path: tuple[Step, ...]) -> Test | None:
    if kind == "exists":
        return _exists(trees, one, path)
    if kind == "type":
        return _types(trees, one, path)
    if kind == "profile":
        return _profile(trees, one, path)
    tests = [test for found in located(trees, one, path) if (test := value_test(trees, found)) is not None]
    if not tests:
        return None
    return lambda run, item: any(test(run, each) for each in selected(run, item, path) for test in tests)


def _exists(trees: Trees, one: Element, path: tuple[Step, ...]) -> Test | None:
    found = located(trees, one, path)
    if found and found[0].max == "0":
        return lambda run, item: not selected(run, item, path)
    if found and (found[0].min or 0) > 0:
        return lambda run, item: bool(selected(run, item, path))
    return None


def _types(trees: Trees, one: Element, path: tuple[Step, ...]) -> Test | None:
    if path and path[-1].kind == "resolve":
        before = located(trees, one, path[:-1])
        wanted = {trees.type_of(target) for found in before for ref in found.types for target in ref.targets}
    else:
        wanted = {ref.code for found in located(trees, one, path) for ref in found.types}
        wanted |= {
            trees.type_of(profile)
            for found in located(trees, one, path)
            for ref in found.types
            if ref.code in ("Resource", "DomainResource")
            for profile in ref.profiles
        }
    wanted -= {""}
    if not wanted or wanted & {"Resource", "DomainResource"}:
        return None
    return lambda run, item: any(each.type in wanted for each in selected(run, item, path))


def _profile(trees: Trees, one: Element, path: tuple[Step, ...]) -> Test | None:
    if path and path[-1].kind == "resolve":
        before = located(trees, one, path[:-1])
        wanted = [target for found in before for ref in found.types for target in ref.targets]
    else:
        wanted = [profile for found in located(trees, one, path) for ref in found.types for profile in ref.profiles]
    if not wanted:
        return None

    def test(run: Run, item: Item) -> bool:
        for each in selected(run, item, path):
            for canonical in wanted:
                kind = trees.type_of(canonical)
                if kind and each.type != kind:
                    continue
                if each.value is None or canonical.removeprefix(PREFIX) == kind:
                    return True
                hushed = run.hushed()
                if run.profiles.conforms(hushed, each, canonical) and not hushed.failed:
                    return True
        return False

    return test


def value_test(trees: Trees, element: Element, depth: int = 0) -> Test | None:
    """Whether a value has what a definition fixes: by fixed value, pattern, binding, or those of its children."""
    values = element.values
    if "fixed" in values:
        fixed = values["fixed"]
        return lambda run, item: equal(item.value, fixed)
    if "pattern" in values:
        pattern = values["pattern"]
        return lambda run, item: fits(item.value, pattern)
    if depth > 6:
        return None
    parts: list[tuple[str, bool, Test | None]] = []
    for child in element.children.values():
        test = value_test(trees, child, depth + 1)
        needed = (child.min or 0) > (child.base.min if child.base is not None else 0)
        if test is not None or (needed and depth):
            parts.append((child.name.removesuffix("[x]"), (child.min or 0) > 0, test))
        for one in child.slices.values():
            inner = value_test(trees, one, depth + 1)
            if inner is not None and (one.min or 0) > 0:
                parts.append((child.name.removesuffix("[x]"), True, inner))
    if any(test is not None for _, _, test in parts):
        return _of_children(tuple(parts))
    if element.binding is not None and element.base_binding() != element.binding[1]:
        value_set = element.binding[1]
        # What cannot be told is taken for a match: it is not the record's fault that a code system is not here.
        return lambda run, item: is_member(run, item, value_set) is not False
    for ref in element.types:
        for profile in ref.profiles:
            tree = trees.tree(profile)
            test = value_test(trees, tree, depth + 1) if tree is not None else None
            if test is not None:
                return test
    return None


def _of_children(parts: tuple[tuple[str, bool, Test | None], ...]) -> Test:
    def test(run: Run, item: Item) -> bool:
        if inside(item) is None:
            return False
        for name, needed, wanted in parts:
            found = children(item, name)
            if not found:
                if needed:
                    return False
            elif wanted is not None and not any(wanted(run, one) for one in found):
                return False
        return True

    return test
