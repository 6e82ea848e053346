# SPDX-License-Identifier: Apache-2.0
"""One check of one resource against profiles: what is met on the way, and where.

Places are chained tuples and become text only when something is wrong, because usually nothing is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple, Protocol

from salus.fhir.validate.finding import Finding, Severity
from salus.fhir.validate.members import Member, members

Json = dict[str, Any]
# Place above, step, index or -1.
Place = tuple[Any, str, int]

_ABSTRACT: Final = frozenset({"Resource", "DomainResource"})


class Item(NamedTuple):
    """One value of an element.

    Attributes:
        type: type code, or path of a backbone element; the resource type for a resource.
        value: as in JSON; None when a primitive has only its sibling.
        sibling: the object that carries id and extensions of a primitive.
        place: where it stands.
    """

    type: str
    value: Any
    sibling: Any
    place: Place


class Conforming(Protocol):
    """Checkers by canonical."""

    def conforms(self, run: Run, item: Item, canonical: str) -> bool | None:
        """Whether an item fulfils a profile, reported to the run; None when the profile is not known."""
        ...


Finder = Callable[[str, Any], "Json | None"]


class Run:
    """What a check carries along.

    Args:
        root: the resource under which local references resolve.
        find: gives the resource that a reference means, if it is at hand.
        member: whether a code is in a value set: (value set, system, code) -> answer or None.
        profiles: the checkers, for profiles that profiles name.
        silent: findings are only counted.
    """

    def __init__(
        self,
        root: Json,
        find: Finder,
        member: Callable[[str, str, str], bool | None],
        profiles: Conforming,
        *,
        silent: bool = False,
        depth: int = 0,
    ) -> None:
        self.root = root
        self.find = find
        self.member = member
        self.profiles = profiles
        self.silent = silent
        self.depth = depth
        self.failed = False
        self.found: list[Finding] = []

    def hushed(self) -> Run:
        """A run beside this one that answers only whether anything is wrong."""
        return Run(self.root, self.find, self.member, self.profiles, silent=True, depth=self.depth + 1)

    def report(self, place: Place, code: str, words: str, severity: Severity = Severity.ERROR) -> None:
        """Note a finding; `words` go on after the place."""
        if severity is Severity.ERROR:
            self.failed = True
        if not self.silent:
            said = render(place)
            self.found.append(Finding(severity, code, f"`{said}` {words}.", said))


def render(place: Place | None) -> str:
    """FHIRPath of a place."""
    steps = []
    while place is not None:
        above, step, index = place
        steps.append(step if index < 0 else f"{step}[{index}]")
        place = above
    return ".".join(reversed(steps))


def items(parent: Json, wanted: tuple[Member, ...], place: Place) -> Iterator[Item]:
    """The values of one element, in their order.

    Args:
        parent: the object that has the element.
        wanted: the JSON names it may go by, without those of siblings.
        place: of the parent.
    """
    for name, step, kind, primitive, _, known in wanted:
        value = parent.get(name)
        sibling = parent.get("_" + name) if primitive else None
        if value is None and sibling is None:
            continue
        if not known.many:
            yield _item(kind, value, sibling, (place, step, -1))
            continue
        values = value if type(value) is list else []
        siblings = sibling if type(sibling) is list else []
        for index in range(max(len(values), len(siblings))):
            one = values[index] if index < len(values) else None
            other = siblings[index] if index < len(siblings) else None
            if one is not None or other is not None:
                yield _item(kind, one, other, (place, step, index))


def _item(kind: str, value: Any, sibling: Any, place: Place) -> Item:
    if kind in _ABSTRACT and type(value) is dict:
        kind = value.get("resourceType", kind)
    return Item(kind, value, sibling, place)


def inside(item: Item) -> Json | None:
    """The object whose members are the children of an item."""
    if type(item.value) is dict:
        return item.value
    return item.sibling if type(item.sibling) is dict else None


def children(item: Item, name: str) -> list[Item]:
    """The values of a child of an item, by its name in FHIRPath: `value` for `value[x]`."""
    parent = inside(item)
    if parent is None:
        return []
    kind = item.type if type(item.value) is dict else "Element"
    try:
        known = members(kind.removeprefix("#"))
    except KeyError:
        return []
    wanted = tuple(m for m in known.values() if not m.sibling and m.field.name.removesuffix("[x]") == name)
    return list(items(parent, wanted, item.place))
