# SPDX-License-Identifier: Apache-2.0
"""Which parts of a path are one step: syntax in, syntax out.

A run of names is a `Trail`, with the types that `ofType` and `as` narrow them to, and with `exists()` or `empty()` at
its end. Whether it may come as plain values depends on what follows: `given.first().length()` asks only what the name
says, `given.first().extension` does not.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from salus.fhir.fhirpath.functions import FUNCTIONS
from salus.fhir.fhirpath.functions.calling import Input
from salus.fhir.fhirpath.syntax import Call, Member, Part, Path, Syntax, TypeTest

_NARROWING: Final = frozenset({"as", "ofType"})
_PRESENCE: Final = frozenset({"exists", "empty"})


class Trail(NamedTuple):
    """A run of names.

    Attributes:
        start: the type at the beginning of the path, as in `Patient.name`; or "".
        names: each with the call that narrows it to a type.
        asked: `exists` or `empty` when only that is asked; or "".
        plain: whether plain values will do.
    """

    start: str
    names: list[tuple[str, Call | None]]
    asked: str = ""
    plain: bool = False


def joined(start: Syntax | None, parts: tuple[Part, ...]) -> tuple[Syntax | None, tuple[Part, ...]]:
    """A path that starts with a path, as one: `(a.b).c`, `(a as Quantity).b`."""
    while True:
        if isinstance(start, TypeTest) and start.operator == "as":
            said = Path(None, tuple(Member(name, start.at) for name in start.type.split(".")))
            parts = (Call("as", (said,), start.at), *parts)
            start = start.operand
        elif isinstance(start, Path):
            parts = start.steps + parts
            start = start.start
        else:
            return start, parts


def grouped(parts: tuple[Part, ...], *, first: bool, plain: bool) -> list[Trail | Part]:
    """The parts of a path with its trails.

    Args:
        parts: in order.
        first: whether a path begins here, so that a name may be that of a type.
        plain: whether plain values will do for what the path finds.
    """
    found: list[Trail | Part] = []
    for part in parts:
        before = found[-1] if found else None
        trail = before if isinstance(before, Trail) and not before.asked else None
        if isinstance(part, Member):
            if trail is not None:
                trail.names.append((part.name, None))
            elif first and not found and part.name[:1].isupper():
                found.append(Trail(part.name, []))
            else:
                found.append(Trail("", [(part.name, None)]))
        elif trail is None or not trail.names or not isinstance(part, Call):
            found.append(part)
        elif part.name in _NARROWING and trail.names[-1][1] is None:
            trail.names[-1] = (trail.names[-1][0], part)
        elif part.name in _PRESENCE and not part.arguments:
            found[-1] = trail._replace(asked=part.name)
        else:
            found.append(part)
    return _marked(found, plain=plain)


def _marked(parts: list[Trail | Part], *, plain: bool) -> list[Trail | Part]:
    """The trails that may come as plain values, marked."""
    found: list[Trail | Part] = []
    for part in reversed(parts):
        if isinstance(part, Trail):
            found.append(part._replace(plain=plain))
            plain = False
            continue
        found.append(part)
        if isinstance(part, Call):
            asks = FUNCTIONS[part.name].asks if part.name in FUNCTIONS else Input.ELEMENTS
            plain = asks is Input.VALUES or (asks is Input.AS_ASKED and plain)
    return found[::-1]
