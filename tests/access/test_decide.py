# SPDX-License-Identifier: Apache-2.0
"""Deny by default, roles, purposes, parties, scopes, labels, masks, and permits that nobody else can make."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest
from access_clinic import MASKING, TENANT, Clinic, reason, surrogate

from salus.access.decide import Access
from salus.access.facts import Facts
from salus.access.permissions import Permission
from salus.access.permit import Permit
from salus.access.relations import Relations
from salus.kernel.errors import Kind, Problem


def test_without_a_policy_nobody_may_do_anything(clinic: Clinic) -> None:
    physician = clinic.actor("physician", "Practitioner/p")
    clinic.access = Access(None, Relations(clinic.db), surrogate)
    assert reason(clinic, physician, "read", "Observation") == "no-policy"
    assert reason(clinic, physician, "audit:read") == "no-policy"


def test_without_a_role_or_with_an_unknown_one_nothing_is_allowed(clinic: Clinic) -> None:
    assert reason(clinic, clinic.actor("physician", roles=()), "read", "Observation") == "no-role"
    unknown = clinic.actor("physician", roles=("physician", "chief"))
    assert reason(clinic, unknown, "read", "Observation") == "unknown-role"


def test_a_role_counts_only_for_its_purposes(clinic: Clinic) -> None:
    billing_at_care = clinic.actor("billing", purpose="TREAT")
    assert reason(clinic, billing_at_care, "read", "Claim") == "purpose"
    both = clinic.actor("billing", roles=("billing", "nurse"), purpose="HPAYMT", party="Practitioner/n")
    assert clinic.permit(both, "read", "Claim").grants == ("billing-accounts",)
    assert reason(clinic, both, "create", "Observation") == "no-grant"  # that was the nurse's, for TREAT


def test_several_roles_add_up(clinic: Clinic) -> None:
    both = clinic.actor("front-desk", roles=("front-desk", "auditor"), purpose="HOPERAT")
    assert clinic.permit(both, "audit:read").grants == ("auditor",)
    assert reason(clinic, both, "read", "Patient") == "never"  # a hard rule goes with the auditor


def test_a_record_permission_without_a_type_and_a_system_permission_with_one_are_refused(
    clinic: Clinic,
) -> None:
    assert reason(clinic, clinic.actor("service"), "read", "") == "no-grant"
    assert reason(clinic, clinic.actor("service"), "read", "Nonsense") == "no-grant"
    assert reason(clinic, clinic.actor("auditor"), "audit:read", "Patient") == "no-grant"


def test_a_permission_that_is_not_about_records_shows_no_record(clinic: Clinic) -> None:
    permit = clinic.permit(clinic.actor("auditor"), "audit:verify")
    assert not clinic.sees(permit, clinic.facts("a"))
    assert not permit.unrestricted


def test_a_patient_role_without_a_patient_is_refused(clinic: Clinic) -> None:
    for party in ("", "Practitioner/a", "Patient", "Patients/a"):
        assert reason(clinic, clinic.actor("patient", party), "read", "Observation") == "party"
    for party in ("Patient/", "Patient/a/_history/1"):
        assert reason(clinic, clinic.actor("patient", party), "read", "Observation") == "party"


def test_a_nurse_without_a_reference_is_refused(clinic: Clinic) -> None:
    assert reason(clinic, clinic.actor("nurse"), "read", "Observation") == "party"


def test_patient_role_cannot_see_two_owner_record(clinic: Clinic) -> None:
    permit = clinic.permit(clinic.actor("patient", "Patient/a"), "read", "Appointment")
    assert clinic.sees(permit, clinic.facts("a"))
    assert not clinic.sees(permit, clinic.facts("a", "b"))
    assert not clinic.sees(permit, clinic.facts("b", "a"))
    assert not clinic.sees(permit, clinic.facts())


def test_a_patient_of_another_tenant_with_the_same_id_is_a_stranger(clinic: Clinic) -> None:
    permit = clinic.permit(clinic.actor("patient", "Patient/a", tenant="other"), "read", "Observation")
    assert not clinic.sees(permit, clinic.facts("a"))
    assert clinic.sees(permit, clinic.facts("a", tenant="other"))


def test_a_care_relationship_counts_while_it_stands(clinic: Clinic) -> None:
    permit = clinic.permit(clinic.actor("nurse", "Practitioner/n"), "read", "Observation")
    assert not clinic.sees(permit, clinic.facts("a"))
    clinic.cares("Practitioner/n", "a")
    assert clinic.sees(permit, clinic.facts("a"))
    assert not clinic.sees(permit, clinic.facts("a", "b"))
    clinic.cares("Practitioner/n", "b", source="Encounter/1")
    assert clinic.sees(permit, clinic.facts("a", "b"))
    clinic.cares("Practitioner/n", source="CareTeam/1")  # she left the team
    assert not clinic.sees(permit, clinic.facts("a"))
    assert not clinic.sees(permit, clinic.facts())


def test_labels_above_the_clearance_hide_a_record(clinic: Clinic) -> None:
    clinic.cares("Practitioner/n", "a")
    permit = clinic.permit(clinic.actor("nurse", "Practitioner/n"), "read", "DocumentReference")
    assert clinic.sees(permit, clinic.facts("a", label="U"))
    assert not clinic.sees(permit, clinic.facts("a", label="R"))
    assert not clinic.sees(permit, clinic.facts("a", sensitivity=("PSY",)))


def test_a_physician_sees_restricted_records_of_own_patients_only(clinic: Clinic) -> None:
    clinic.cares("Practitioner/p", "a")
    permit = clinic.permit(clinic.actor("physician", "Practitioner/p"), "read", "DocumentReference")
    assert clinic.sees(permit, clinic.facts("a", label="R", sensitivity=("PSY", "HIV")))
    assert clinic.sees(permit, clinic.facts("b"))
    assert not clinic.sees(permit, clinic.facts("b", label="R"))
    assert clinic.sees(permit, clinic.facts("b", label="R", author="Practitioner/p"))
    assert not clinic.sees(permit, clinic.facts("a", label="V"))


def test_the_laboratory_is_kept_to_its_category(clinic: Clinic) -> None:
    permit = clinic.permit(clinic.actor("laboratory"), "search", "Observation")
    assert clinic.sees(permit, clinic.facts("a", category=("vital-signs", "laboratory")))
    assert not clinic.sees(permit, clinic.facts("a", category=("vital-signs",)))
    assert not clinic.sees(permit, clinic.facts("a"))


def test_a_service_is_not_restricted_inside_its_tenant(clinic: Clinic) -> None:
    permit = clinic.permit(clinic.actor("service"), "search", "Observation")
    assert permit.unrestricted
    assert permit.sql() == ("1", ())
    assert clinic.sees(permit, clinic.facts("a", "b", label="V", sensitivity=("PSY",)))


def test_a_permit_carries_what_the_audit_log_needs(clinic: Clinic) -> None:
    actor = clinic.actor("nurse", "Practitioner/n")
    permit = clinic.permit(actor, "read", "Observation")
    assert (permit.actor, permit.permission, permit.type) == (actor, Permission.RECORD_READ, "Observation")
    assert permit.purpose == "TREAT"
    assert permit.grants == ("nurse-read-chart",)
    assert permit.reason == "clinic-default version 1, grant nurse-read-chart"


def test_an_element_is_hidden_only_if_every_covering_grant_hides_it(
    with_policy: Callable[[str], Clinic],
) -> None:
    clinic = with_policy(MASKING)
    clerk = clinic.permit(clinic.actor("clerk"), "read", "Condition")
    assert clerk.mask(clinic.facts("a")) == {"note", "evidence", "text"}
    assert clerk.masked == {"note", "evidence", "text"}

    roles = ("clerk", "author")
    both = clinic.permit(clinic.actor("clerk", "Practitioner/p", roles=roles), "read", "Condition")
    assert both.mask(clinic.facts("a")) == {"note", "evidence", "text"}
    assert both.mask(clinic.facts("a", author="Practitioner/p")) == {"evidence", "text"}
    assert both.mask(clinic.facts("a", label="V")) == {"note", "evidence", "text"}  # covered by none
    assert both.masked == {"note", "evidence", "text"}


def test_a_grant_that_covers_the_same_records_without_a_mask_lifts_it(
    with_policy: Callable[[str], Clinic],
) -> None:
    clinic = with_policy(MASKING)
    actor = clinic.actor("clerk", "Practitioner/p", roles=("clerk", "reader"), purpose="TREAT")
    permit = clinic.permit(actor, "search", "Condition")
    assert permit.masked == frozenset()
    assert permit.mask(clinic.facts("a")) == frozenset()


def test_forged_permit_is_refused(clinic: Clinic) -> None:
    permit = clinic.permit(clinic.actor("nurse", "Practitioner/n"), "read", "Observation")
    fields = {field.name: getattr(permit, field.name) for field in dataclasses.fields(permit)}
    with pytest.raises(Problem) as caught:
        Permit(maker=object(), **fields)
    assert caught.value.kind is Kind.FAULT
    with pytest.raises(dataclasses.FrozenInstanceError):
        permit.unrestricted = True  # type: ignore[misc]


def test_the_same_request_gets_the_same_permit_and_another_session_its_own(clinic: Clinic) -> None:
    first = clinic.permit(clinic.actor("service", session="1"), "read", "Observation")
    assert clinic.permit(clinic.actor("service", session="1"), "read", "Observation") is first
    other = clinic.permit(clinic.actor("service", session="2"), "read", "Observation")
    assert other.actor.session == "2"


def test_explain_says_why_in_sentences(clinic: Clinic) -> None:
    nurse = clinic.actor("nurse", "Practitioner/n")
    text = " ".join(clinic.access.explain(nurse, Permission.RECORD_READ, "Observation"))
    assert "nurse-read-chart" in text
    assert "actor cares for" in text
    assert "no-grant" in " ".join(clinic.access.explain(nurse, Permission.RECORD_READ, "Claim"))


def test_facts_of_another_kind_do_not_pass_for_an_owner(clinic: Clinic) -> None:
    # The surrogate of an id as a party, or of a label with the same text, is another value.
    permit = clinic.permit(clinic.actor("patient", "Patient/a"), "read", "Observation")
    for kind in ("party", "category", "sensitivity"):
        assert not clinic.sees(permit, Facts(owners=surrogate(TENANT, kind, "a")))
