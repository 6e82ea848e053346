# SPDX-License-Identifier: Apache-2.0
"""Whose record is this? The patient compartment of R4.

A record belongs to the patients that it points to through the elements which the CompartmentDefinition
lists for its type, in the record itself or in a resource contained in it. A Patient belongs to itself
alone: a link to another Patient does not make either see the other's records, which is narrower than the
definition's words and on purpose. Elements not listed, such as `Observation.focus`, never confer
membership, and neither does a logical reference (identifier only) or a reference to another server.

A Bundle belongs to the patients of its entries, which R4 leaves open: a document or a message that is kept must not be
easier to see than what is in it. So do a Device, a Contract and a GuidanceResponse to the patient that they name: the
definition leaves them out, but an implant is as personal as the operation that put it there. Searches in a compartment
and `$everything` keep to the definition.

https://hl7.org/fhir/R4/compartmentdefinition-patient.html
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from salus.fhir.references import local_reference
from salus.fhir.search.parameters import parameters, spots
from salus.fhir.search.spots import Spot
from salus.fhir.search.table import table
from salus.fhir.search.tree import generate

BESIDE: dict[str, tuple[str, ...]] = {
    "Contract": ("patient",),
    "Device": ("patient",),
    "GuidanceResponse": ("patient",),
}
"""By type outside the definition, codes of the parameters that say whose a record is."""

_References = Callable[[dict[str, Any]], list[str]]


@cache
def compartment_types() -> tuple[str, ...]:
    """Resource types that can be in a patient's compartment, Patient included, sorted."""
    return tuple(sorted(table().compartment))


class PatientCompartment:
    """Tells the patients of a record.

    Args:
        bases: the server's own base URLs; an absolute reference under one of them counts like a relative one.
    """

    def __init__(self, bases: Sequence[str] = ()) -> None:
        self._bases = tuple(bases)

    def patients(self, resource: dict[str, Any]) -> tuple[str, ...]:
        """Sorted ids of the patients whose compartment holds a validated resource; empty for nobody's."""
        if resource["resourceType"] == "Patient":
            return (resource["id"],) if "id" in resource else ()
        if resource["resourceType"] == "Bundle":
            inside = (entry["resource"] for entry in resource.get("entry", ()) if "resource" in entry)
            return tuple(sorted({id_ for inner in inside for id_ in self.patients(inner)}))
        found = _reader(resource["resourceType"])(resource)
        for inner in resource.get("contained", ()):
            if inner["resourceType"] != "Patient":
                found += _reader(inner["resourceType"])(inner)
        if not found:
            return ()
        local = [local_reference(text, self._bases) for text in found]
        ids = {target[1] for target in local if target is not None and target[0] == "Patient"}
        return tuple(sorted(ids))


@cache
def _reader(type_: str) -> _References:
    """A generated function that lists the references of a type that can confer membership."""
    codes = table().compartment.get(type_) or BESIDE.get(type_, ())
    families = {family for code in codes for family in parameters(type_)[code].families}
    read = [
        (spot, False)
        for spot in (spots(type_) if codes else ())
        if spot.kind == "reference" and spot.leaf.datatype == "Reference" and spot.leaf.family in families
    ]
    lines = ["def references(r):", " out = []", *generate(read, _collect), " return out"]
    names: dict[str, _References] = {}
    exec(compile("\n".join(lines), f"<patients of {type_}>", "exec"), names)  # noqa: S102  from definitions only
    return names["references"]


def _collect(_spot: Spot, name: str) -> list[str]:
    return [f"k = {name}.get('reference')", "if k is not None and 'Patient/' in k: out.append(k)"]
