# SPDX-License-Identifier: Apache-2.0
"""Lists that a server makes up: `_list=$current-problems` and the like (https://hl7.org/fhir/R4/search.html#list).

R4 names them and leaves to the server what stands in them. Here each is a search: its conditions join those of the
request, so what may be seen, found and counted is what that search shows.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import MappingProxyType
from typing import Final

from salus.fhir.search.clauses import Clause
from salus.fhir.search.reading import Setting, clause, parameter
from salus.fhir.search.terms import refuse, unanswered

_Conditions = tuple[tuple[str, str | None, str], ...]

_HOLDS: Final = (("verification-status", "not", "entered-in-error,refuted"),)
_ALLERGY: Final = (("clinical-status", None, "active"), *_HOLDS)

LISTS: Final = MappingProxyType[str, dict[str, _Conditions]](
    {
        "$current-problems": {
            "Condition": (
                ("clinical-status", None, "active,recurrence,relapse"),
                ("category", "not", "encounter-diagnosis"),
                *_HOLDS,
            ),
        },
        "$current-medications": {
            "MedicationRequest": (("status", None, "active"), ("intent", "not", "proposal,plan")),
            "MedicationStatement": (("status", None, "active"),),
        },
        "$current-allergies": {"AllergyIntolerance": _ALLERGY},
        "$current-drug-allergies": {"AllergyIntolerance": (*_ALLERGY, ("category", None, "medication"))},
    }
)
"""By name and type of record: parameter, modifier and values of each condition."""


def is_functional(name: str, text: str) -> bool:
    """Whether a parameter asks for such a list."""
    return name == "_list" and text.startswith("$")


def functional(type_: str, text: str, setting: Setting) -> Iterator[Clause]:
    """The conditions of a list.

    Args:
        type_: resource type that is searched.
        text: the value of `_list`.
        setting: as for any clause.

    Raises:
        Problem: INCORRECT for a list that R4 does not have, or in which this type never stands.
    """
    known = LISTS.get(text)
    if known is None:
        raise unanswered(f"is not one of {', '.join(LISTS)}")
    if type_ not in known:
        raise refuse(f"names a list in which {type_} never stands")
    for code, modifier, values in known[type_]:
        yield clause(parameter(type_, code, setting.registry), modifier, values, setting)
