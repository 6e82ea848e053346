# SPDX-License-Identifier: Apache-2.0
"""SMART scopes against the policy: they narrow, never widen, and bind to the patient of the launch."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from access_clinic import MASKING, Clinic, reason

from salus.access.permissions import Permission
from salus.kernel.errors import Kind, Problem


@pytest.mark.parametrize(
    ("scopes", "action", "allowed"),
    [
        (("user/Observation.rs",), "read", True),
        (("user/Observation.rs",), "vread", True),
        (("user/*.r", "user/Observation.s"), "history", True),
        (("user/Observation.r",), "history", True),
        (("user/Observation.s",), "history", False),
        (("user/Observation.rs",), "create", False),
        (("user/Condition.rs",), "read", False),
        (("user/*.cruds",), "update", True),
        (("system/*.cruds",), "read", False),  # a person is no system
        (("user/Observation.read",), "read", True),
        (("user/Observation.read",), "update", False),
        (("user/Observation.write",), "update", True),
        (("user/Observation.write",), "read", False),
        (("user/Observation.sr", "user/Observation.rs"), "read", True),  # what is not understood adds nothing
        (("user/Observation.rs?category=laboratory",), "update", False),
        (("user/Observation.rs?nonsense=laboratory",), "read", False),
        (("user/Observation.sr",), "read", False),
        (("user/Observation.",), "read", False),
        (("user/Observation",), "read", False),
        (("openid",), "read", False),
        (("user/*.cruds\n",), "read", False),
        (("",), "read", False),
    ],
)
def test_scopes_narrow_and_what_is_not_understood_gives_nothing(
    clinic: Clinic, scopes: tuple[str, ...], action: str, allowed: bool
) -> None:
    actor = clinic.actor("physician", "Practitioner/p", scopes=scopes)
    if allowed:
        assert clinic.sees(clinic.permit(actor, action, "Observation"), clinic.facts("a"))
    else:
        assert reason(clinic, actor, action, "Observation") == "scope"


def test_a_system_scope_serves_a_service_alone(clinic: Clinic) -> None:
    feed = clinic.actor("service", scopes=("system/Observation.c",))
    assert clinic.permit(feed, "create", "Observation").unrestricted
    assert reason(clinic, feed, "read", "Observation") == "scope"
    assert reason(clinic, clinic.actor("service", scopes=("user/*.cruds",)), "read", "Observation") == "scope"


def test_a_patient_scope_keeps_even_a_physician_to_the_patient_of_the_launch(clinic: Clinic) -> None:
    # The application of a patient may see what its scope says, not what the role of a physician would give.
    actor = clinic.actor("physician", "Practitioner/p", scopes=("patient/*.cruds",))
    assert reason(clinic, actor, "read", "Observation") == "scope"
    launched = clinic.actor("physician", "Practitioner/p", scopes=("patient/*.cruds",), patient="a")
    for action in ("read", "vread", "history", "search", "create", "update"):
        permit = clinic.permit(launched, action, "Observation")
        assert clinic.sees(permit, clinic.facts("a"))
        assert not clinic.sees(permit, clinic.facts("b"))
        assert not clinic.sees(permit, clinic.facts("a", "b"))
        assert not clinic.sees(permit, clinic.facts())
    own = clinic.actor("patient", "Patient/a", scopes=("patient/Observation.rs",))
    permit = clinic.permit(own, "read", "Observation")
    assert clinic.sees(permit, clinic.facts("a"))
    assert not clinic.sees(permit, clinic.facts("b"))


def test_a_patient_scope_never_gives_more_than_the_policy(clinic: Clinic) -> None:
    other = clinic.actor("patient", "Patient/b", scopes=("patient/*.cruds",), patient="a")
    permit = clinic.permit(other, "read", "Observation")
    assert not clinic.sees(permit, clinic.facts("a"))
    assert not clinic.sees(permit, clinic.facts("b"))
    assert reason(clinic, other, "update", "Observation") == "no-grant"


def test_types_about_nobody_may_be_read_by_a_patient_scope_and_never_written(clinic: Clinic) -> None:
    physician = clinic.actor("physician", "Practitioner/p", scopes=("patient/*.cruds",), patient="a")
    for type_ in ("Practitioner", "Organization", "Location", "Medication"):
        assert clinic.sees(clinic.permit(physician, "read", type_), clinic.facts())
        assert clinic.sees(clinic.permit(physician, "search", type_), clinic.facts())
    feed = clinic.actor("service", kind="user", scopes=("patient/*.cruds",), patient="a")
    assert reason(clinic, feed, "update", "Practitioner") == "scope"
    assert reason(clinic, feed, "create", "Medication") == "scope"


@pytest.mark.parametrize("type_", ["DeviceMetric", "PaymentNotice", "EnrollmentResponse"])
def test_a_type_that_may_be_about_a_patient_without_saying_whom_is_closed_to_patient_scopes(
    clinic: Clinic, type_: str
) -> None:
    feed = clinic.actor("service", kind="user", scopes=("patient/*.cruds",), patient="a")
    assert reason(clinic, feed, "read", type_) == "scope"


def test_a_shared_type_that_holds_something_of_another_patient_is_that_patient_s(clinic: Clinic) -> None:
    physician = clinic.actor("physician", "Practitioner/p", scopes=("patient/Medication.rs",), patient="a")
    permit = clinic.permit(physician, "read", "Medication")
    assert clinic.sees(permit, clinic.facts("a"))
    assert not clinic.sees(permit, clinic.facts("b"))


@pytest.mark.parametrize("patient", ["a,b", "../b", "a|b", "a b", "Patient/a", "", "a" * 65])
def test_what_is_no_id_is_no_patient_in_context(clinic: Clinic, patient: str) -> None:
    actor = clinic.actor("physician", "Practitioner/p", scopes=("patient/*.rs",), patient=patient)
    assert reason(clinic, actor, "read", "Observation") == "scope"
    other = clinic.actor("physician", f"Practitioner/{patient}", scopes=("fhirUser",))
    assert reason(clinic, other, "read", "Practitioner") == "scope"


def test_an_application_without_a_scope_has_nothing(clinic: Clinic) -> None:
    for scopes in ((), ("openid", "launch/patient", "offline_access")):
        actor = clinic.actor("physician", "Practitioner/p", client="app", scopes=scopes)
        assert reason(clinic, actor, "read", "Observation") == "scope"
        assert reason(clinic, actor, "terminology:read") == "scope"


def test_scopes_with_conditions_add_up_and_a_wider_one_swallows_a_narrower_one(clinic: Clinic) -> None:
    def extents(*scopes: str) -> list[tuple[tuple[str, str], ...]]:
        actor = clinic.actor("physician", "Practitioner/p", scopes=scopes, patient="a")
        return [extent.params for extent in clinic.permit(actor, "read", "Observation").extents]

    lab, vital = "patient/Observation.rs?category=laboratory", "patient/Observation.rs?category=vital-signs"
    assert extents(lab, vital) == [(("category", "laboratory"),), (("category", "vital-signs"),)]
    assert extents(lab, "patient/Observation.r") == []
    assert extents(lab, "patient/Observation.s") == [(("category", "laboratory"),)]  # another letter is another right
    assert extents(lab, lab + "&code=1") == [(("category", "laboratory"),)]
    assert extents(lab, "user/*.cruds") == []
    mixed = clinic.actor(
        "physician", "Practitioner/p", scopes=("patient/Observation.rs", lab.replace("patient/", "user/")), patient="a"
    )
    permit = clinic.permit(mixed, "read", "Observation")
    assert sorted(extent.params for extent in permit.extents) == [(), (("category", "laboratory"),)]
    assert clinic.sees(permit, clinic.facts("b"))  # as far as facts can tell; the content decides


def test_the_person_is_read_with_fhir_user_alone(clinic: Clinic) -> None:
    actor = clinic.actor("physician", "Practitioner/p", scopes=("openid", "fhirUser"))
    assert [extent.params for extent in clinic.permit(actor, "read", "Practitioner").extents] == [(("_id", "p"),)]
    for action, type_ in (("search", "Practitioner"), ("update", "Practitioner"), ("read", "Patient")):
        with pytest.raises(Problem):
            clinic.permit(actor, action, type_)


def test_a_condition_over_a_hidden_element_opens_nothing(with_policy: Callable[[str], Clinic]) -> None:
    # Whether anything is found would tell what the element holds.
    clinic = with_policy(MASKING)
    assert (
        reason(clinic, clinic.actor("clerk", scopes=("user/Condition.rs?evidence=x",)), "search", "Condition")
        == "scope"
    )
    assert clinic.permit(clinic.actor("clerk", scopes=("user/Condition.rs?code=x",)), "search", "Condition").extents


def test_scopes_never_give_what_is_not_about_records(clinic: Clinic) -> None:
    assert reason(clinic, clinic.actor("auditor", scopes=("user/*.cruds",)), "audit:read") == "scope"


@pytest.mark.parametrize(
    ("scopes", "allowed"),
    [
        (("user/*.rs",), True),
        (("user/ValueSet.r",), True),
        (("patient/*.rs",), True),
        (("user/Observation.rs",), False),
        (("user/ValueSet.s",), False),
        (("user/ValueSet.read",), True),
        (("user/ValueSet.r?status=active",), False),
    ],
)
def test_a_session_may_ask_about_codes_if_its_scopes_let_it_read_value_sets(
    clinic: Clinic, scopes: tuple[str, ...], allowed: bool
) -> None:
    actor = clinic.actor("physician", "Practitioner/p", scopes=scopes, patient="a")
    if allowed:
        clinic.access.decide(actor, Permission.TERMINOLOGY_READ)
        return
    with pytest.raises(Problem) as refused:
        clinic.access.decide(actor, Permission.TERMINOLOGY_READ)
    assert refused.value.kind is Kind.FORBIDDEN
