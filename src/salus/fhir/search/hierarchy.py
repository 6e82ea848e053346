# SPDX-License-Identifier: Apache-2.0
"""Which types form a hierarchy: their records say what they are part of.

Needed for `:above` and `:below` on references, as in `Encounter?location:below=ward-3`.
https://hl7.org/fhir/R4/search.html#recursive
"""

from __future__ import annotations

from functools import cache

from salus.fhir.search.clauses import Clause, ReferenceValue
from salus.fhir.search.parameters import Parameter, parameters

_UPWARD = ("partof", "part-of")


@cache
def upward(type_: str) -> Parameter | None:
    """The parameter by which records of a type point to the one they are part of; None when they do not."""
    for code in _UPWARD:
        found = parameters(type_).get(code)
        if found is not None and type_ in found.targets:
            return found
    return None


def starts(clause: Clause) -> dict[str, set[str]]:
    """Where a clause with `:above` or `:below` begins: ids by resource type, only of types with a hierarchy."""
    found: dict[str, set[str]] = {}
    for value in clause.values:
        if isinstance(value, ReferenceValue) and value.id is not None:
            for type_ in (value.type,) if value.type else clause.targets:
                if upward(type_) is not None:
                    found.setdefault(type_, set()).add(value.id)
    return found
