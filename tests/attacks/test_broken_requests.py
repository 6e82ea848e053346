# SPDX-License-Identifier: Apache-2.0
"""Probing with requests that no interaction can begin: who does it with a valid token is written down all the same."""

from __future__ import annotations

from typing import Any

import pytest

from salus.audit.event import Event, EventType, Outcome
from salus.audit.reading import entries, size
from tests.support.clinic import Clinic

JSON = {"content-type": "application/fhir+json"}

BROKEN: dict[str, tuple[str, str, bytes, dict[str, str], int]] = {
    "broken JSON": ("POST", "Observation", b"{", JSON, 400),
    "broken JSON in an update": ("PUT", "Patient/anna", b"[", JSON, 400),
    "broken bundle": ("POST", "", b"{", JSON, 400),
    "no such bundle": ("POST", "", b'{"resourceType":"Bundle","type":"history"}', JSON, 400),
    "broken patch": ("PATCH", "Patient/anna", b"{", {"content-type": "application/json-patch+json"}, 400),
    "broken arguments": ("POST", "Patient/$match", b"{", JSON, 400),
    "broken query": ("POST", "$graphql", b"{", JSON, 400),
    "unknown format": ("POST", "Observation", b"{}", {"content-type": "text/csv"}, 415),
    "answer in no format": ("GET", "Patient/anna", b"", {"accept": "text/csv"}, 406),
    "search for an answer in no format": ("GET", "Patient?name=a&_format=csv", b"", {}, 406),
    "no such type": ("GET", "Person2/anna", b"", {}, 404),
    "no such version": ("PUT", "Patient/anna", b"{}", {"if-match": "x", **JSON}, 400),
}


def _since(clinic: Clinic, start: int) -> list[Event]:
    clinic.log()
    return [entry.event for _, entry in entries(clinic.house.db, clinic.house.keyring.tenant("default"), start)]


def _size(clinic: Clinic) -> int:
    clinic.log()
    return size(clinic.house.db, "default")


@pytest.mark.parametrize("case", BROKEN)
def test_a_request_that_nothing_can_begin_with_leaves_one_entry(clinic: Clinic, case: str) -> None:
    method, path, body, headers, status = BROKEN[case]
    physician = clinic.as_("physician")
    start = _size(clinic)
    answer = physician.request(method, f"/fhir/{path}" if path else "/fhir", content=body, headers=headers)
    assert answer.status_code == status, answer.text
    (event,) = _since(clinic, start)
    assert event.outcome in {Outcome.FAILED, Outcome.REFUSED}
    assert event.actor.id == "physician"
    assert event.request == answer.headers["x-request-id"]
    assert event.query or event.type is not EventType.REQUEST_FAILED


def test_a_body_that_is_too_large_leaves_an_entry(clinic: Clinic) -> None:
    physician = clinic.as_("physician")
    start = _size(clinic)
    answer = physician.request(
        "POST", "/fhir/Observation", content=b" " * (clinic.settings.limits.body_bytes + 1), headers=JSON
    )
    assert answer.status_code == 413
    (event,) = _since(clinic, start)
    assert (event.type, event.actor.id) == (EventType.REQUEST_FAILED, "physician")


ENTRIES: dict[str, dict[str, Any]] = {
    "no request": {},
    "no such method": {"request": {"method": "LOOK", "url": "Patient"}},
    "no such address": {"request": {"method": "GET", "url": "Nothing/anna"}},
    "nothing to write": {"request": {"method": "PUT", "url": "Patient/anna"}},
    "no such operation": {"request": {"method": "GET", "url": "Patient/anna/$nothing"}},
    "a patch that is none": {
        "request": {"method": "PATCH", "url": "Patient/anna"},
        "resource": {"resourceType": "Binary", "contentType": "application/json-patch+json", "data": "e30="},
    },
}


@pytest.mark.parametrize("case", ENTRIES)
def test_an_entry_of_a_batch_that_cannot_be_read_leaves_one_entry(clinic: Clinic, case: str) -> None:
    physician = clinic.as_("physician")
    start = _size(clinic)
    sent = {"resourceType": "Bundle", "type": "batch", "entry": [ENTRIES[case]]}
    answer = physician.post("/fhir", sent)
    assert answer.status_code == 200
    assert answer.json()["entry"][0]["response"]["status"][:1] == "4"
    (event,) = _since(clinic, start)
    assert event.outcome in {Outcome.FAILED, Outcome.REFUSED}
    assert event.actor.id == "physician"


def test_what_was_sent_is_in_no_such_entry(clinic: Clinic) -> None:
    physician = clinic.as_("physician")
    start = _size(clinic)
    physician.request("POST", "/fhir/Observation", content=b'{"note": "whispered', headers=JSON)
    physician.request("POST", "/fhir/Observation", content=b"{}", headers={"content-type": "text/whispered"})
    assert "whispered" not in repr(_since(clinic, start))
