# SPDX-License-Identifier: Apache-2.0
"""Entries as FHIR AuditEvents: valid R4 for every event, saying what the entry says."""

from __future__ import annotations

from base64 import b64decode
from typing import Any

import pytest

from salus.audit.as_fhir import audit_event
from salus.audit.entry import Entry
from salus.audit.event import Entity, Event, EventType, Outcome
from salus.fhir.validate import check
from salus.kernel.actor import Actor

from .registry import NOON, PHYSICIAN, TENANT

OWNER = b"p" * 16
OBSERVATION = Entity(OWNER, "Observation", "obs-1", 3, "R")


def shown(event: Event, *unreadable: bytes) -> dict[str, Any]:
    resource = audit_event(41, Entry(event, unreadable), TENANT)
    check(resource, "AuditEvent")
    return resource


def entities(resource: dict[str, Any], role: str) -> list[dict[str, Any]]:
    return [entity for entity in resource.get("entity", []) if entity.get("role", {}).get("code") == role]


@pytest.mark.parametrize("outcome", Outcome)
@pytest.mark.parametrize("kind", EventType)
def test_every_event_is_valid_r4(kind: EventType, outcome: Outcome) -> None:
    full = Event(kind, outcome, PHYSICIAN, NOON, "request-7", "192.0.2.7", "grant:x", "name=Anna", (OBSERVATION,))
    bare = Event(kind, outcome, Actor(TENANT, "", "service", (), ""), NOON, "")
    assert shown(full)["id"] == "41"
    assert shown(bare)["outcome"] in {"0", "4", "8"}


def test_who_when_and_why() -> None:
    resource = shown(
        Event(EventType.RECORD_READ, Outcome.GRANTED, PHYSICIAN, NOON, "request-7", "192.0.2.7", "grant:x")
    )
    user, server = resource["agent"]
    assert resource["recorded"] == "2027-01-15T08:00:00.000Z"
    assert (user["requestor"], server["requestor"]) == (True, False)
    assert user["who"]["reference"] == "Practitioner/1"
    assert user["who"]["identifier"]["value"] == "dr.amara"
    assert user["purposeOfUse"][0]["coding"][0]["code"] == "TREAT"
    assert user["network"]["address"] == "192.0.2.7"
    assert resource["outcomeDesc"] == "grant:x"


def test_what_was_read() -> None:
    resource = shown(Event(EventType.RECORD_READ, Outcome.GRANTED, PHYSICIAN, NOON, "r", entities=(OBSERVATION,)))
    assert (resource["action"], resource["subtype"][0]["code"]) == ("R", "read")
    assert entities(resource, "4")[0]["what"]["reference"] == "Observation/obs-1/_history/3"


def test_a_patient_record_is_the_patient_entity() -> None:
    anna = Entity(OWNER, "Patient", "anna", 0, "U")
    resource = shown(Event(EventType.RECORD_UPDATE, Outcome.GRANTED, PHYSICIAN, NOON, "r", entities=(anna,)))
    assert entities(resource, "1")[0]["what"]["reference"] == "Patient/anna"


def test_a_search_keeps_the_query_as_it_was_sent() -> None:
    query = "name=Müller&_count=5"
    resource = shown(Event(EventType.RECORD_SEARCH, Outcome.GRANTED, PHYSICIAN, NOON, "r", query=query))
    assert resource["action"] == "E"
    assert b64decode(entities(resource, "24")[0]["query"]).decode() == query


def test_a_patient_whose_audit_key_is_gone_shows_only_as_a_surrogate() -> None:
    resource = shown(Event(EventType.RECORD_READ, Outcome.GRANTED, PHYSICIAN, NOON, "r"), OWNER)
    (erased,) = entities(resource, "1")
    assert "what" not in erased
    assert OWNER.hex() in erased["name"]
