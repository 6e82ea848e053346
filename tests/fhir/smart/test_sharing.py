# SPDX-License-Identifier: Apache-2.0
"""Types that a `patient/` scope opens for reading are about nobody."""

from __future__ import annotations

from salus.fhir.definitions import resource_types, structure
from salus.fhir.smart.sharing import OWNED, SHARED


def _may_name_a_patient(type_: str, seen: set[str]) -> bool:
    """Whether an element at any depth may refer to a patient by its definition."""
    if type_ in seen:
        return False
    seen.add(type_)
    for field in structure().types[type_].fields:
        if "Reference" in field.types and (not field.targets or "Patient" in field.targets):
            return True
        if any(each.startswith("#") and _may_name_a_patient(each[1:], seen) for each in field.types):
            return True
    return False


def test_what_is_shared_can_name_no_patient_and_belongs_to_none() -> None:
    assert set(resource_types()) >= SHARED
    assert not SHARED & OWNED
    # An answer that a Questionnaire offers may be any record; what it asks is the same for everybody.
    assert [type_ for type_ in sorted(SHARED) if _may_name_a_patient(type_, set())] == ["Questionnaire"]
