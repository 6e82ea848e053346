# SPDX-License-Identifier: Apache-2.0
"""Types by name: which there are, and which is a kind of which (https://hl7.org/fhirpath/N1/#types).

FHIR types are named as R4 names them, backbone elements by their path (`Patient.contact`); types of FHIRPath itself
have the prefix `System.`.
"""

from __future__ import annotations

from functools import cache
from typing import Final, NamedTuple

from salus.fhir.definitions import PRIMITIVES, structure

SYSTEM: Final = frozenset({"Boolean", "String", "Integer", "Decimal", "Date", "DateTime", "Time", "Quantity", "Any"})
# Data types that specialise another than Element or BackboneElement: https://hl7.org/fhir/R4/datatypes.html#Quantity.
_QUANTITIES: Final = frozenset({"Age", "Count", "Distance", "Duration"})


class TypeInfo(NamedTuple):
    """What `type()` gives: namespace `System` or `FHIR`, and the name in it."""

    namespace: str
    name: str

    @property
    def base(self) -> str:
        """Qualified name of the type that it specialises."""
        if self.namespace == "System":
            return "System.Any"
        above = ancestors(self.name)
        return f"FHIR.{above[1]}" if len(above) > 1 else "System.Any"


def info(name: str) -> TypeInfo:
    """Namespace and name of a type; a backbone element is a `BackboneElement` or `Element`."""
    if name.startswith("System."):
        return TypeInfo("System", name[7:])
    return TypeInfo("FHIR", ancestors(name)[1] if "." in name else name)


@cache
def ancestors(name: str) -> tuple[str, ...]:
    """A FHIR type and all that it specialises, nearest first.

    Args:
        name: a type of `salus.fhir.definitions`, or a primitive; of an unknown one only itself comes back.
    """
    if name in PRIMITIVES:
        base = structure().primitives[name].base
        return (name, *(ancestors(base) if base in PRIMITIVES else ("Element",)))
    kind = structure().types.get(name)
    if kind is None:
        return (name,)
    if name in ("Resource", "Element"):
        return (name,)
    if kind.kind == "resource":
        domain = name != "DomainResource" and any(field.name == "contained" for field in kind.fields)
        return (name, *(("DomainResource",) if domain else ()), "Resource")
    if name in _QUANTITIES:
        return (name, "Quantity", "Element")
    backbone = name != "BackboneElement" and any(field.name == "modifierExtension" for field in kind.fields)
    return (name, *(("BackboneElement",) if backbone else ()), "Element")


@cache
def is_known(name: str) -> bool:
    """Whether R4 has a type of this name."""
    return name in PRIMITIVES or name in structure().types


def is_a(name: str, wanted: str) -> bool:
    """Whether a FHIR type is another or specialises it."""
    return name == wanted or wanted in ancestors(name)
