# SPDX-License-Identifier: Apache-2.0
"""Compartments, summary elements and modifier elements, as HL7 defines them (`SHAPES.md`).

https://hl7.org/fhir/R4/compartmentdefinition.html  https://hl7.org/fhir/R4/search.html#summary
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cache
from importlib import resources

import msgspec
import zstandard

from salus.fhir.search.clauses import Clause, ReferenceValue, TokenValue
from salus.fhir.search.parameters import parameters
from salus.fhir.search.table import table


class Shapes(msgspec.Struct, frozen=True):
    """Everything that is compiled.

    Attributes:
        compartments: by compartment and resource type the parameters that confer membership; Patient's are in `table`.
        summary: names of the elements with `isSummary`, by the path of what holds them.
        modifiers: names of the elements with `isModifier`, likewise.
    """

    compartments: dict[str, dict[str, tuple[str, ...]]]
    summary: dict[str, tuple[str, ...]]
    modifiers: dict[str, tuple[str, ...]]


@cache
def shapes() -> Shapes:
    """The table; read and unpacked once per process (a few milliseconds)."""
    packed = resources.files(__package__).joinpath("shapes.msgpack.zst").read_bytes()
    return msgspec.msgpack.decode(zstandard.ZstdDecompressor().decompress(packed), type=Shapes)


@cache
def compartments() -> Mapping[str, Mapping[str, tuple[str, ...]]]:
    """By compartment and resource type, the parameters that put a record into it; none for the owner's own type."""
    found = {"Patient": table().compartment, **shapes().compartments}
    return {code: {**rows, code: ()} for code, rows in sorted(found.items())}


def membership(compartment: str, type_: str, id_: str, *, without: Collection[str] = ()) -> Clause:
    """What a record of a type has to fulfil to lie in a compartment.

    A Patient lies in its own compartment alone, as everywhere in Salus (`salus.fhir.compartment`).

    Args:
        compartment: Patient, Encounter, Practitioner, RelatedPerson or Device.
        type_: a resource type that can be in it.
        id_: id of the compartment's owner.
        without: codes of parameters that may not be asked; a record that only they put there is not found.
    """
    if type_ == compartment:
        return Clause("_id", "token", ("_id",), "", (TokenValue(None, id_),), (), indexed=True, text=id_)
    known = parameters(type_)
    codes = [code for code in compartments()[compartment][type_] if code not in without]
    families = tuple(dict.fromkeys(family for code in codes for family in known[code].families))
    if not families:
        return Clause("_id", "token", ("_id",), "", (), (), indexed=True, text="")
    owner = (ReferenceValue(compartment, id_),)
    return Clause("", "reference", families, "", owner, (compartment,), indexed=True, text=id_)
