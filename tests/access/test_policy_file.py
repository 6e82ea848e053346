# SPDX-License-Identifier: Apache-2.0
"""A policy that is not fully understood is refused, and the words name the place."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from access_clinic import Clinic

from salus.access.load import default_policy_text, load_policy
from salus.access.permissions import DOC, RECORD_ACTIONS, SYSTEM, Permission
from salus.access.policy import CONDITION_DOC, Condition, Policy, matrix
from salus.fhir.definitions import resource_types
from salus.kernel.errors import Kind, Problem

BASE = """
policy = "small"
version = 3
[sets]
charts = ["Observation", "Condition"]
[role.nurse]
title = "Nurse"
purposes = ["TREAT"]
[[role.nurse.allow]]
id = "nurse-read"
why = "Nurses read"
actions = ["read"]
types = ["@charts"]
when = ["care-relationship"]
"""

EXAMPLE = """
[[test]]
name = "a nurse reads"
as = { roles = ["nurse"], party = "Practitioner/n", care = ["a"] }
do = "read"
on = { type = "Observation", patient = ["a"] }
expect = "allow"
"""


def refused(text: str) -> str:
    with pytest.raises(Problem) as caught:
        load_policy(text)
    assert caught.value.kind is Kind.INVALID
    return caught.value.public


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (('id = "nurse-read"', 'id = "nurse-read"\nwhne = []'), "unknown key `whne`"),
        (('title = "Nurse"', 'title = "Nurse"\npurpose = ["TREAT"]'), "role.nurse: unknown key `purpose`"),
        (("version = 3", "version = 3\nallow = true"), "unknown key `allow`"),
        (("version = 3", "version = 0"), "`version`"),
        (("version = 3", "version = true"), "`version`"),
        (("version = 3\n", ""), "`version` is missing"),
        (('when = ["care-relationship"]', "when = []"), "`when` must not be empty"),
        (('when = ["care-relationship"]', ""), "`when` is missing"),
        (('when = ["care-relationship"]', 'when = ["care_relationship"]'), "unknown condition"),
        (('when = ["care-relationship"]', 'when = ["any", "authored"]'), "`any`"),
        (('when = ["care-relationship"]', 'when = "any"'), "must be a list"),
        (('"@charts"', '"@chart"'), "unknown type set `chart`"),
        (('"@charts"', '"Observaton"'), "unknown type `Observaton`"),
        (('"Condition"]', '"Conditon"]'), "sets: unknown type `Conditon`"),
        (('"Condition"]', '"Observation"]'), "names something twice"),
        (('actions = ["read"]', 'actions = ["reed"]'), "(nurse-read): unknown action `reed`"),
        (('actions = ["read"]', "actions = []"), "`actions` must not be empty"),
        (('purposes = ["TREAT"]', 'purposes = ["TREATMENT"]'), "unknown purpose of use"),
        (('why = "Nurses read"', 'why = " "'), "`why`"),
        (('title = "Nurse"', 'title = "Nurse"\npermissions = ["audit:rea"]'), "unknown permission"),
        (('title = "Nurse"', 'title = "Nurse"\npermissions = ["record:read"]'), "unknown permission"),
        (
            ('title = "Nurse"', 'title = "Nurse"\nclearance = { confidentiality = "X" }'),
            "unknown confidentiality",
        ),
        (
            ('title = "Nurse"', 'title = "Nurse"\nclearance = { sensitivity = [] }'),
            "`confidentiality` is missing",
        ),
        (('why = "Nurses read"', 'why = "Nurses read"\nmask = ["noet"]'), "element `noet`"),
        (('why = "Nurses read"', 'why = "Nurses read"\nmask = ["id"]'), "element `id`"),
        (('why = "Nurses read"', 'why = "Nurses read"\nmask = ["value[x]"]'), "choice of types"),
        (("[role.nurse]", "[role.nurse"), "not TOML"),
    ],
)
def test_a_policy_with_a_mistake_is_refused_and_the_place_named(change: tuple[str, str], words: str) -> None:
    assert change[0] in BASE
    assert words in refused(BASE.replace(*change))


def test_wildcard_type_with_wildcard_action_is_refused() -> None:
    text = BASE.replace('["@charts"]', '["*"]').replace('actions = ["read"]', 'actions = ["*"]')
    assert "name the actions or the types" in refused(text)


def test_one_wildcard_alone_is_understood() -> None:
    policy = load_policy(BASE.replace('["@charts"]', '["*"]'))
    assert policy.roles["nurse"].grants[0].types == frozenset(resource_types())
    policy = load_policy(BASE.replace('actions = ["read"]', 'actions = ["*"]'))
    assert policy.roles["nurse"].grants[0].actions == frozenset(RECORD_ACTIONS.values())


def test_profiles_are_demanded_by_type_and_canonical() -> None:
    demanded = '[profiles]\nPatient = ["http://x.org/StructureDefinition/p|1"]\n'
    assert load_policy(BASE + demanded).profiles == {"Patient": ("http://x.org/StructureDefinition/p|1",)}
    for wrong in ('Patiend = ["http://x.org/p"]', "Patient = []", 'Patient = ["p"]', 'Patient = "http://x.org/p"'):
        with pytest.raises(Problem, match="profiles"):
            load_policy(f"{BASE}[profiles]\n{wrong}\n")


def test_a_grant_id_used_twice_is_refused() -> None:
    second = BASE[BASE.index("[[role.nurse.allow]]") :]
    assert "`nurse-read` is used twice" in refused(BASE + second)


def test_a_hard_rule_about_an_unknown_role_is_refused() -> None:
    rule = '\n[[never]]\nid = "x"\nwhy = "y"\nactions = ["*"]\ntypes = ["*"]\nroles = ["nurze"]\n'
    assert "unknown role `nurze`" in refused(BASE + rule)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (('expect = "allow"', 'expect = "deny"'), "allowed, but must be refused"),
        (('care = ["a"]', 'care = ["b"]'), "not covered, but must be"),
        (('"Observation", patient', '"Claim", patient'), "refused (no-grant"),
        (('expect = "allow"', 'expect = "allow"\nmask = ["note"]'), "must hide"),
        (('expect = "allow"', 'expect = "maybe"'), "unknown answer"),
        (('do = "read"', 'do = "look"'), "unknown action"),
        (('roles = ["nurse"]', 'roles = ["nurses"]'), "unknown role"),
        (('roles = ["nurse"], ', ""), "`roles` is missing"),
        (('patient = ["a"]', 'patients = ["a"]'), "unknown key `patients`"),
    ],
)
def test_a_policy_whose_example_fails_is_refused(change: tuple[str, str], words: str) -> None:
    load_policy(BASE + EXAMPLE)
    assert change[0] in EXAMPLE
    assert words in refused(BASE + EXAMPLE.replace(*change))


def test_the_shipped_policy_has_the_fourteen_roles_and_an_example_for_most(shipped: Policy) -> None:
    assert set(shipped.roles) == {
        *("physician", "nurse", "front-desk", "billing", "laboratory", "pharmacist", "patient", "researcher"),
        *("security-officer", "privacy-officer", "auditor", "administrator", "service", "provisioner"),
    }
    assert len(shipped.examples) >= 15


def test_every_word_of_the_closed_lists_has_a_line() -> None:
    assert set(DOC) == set(Permission)
    assert set(CONDITION_DOC) == set(Condition)
    assert SYSTEM | set(RECORD_ACTIONS.values()) == set(Permission)


def test_the_shipped_policy_asks_for_no_permission_that_nobody_holds(shipped: Policy) -> None:
    held = {permission for role in shipped.roles.values() for permission in role.permissions}
    assert held == SYSTEM


def test_the_matrix_leaves_out_what_a_hard_rule_forbids(with_policy: Callable[[str], Clinic]) -> None:
    rule = '\n[[never]]\nid = "x"\nwhy = "y"\nactions = ["read"]\ntypes = ["Condition"]\n'
    clinic = with_policy(BASE + rule)
    assert clinic.access.policy
    assert matrix(clinic.access.policy) == [("nurse", "Observation", "read", "care-relationship", "")]


def test_the_matrix_names_every_type_of_the_shipped_policy_that_exists(shipped: Policy) -> None:
    types = {row[1] for row in matrix(shipped)} - {""}
    assert types <= set(resource_types())
    assert "AuditEvent" not in types


def test_the_shipped_policy_explains_every_grant_in_a_sentence() -> None:
    for why in re.findall(r'^why = "(.*)"$', default_policy_text(), re.MULTILINE):
        assert len(why) > 20
        assert not why.endswith(".")
