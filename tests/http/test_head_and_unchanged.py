# SPDX-License-Identifier: Apache-2.0
"""Asking without wanting the body: HEAD, and reads of what has not changed."""

from __future__ import annotations

import pytest
from tests.support.clinic import Clinic, put_all

ADDRESSES = (
    "/fhir/Patient/anna",
    "/fhir/Patient?name=ang",
    "/fhir/Patient/anna/_history",
    "/fhir/metadata",
    "/fhir/Patient/no",
)


@pytest.mark.parametrize("address", ADDRESSES)
def test_head_answers_like_get_without_the_body(clinic: Clinic, address: str) -> None:
    service = clinic.as_("service")
    whole, head = service.get(address), service.request("HEAD", address)
    assert head.content == b""
    assert head.status_code == whole.status_code
    same = set(whole.headers) - {"x-request-id"}
    assert {name: head.headers[name] for name in same} == {name: whole.headers[name] for name in same}


def test_head_is_refused_and_written_down_like_get(clinic: Clinic) -> None:
    assert clinic.stranger.request("HEAD", "/fhir/Patient/anna").status_code == 401
    assert clinic.as_("anna").request("HEAD", "/fhir/Patient/bert").status_code == 404
    assert clinic.as_("nurse").request("HEAD", "/fhir/Patient/anna").status_code == 200
    newest = clinic.as_("auditor").get("/fhir/AuditEvent?_count=1").text
    assert "Patient/anna" in newest


def test_a_read_of_what_has_not_changed_since(clinic: Clinic) -> None:
    nurse = clinic.as_("nurse")
    made = nurse.get("/fhir/Patient/anna").headers["last-modified"]
    assert nurse.get("/fhir/Patient/anna", headers={"if-modified-since": made}).status_code == 304
    old = "Sat, 29 Oct 1994 19:43:31 GMT"
    for header in (old, "yesterday", "Sat, 99 Oct 1994 19:43:31 GMT", "2026-01-01", made.replace("GMT", "CET")):
        assert nurse.get("/fhir/Patient/anna", headers={"if-modified-since": header}).status_code == 200
    both = {"if-modified-since": made, "if-none-match": 'W/"7"'}  # the ETag decides alone
    assert nurse.get("/fhir/Patient/anna", headers=both).status_code == 200
    assert nurse.get("/fhir/Patient/bert", headers={"if-modified-since": made}).status_code == 404


def test_a_record_that_was_hidden_meanwhile_is_not_unchanged(clinic: Clinic) -> None:
    nurse = clinic.as_("nurse")
    made = nurse.get("/fhir/Patient/anna").headers["last-modified"]
    team = clinic.as_("service").get("/fhir/CareTeam/team-anna").json()
    put_all(clinic.as_("service"), {**team, "status": "inactive"})
    assert nurse.get("/fhir/Patient/anna", headers={"if-modified-since": made}).status_code == 404
