# SPDX-License-Identifier: Apache-2.0
"""How a path of element names leads through the types of R4.

For a type to start from, the definitions say what each step means: the name in JSON, and the type of what is there. So
the way is worked out once for each type that a path meets, and followed without asking again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from salus.fhir.fhirpath.elements import Element, Form, table
from salus.fhir.fhirpath.types import is_a
from salus.fhir.fhirpath.typing import TypeTester


class Leg(NamedTuple):
    """A step of a path to the elements of a name.

    Attributes:
        name: as FHIRPath says it.
        only: the type of `ofType` or `as` behind it.
    """

    name: str
    only: TypeTester | None = None


class Route(NamedTuple):
    """The way from a type.

    Attributes:
        hops: the steps that are the same for all content of the type.
        fork: the element behind them that is not: a choice of types, a resource in a resource, an element of a
            primitive. None where there is none.
        only: which types of the fork count.
        rest: the steps behind the fork.
    """

    hops: tuple[Form, ...]
    fork: Element | None = None
    only: TypeTester | None = None
    rest: tuple[Leg, ...] = ()


NOWHERE: Final = None
"""The way from a type that has no such elements."""


def route(kind: str, legs: Sequence[Leg], start: str = "") -> Route | None:
    """The way from a type.

    Args:
        kind: a FHIR type.
        legs: the steps.
        start: the type that the path names at its beginning.

    Returns:
        None when the type is another, or has no such elements.
    """
    if start and not is_a(kind, start):
        return NOWHERE
    hops: list[Form] = []
    for at, (name, only) in enumerate(legs):
        element = table(kind).elements.get(name)
        if element is None:
            return NOWHERE
        if not element.of_primitive and element.forms[0][2] != "Resource":
            forms = [form for form in element.forms if only is None or only.takes(form[2])]
            if not forms:
                return NOWHERE
            if len(forms) == 1:
                hops.append(forms[0])
                kind = forms[0][2]
                continue
        return Route(tuple(hops), element, only, tuple(legs[at + 1 :]))
    return Route(tuple(hops))
