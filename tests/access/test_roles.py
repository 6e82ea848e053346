# SPDX-License-Identifier: Apache-2.0
"""The shipped policy, person by person: what each role must not reach, whatever the record."""

from __future__ import annotations

import pytest
from access_clinic import Clinic

from salus.access.permissions import RECORD_ACTIONS, Permission
from salus.access.policy import Policy
from salus.fhir.definitions import resource_types
from salus.kernel.errors import Problem

IDENTIFIED = ("@clinical", "@persons", "@financial", "@scheduling")


def types_of(policy: Policy, *names: str) -> list[str]:
    return sorted({type_ for name in names for type_ in policy.sets[name.removeprefix("@")]})


def refused(clinic: Clinic, role: str, action: str, type_: str, party: str = "Practitioner/p") -> bool:
    try:
        clinic.permit(clinic.actor(role, party), action, type_)
    except Problem:
        return True
    return False


@pytest.mark.parametrize("role", ["administrator", "security-officer", "auditor", "researcher"])
def test_who_runs_or_oversees_the_system_sees_no_patient(clinic: Clinic, shipped: Policy, role: str) -> None:
    for type_ in types_of(shipped, *IDENTIFIED):
        for action in RECORD_ACTIONS:
            assert refused(clinic, role, action, type_), (type_, action)


def test_an_administrator_who_is_given_a_second_role_sees_no_patient_either(clinic: Clinic) -> None:
    both = clinic.actor("administrator", "Practitioner/p", roles=("administrator", "physician"), purpose="HOPERAT")
    with pytest.raises(Problem):
        clinic.permit(both, "read", "Patient")


def test_nobody_reads_or_writes_the_audit_log_as_a_record(clinic: Clinic, shipped: Policy) -> None:
    for role in shipped.roles:
        for action in RECORD_ACTIONS:
            assert refused(clinic, role, action, "AuditEvent", "Patient/a" if role == "patient" else "")


def test_the_front_desk_sees_no_clinical_type(clinic: Clinic, shipped: Policy) -> None:
    for type_ in types_of(shipped, "@clinical"):
        assert refused(clinic, "front-desk", "read", type_)
    assert not refused(clinic, "front-desk", "create", "Appointment")


def test_billing_sees_codes_without_notes_and_nothing_else_clinical(clinic: Clinic, shipped: Policy) -> None:
    seen = [type_ for type_ in types_of(shipped, "@clinical") if not refused(clinic, "billing", "read", type_)]
    assert seen == ["Condition", "Encounter", "Procedure"]
    permit = clinic.permit(clinic.actor("billing"), "search", "Condition")
    assert {"note", "text"} <= permit.masked


def test_a_patient_changes_and_deletes_nothing(clinic: Clinic) -> None:
    for type_ in resource_types():
        assert refused(clinic, "patient", "update", type_, "Patient/a")
        assert refused(clinic, "patient", "delete", type_, "Patient/a")


def test_every_grant_of_the_patient_role_is_for_the_own_record(shipped: Policy) -> None:
    assert {grant.when for grant in shipped.roles["patient"].grants} == {("own-record",)}
    assert shipped.roles["patient"].party == "Patient"


def test_a_pharmacist_does_not_prescribe_even_as_a_physician(clinic: Clinic) -> None:
    roles = ("pharmacist", "physician")
    both = clinic.actor("pharmacist", "Practitioner/p", roles=roles, purpose="TREAT")
    with pytest.raises(Problem):
        clinic.permit(both, "create", "MedicationRequest")
    assert clinic.permit(both, "read", "MedicationRequest")


def test_a_nurse_charts_for_patients_in_care_only(clinic: Clinic) -> None:
    clinic.cares("Practitioner/n", "a")
    permit = clinic.permit(clinic.actor("nurse", "Practitioner/n"), "create", "Observation")
    assert clinic.sees(permit, clinic.facts("a"))
    assert not clinic.sees(permit, clinic.facts("b"))
    assert not clinic.sees(permit, clinic.facts())


def test_a_feed_reaches_every_type_that_holds_patient_data(clinic: Clinic, shipped: Policy) -> None:
    for type_ in types_of(shipped, *IDENTIFIED):
        for action in RECORD_ACTIONS.keys() - {"match"}:  # which is about patients alone
            assert not refused(clinic, "service", action, type_)


def test_only_overseers_read_the_audit_log(shipped: Policy) -> None:
    readers = {name for name, role in shipped.roles.items() if Permission.AUDIT_READ in role.permissions}
    assert readers == {"security-officer", "privacy-officer", "auditor"}
