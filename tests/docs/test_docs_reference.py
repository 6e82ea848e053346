# SPDX-License-Identifier: Apache-2.0
"""The reference pages list what the program has: nothing is missing, nothing is there that has gone."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

from salus.access.load import load_policy
from salus.access.permissions import DOC, Permission
from salus.access.policy import CONDITION_DOC
from salus.access.purposes import PURPOSES
from salus.audit.event import DESCRIPTIONS, EventType
from salus.audit.report import HARMLESS, FindingKind
from salus.fhir.capability import capability
from salus.fhir.definitions import resource_types
from salus.fhir.search import controls, query, reading
from salus.fhir.search.parameters import parameters
from salus.http.errors import STATUS
from salus.http.offered import offered
from salus.http.table import routes
from salus.kernel.settings import SECTIONS
from tests.docs.pages import ROOT, blocks, rows, sections, text_of
from tests.support.route_table import every_route


def source_without(*left_out: str) -> str:
    files = (ROOT / "src" / "salus").rglob("*.py")
    return "\n".join(file.read_text("utf-8") for file in files if not str(file).endswith(left_out))


def test_every_setting_has_its_line_with_variable_and_default() -> None:
    documented = sections(text_of("docs/reference/settings.md"))
    for section, struct in SECTIONS.items():
        known = {name: getattr(struct(), name) for name in struct.__struct_fields__}
        lines = {row[0]: row for row in rows(documented[section])}
        assert lines.keys() == known.keys(), section
        for name, default in known.items():
            _, variable, shown, meaning = lines[name]
            assert variable == f"SALUS_{section}_{name}".upper()
            written = str(default).lower() if isinstance(default, bool) else str(default)
            assert shown == (written or "empty"), name
            assert meaning
    assert documented.keys() - {"", "Other variables"} == SECTIONS.keys()


def test_variables_beside_the_settings_are_those_of_the_program() -> None:
    other = {row[0] for row in rows(sections(text_of("docs/reference/settings.md"))["Other variables"])}
    assert other == set(re.findall(r'"(SALUS_[A-Z_]+[A-Z])"', source_without()))


def test_every_permission_has_its_line_under_the_right_heading() -> None:
    documented = sections(text_of("docs/reference/permissions.md"))
    asked = {row[0]: row[1] for row in rows(documented["Asked for by routes"])}
    waiting = {row[0]: row[1] for row in rows(documented["Not asked for yet"])}
    assert asked | waiting == {str(permission): words for permission, words in DOC.items()}
    source = source_without("access/permissions.py")
    for permission in Permission:
        used = re.search(rf"\b(?:Permission|p)\.{permission.name}\b", source) is not None
        assert used is (str(permission) in asked), permission


def test_every_route_has_its_line() -> None:
    known = [(r.method, r.pattern, str(r.permission), r.doc) for r in every_route() if "$" not in r.pattern]
    listed = [tuple(row) for row in rows(sections(text_of("docs/reference/routes.md"))[""])]
    assert listed == known


def test_every_status_of_a_problem_is_explained() -> None:
    listed = {
        int(code)
        for row in rows(sections(text_of("docs/reference/routes.md"))["Answers"])
        for code in re.findall(r"\d+", row[0])
    }
    assert listed == set(STATUS.values()) | {406}


def test_every_audit_event_has_its_line_under_the_right_heading() -> None:
    documented = sections(text_of("docs/reference/events.md"))
    written = {row[0]: row[1] for row in rows(documented["Written"])}
    reserved = {row[0]: row[1] for row in rows(documented["Reserved"])}
    assert written | reserved == {str(event): words for event, words in DESCRIPTIONS.items()}
    source = source_without("audit/event.py", "audit/as_fhir.py")
    for event in EventType:
        assert (re.search(rf"\bEventType\.{event.name}\b", source) is not None) is (str(event) in written), event


def test_every_finding_of_the_verification_is_explained() -> None:
    listed = {
        name.strip("` "): row[1]
        for row in rows(sections(text_of("docs/howto/read-the-audit-log.md"))["Prove"])
        for name in row[0].split(",")
    }
    assert listed.keys() == {str(kind) for kind in FindingKind}
    assert {name for name, words in listed.items() if words.startswith("note:")} == {str(kind) for kind in HARMLESS}


def test_roles_conditions_and_purposes_are_those_of_the_shipped_policy() -> None:
    documented = sections(text_of("docs/reference/policy.md"))
    roles = {row[0]: (row[1], row[2]) for row in rows(documented["Roles of the default policy"])}
    assert roles == {role.name: (role.title, ", ".join(role.purposes)) for role in load_policy().roles.values()}
    conditions = {row[0]: row[1] for row in rows(documented["Conditions"])}
    assert conditions == {str(condition): words for condition, words in CONDITION_DOC.items()}
    assert {row[0]: row[1] for row in rows(documented["Purposes of use"])} == PURPOSES


def test_the_policy_in_the_reference_loads_and_passes_its_own_example() -> None:
    text = next(block.text for block in blocks(text_of("docs/reference/policy.md")) if block.info == "toml")
    policy = load_policy(text)
    assert set(policy.roles) == {"nurse"}
    assert len(policy.examples) == 1


def test_search_kinds_modifiers_and_controls_are_those_of_the_grammar() -> None:
    documented = sections(text_of("docs/reference/search.md"))
    kinds = {known.kind for type_ in resource_types() for known in parameters(type_).values()}
    assert {row[0] for row in rows(documented["Kinds"])} == kinds
    listed = {row[0].removeprefix(":"): row[1] for row in rows(documented["Modifiers"])}
    modifiers = dict.fromkeys(modifier for some in reading.MODIFIERS.values() for modifier in some)
    known = {m: ", ".join(kind for kind, some in reading.MODIFIERS.items() if m in some) for m in modifiers}
    assert listed == {**known, "missing": "every kind", "Type": "reference"}
    assert {row[0] for row in rows(documented["What shapes the answer"])} == query._CONTROLS
    for name in query._NOT_OFFERED:
        assert f"`{name}`" in documented["What shapes the answer"]


def test_reasons_and_limits_of_search_are_those_of_the_program() -> None:
    documented = sections(text_of("docs/reference/search.md"))
    reasons = {known.unsupported for type_ in resource_types() for known in parameters(type_).values()} - {""}
    assert {row[0] for row in rows(documented["Parameters that are not answered"])} == reasons
    limits = {row[0]: row[1] for row in rows(documented["Limits and errors"])}
    assert limits["parameters of a search"] == str(query.MAX_PARAMETERS)
    assert limits["values in all of them"] == str(reading.MAX_VALUES)
    largest = next(row for row in rows(text_of("docs/reference/settings.md")) if row[0] == "page_size_max")
    assert largest[2] == str(controls.MAX_COUNT)


def test_interactions_are_those_of_the_capability_statement() -> None:
    anything: Any = SimpleNamespace()
    answered = offered(routes(anything, anything, lambda: None).routes)
    rest = capability("https://example.org/fhir", "0", answered)["rest"][0]
    known = {each["code"] for resource in rest["resource"] for each in resource["interaction"]}
    known |= {each["code"] for each in rest["interaction"]}
    assert {row[0] for row in rows(sections(text_of("docs/reference/interactions.md"))[""])} == known
    supported = sections(text_of("docs/conformance.md"))["Supported"]
    line = next(row[1] for row in rows(supported) if row[0] == "interactions")
    assert set(re.findall(r"`([a-z-]+)`", line)) == known
    assert f"all {len(resource_types())} resource types" in supported
