# SPDX-License-Identifier: Apache-2.0
"""The CapabilityStatement claims what the routes and the index have, all of it and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.clinic import Clinic
from tests.support.outcomes import assert_outcome

from salus.fhir.definitions import resource_types
from salus.fhir.search.parameters import parameters
from salus.fhir.search.query import parse
from salus.fhir.validate import check
from salus.http import table
from salus.http.offered import CONDITIONAL, ON_SYSTEM, ON_TYPE, offered
from salus.http.routes import Route, Router
from salus.kernel.errors import Problem
from salus.records.operations.table import OPERATIONS

JSON = dict[str, Any]
SAMPLES = {
    "number": "1", "date": "2026-01-01", "string": "abc", "token": "a|b", "reference": "Patient/1", "quantity": "1",
    "uri": "urn:x", "composite": "a$b", "special": "x",
}  # fmt: skip


@pytest.fixture
def statement(clinic: Clinic) -> JSON:
    answer = clinic.stranger.get("/fhir/metadata")
    assert answer.status_code == 200
    check(answer.json(), "CapabilityStatement")
    found: JSON = answer.json()
    return found


def routes() -> tuple[Route, ...]:
    return table.routes(None, None, lambda: None).routes  # type: ignore[arg-type]


def by_type(statement: JSON) -> dict[str, JSON]:
    return {each["type"]: each for each in statement["rest"][0]["resource"]}


_APART = ("/fhir/AuditEvent", "/fhir/Binary", "/fhir/OperationDefinition")


def test_every_interaction_has_its_route_and_every_route_its_interaction(statement: JSON) -> None:
    there = {(route.method, route.pattern) for route in routes() if "$" not in route.pattern}
    claimed = [each["code"] for each in by_type(statement)["Patient"]["interaction"]]
    assert set(claimed) == {code for key, code in ON_TYPE.items() if key in there}
    on_system = [each["code"] for each in statement["rest"][0]["interaction"]]
    assert set(on_system) == {code for key, codes in ON_SYSTEM.items() if key in there for code in codes}
    known = {*ON_TYPE, *ON_SYSTEM, *CONDITIONAL}
    rest = {
        (method, pattern)
        for method, pattern in there - known
        if pattern.startswith("/fhir") and not pattern.startswith(_APART)
    }
    # What has no code of its own: searches by POST, compartments, and this statement itself.
    assert {pattern for _, pattern in rest if not pattern.endswith("_search")} <= {
        "/fhir/metadata", "/fhir/{type}/{id}/{inner}", "/fhir/{type}/{id}/*",
    }  # fmt: skip


def test_a_route_that_is_taken_away_is_not_claimed() -> None:
    kept = [route for route in routes() if route.method not in {"PATCH", "DELETE"}]
    found = offered(Router(kept).routes)
    assert not {"patch", "delete"} & {*found.on_type, *found.conditional}
    assert {"read", "update"} <= set(found.on_type)


def test_types_that_are_no_records_claim_their_own_routes_only(statement: JSON) -> None:
    for type_ in ("AuditEvent", "OperationDefinition"):
        assert [each["code"] for each in by_type(statement)[type_]["interaction"]] == ["read", "search-type"]


def unanswered(type_: str, name: str, kind: str) -> bool:
    """Whether a search by this parameter is refused as not supported; a sample of the wrong form does not count."""
    try:
        parse(type_, [(name, SAMPLES[kind])])
    except Problem as problem:
        return any(issue.code == "not-supported" for issue in problem.issues)
    return False


def test_every_parameter_is_answered_and_every_answered_one_is_claimed(statement: JSON) -> None:
    described = by_type(statement)
    assert described.keys() == set(resource_types())
    for type_, resource in described.items():
        if type_ in {"AuditEvent", "OperationDefinition"}:
            continue
        claimed = {each["name"]: each["type"] for each in resource["searchParam"]}
        assert claimed == {code: each.kind for code, each in parameters(type_).items() if not each.unsupported}
        assert [name for name, kind in claimed.items() if unanswered(type_, name, kind)] == []


def test_every_include_is_understood(statement: JSON) -> None:
    for type_ in ("Patient", "Observation", "Encounter", "Organization"):
        resource = by_type(statement)[type_]
        for name, key in (("_include", "searchInclude"), ("_revinclude", "searchRevInclude")):
            for value in resource[key]:
                parse(type_, [(name, value)])


def test_every_operation_is_claimed(statement: JSON) -> None:
    rest = statement["rest"][0]
    claimed = {each["definition"].rpartition("/")[2] for each in rest["operation"]}
    claimed |= {each["definition"].rpartition("/")[2] for one in rest["resource"] for each in one.get("operation", ())}
    assert claimed == {operation.definition.id for operation in OPERATIONS}


def test_every_format_is_spoken(clinic: Clinic, statement: JSON) -> None:
    for name in statement["format"]:
        answer = clinic.as_("physician").get("/fhir/Patient/anna", params={"_format": name})
        assert answer.status_code == 200, name


def test_conditions_are_what_is_claimed(clinic: Clinic, statement: JSON) -> None:
    patient = by_type(statement)["Patient"]
    assert patient["conditionalUpdate"] is True
    assert patient["conditionalDelete"] in {"single", "multiple"}
    several = clinic.as_("service").delete("/fhir/Patient?_id=anna,bert")
    assert several.status_code == (412 if patient["conditionalDelete"] == "single" else 204)


def test_modes(clinic: Clinic) -> None:
    full = clinic.stranger.get("/fhir/metadata?mode=full").json()
    assert clinic.stranger.get("/fhir/metadata?mode=normative").json() == full
    terminology = clinic.stranger.get("/fhir/metadata?mode=terminology").json()
    check(terminology, "TerminologyCapabilities")
    systems = {each["uri"] for each in terminology["codeSystem"]}
    assert "http://terminology.hl7.org/CodeSystem/v3-ActCode" in systems
    assert_outcome(clinic.stranger.get("/fhir/metadata?mode=everything"))
