# SPDX-License-Identifier: Apache-2.0
"""`is`, `as` and `ofType` (https://hl7.org/fhirpath/N1/#types-and-reflection).

A name without namespace means the type of FHIR if there is one, else that of FHIRPath: `Patient` and `string` are
FHIR's, `String` and `Integer` are FHIRPath's, `Quantity` is either. `is` counts specialisations. `as` and `ofType`
take primitives exactly by their type, so that a `code` is no `string` there, as HL7's tests have it; other types with
their specialisations.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from salus.fhir.definitions import PRIMITIVES
from salus.fhir.fhirpath.context import Collection, Context, fault
from salus.fhir.fhirpath.convert import type_name
from salus.fhir.fhirpath.functions.calling import Step
from salus.fhir.fhirpath.lexer import wrong
from salus.fhir.fhirpath.node import Node
from salus.fhir.fhirpath.operators import EMPTY, FALSE, TRUE
from salus.fhir.fhirpath.types import SYSTEM, is_a, is_known

_BOTH: Final = "Quantity"  # the one name that both have


class TypeTester(NamedTuple):
    """Decides whether an item is of a type.

    Attributes:
        fhir: FHIR type, or "".
        system: `System.` type, or "".
    """

    fhir: str
    system: str

    def matches(self, item: Any, *, exactly: bool = False) -> bool:
        """Whether an item is of the type; `exactly` leaves specialised primitives out."""
        if type(item) is not Node:
            return bool(self.system) and self.system in (type_name(item), "System.Any")
        if not self.fhir:
            return False
        return self.takes(item.type) if exactly else is_a(item.type, self.fhir)

    def takes(self, kind: str) -> bool:
        """Whether elements of a FHIR type count as this one for `as` and `ofType`."""
        return kind == self.fhir if kind in PRIMITIVES else bool(self.fhir) and is_a(kind, self.fhir)


def meaning(name: str, place: int, *, loose: bool = False) -> TypeTester:
    """What a type name means.

    Args:
        name: `Patient`, `FHIR.Patient`, `System.String`.
        place: position in the expression, for the error.
        loose: let `DateTime` mean FHIR's `dateTime` too, as R4 does in its search parameters (`as DateTime`, `as Uri`).

    Raises:
        Problem: INCORRECT when there is no such type. Of the namespace `System`, unknown types have no instances.
    """
    namespace, _, plain = name.rpartition(".")
    if namespace == "System":
        return TypeTester("", "System." + plain)
    if namespace not in ("", "FHIR"):
        wrong(place, "types are of the namespace FHIR or System")
    if is_known(plain):
        return TypeTester(plain, "System.Quantity" if plain == _BOTH and not namespace else "")
    own = plain[:1].lower() + plain[1:]
    if loose and not namespace and own in PRIMITIVES:
        return TypeTester(own, "System." + plain)
    if plain in SYSTEM and not namespace:
        return TypeTester("", "System." + plain)
    return wrong(place, "there is no such type")


def is_type(test: TypeTester) -> Step:
    """`is`: of a single item."""

    def run(items: Collection, _: Context) -> Collection:
        if not items:
            return EMPTY
        if len(items) > 1:
            fault("`is` takes a single item")
        return TRUE if test.matches(items[0]) else FALSE

    return run


def as_type(test: TypeTester, *, strict: bool) -> Step:
    """`as`: the item if it is of the type. Not strict, it filters, as R4's own constraints expect."""
    filtered = of_type(test)

    def run(items: Collection, ctx: Context) -> Collection:
        if strict and len(items) > 1:
            fault("`as` takes a single item")
        return filtered(items, ctx)

    return run


def of_type(test: TypeTester) -> Step:
    """`ofType`: the items of the type."""
    known: dict[str, bool] = {}

    def run(items: Collection, _: Context) -> Collection:
        found: Collection = []
        for item in items:
            if type(item) is Node:
                fits = known.get(item.type)
                if fits is None:
                    fits = known[item.type] = test.matches(item, exactly=True)
            else:
                fits = test.matches(item)
            if fits:
                found.append(item)
        return found

    return run
