# SPDX-License-Identifier: Apache-2.0
"""What an entry gives back, what it shows without keys, and under whose key each thing lies."""

from __future__ import annotations

import os

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from salus.audit.entry import BODY, Entry, open_entry, outline, seal_entry
from salus.audit.event import Entity, Event, EventType, Outcome
from salus.kernel.actor import Actor
from salus.kernel.errors import Kind, Problem

from .registry import NOON, TENANT, Registry, flipped

words = st.text(max_size=12)
OWNERS = [bytes([n]) * 16 for n in range(3)]
entities = st.builds(
    Entity,
    st.sampled_from([b"", *OWNERS]),
    words,
    words,
    st.integers(0, 2**40),
    st.sampled_from(["C", "R", "U", "D"]),
)
actors = st.builds(
    Actor,
    st.just(TENANT),
    words,
    words,
    st.lists(words).map(tuple),
    words,
    words,
    words,
    st.lists(words).map(tuple),
)
events = st.builds(
    Event,
    st.sampled_from(EventType),
    st.sampled_from(Outcome),
    actors,
    st.integers(0, 2**45),
    words,
    words,
    words,
    words,
    st.lists(entities, max_size=5).map(tuple),
)


def sealed(registry: Registry, event: Event) -> bytes:
    return seal_entry(event, registry.keys, registry.keys.sealer(BODY))


def drop_audit_key(registry: Registry, owner: bytes) -> None:
    """Destroy a patient's audit key in the key table and in memory."""
    registry.keys._table._db.execute("delete from audit_key where owner=?", (owner,))
    for opened in registry.keys._opened.values():
        opened.pop(owner, None)


@settings(max_examples=60)
@given(event=events)
def test_an_event_comes_back_as_it_went_in(registry: Registry, event: Event) -> None:
    entry = open_entry(sealed(registry, event), registry.keys)
    assert entry.unreadable == ()
    by_owner = {entity.owner: None for entity in event.entities if entity.owner}
    regrouped = tuple(e for owner in (b"", *by_owner) for e in event.entities if e.owner == owner)
    assert entry.event == msgspec.structs.replace(event, entities=regrouped)


def test_the_outline_needs_no_key_and_names_patients_by_surrogate(registry: Registry) -> None:
    event = registry.reading()
    shown = outline(sealed(registry, event))
    assert (shown.at_ms, shown.type, shown.outcome) == (NOON, EventType.RECORD_READ, Outcome.GRANTED)
    assert shown.owners == (registry.patient,)


def test_nothing_that_names_anyone_lies_in_clear(registry: Registry) -> None:
    event = registry.reading("obs-secret", query="name=Garcia", type=EventType.RECORD_SEARCH)
    data = sealed(registry, event)
    for text in (
        b"obs-secret",
        b"Observation",
        b"Garcia",
        b"dr.amara",
        b"Practitioner",
        b"192.0.2.7",
        b"request-7",
    ):
        assert text not in data


def test_what_identifies_the_patient_does_not_lie_under_the_tenants_key(registry: Registry) -> None:
    event = registry.reading("obs-secret", query="subject=Patient/anna")
    data = sealed(registry, event)
    drop_audit_key(registry, registry.patient)
    entry = open_entry(data, registry.keys)
    assert entry.event.entities == ()
    assert entry.event.query == ""
    assert entry.unreadable == (registry.patient,)


def test_who_acted_is_still_known_when_the_patients_audit_key_is_gone(registry: Registry) -> None:
    event = registry.reading()
    data = sealed(registry, event)
    drop_audit_key(registry, registry.patient)
    left = msgspec.structs.replace(event, entities=())
    assert open_entry(data, registry.keys) == Entry(left, (registry.patient,))


def test_destroying_one_patients_audit_key_leaves_the_other_patient_readable(registry: Registry) -> None:
    his = Entity(registry.other, "Patient", "ben", 1, "R")
    event = registry.reading(query="name=B")
    both = msgspec.structs.replace(event, entities=(*event.entities, his))
    data = sealed(registry, both)
    drop_audit_key(registry, registry.patient)
    entry = open_entry(data, registry.keys)
    assert entry.event.entities == (his,)
    assert entry.event.query == "name=B"  # concerns several patients, so it lies under the tenant's key
    assert entry.unreadable == (registry.patient,)


def test_two_entries_of_the_same_event_differ(registry: Registry) -> None:
    event = registry.reading()
    assert sealed(registry, event) != sealed(registry, event)


@pytest.mark.parametrize("field", [1, 2, 3])
def test_attack_time_type_or_outcome_rewritten(registry: Registry, field: int) -> None:
    array = msgspec.msgpack.decode(sealed(registry, registry.reading()))
    array[field] = {1: NOON + 1, 2: "record.delete", 3: "refused"}[field]
    with pytest.raises(Problem) as caught:
        open_entry(msgspec.msgpack.encode(array), registry.keys)
    assert caught.value.kind is Kind.FAULT


def test_attack_part_moved_to_another_patient(registry: Registry) -> None:
    array = msgspec.msgpack.decode(sealed(registry, registry.reading()))
    array[5][0][0] = registry.other
    entry = open_entry(msgspec.msgpack.encode(array), registry.keys)
    assert entry.unreadable == (registry.other,)
    assert entry.event.entities == ()


def test_attack_entry_moved_to_another_tenant(registry: Registry) -> None:
    other = registry.ring.create_tenant("other")
    with pytest.raises(Problem):
        open_entry(sealed(registry, registry.reading()), other)


def test_attack_any_flipped_bit_loses_something_or_everything(registry: Registry) -> None:
    event = registry.reading()
    data = sealed(registry, event)
    for position in range(len(data)):
        try:
            entry = open_entry(flipped(data, position), registry.keys)
        except Problem:
            continue
        assert entry.unreadable


def test_bytes_that_are_no_entry_are_a_fault(registry: Registry) -> None:
    newer = msgspec.msgpack.decode(sealed(registry, registry.reading()))
    newer[0] = 2
    for data in (b"", b"\x93", os.urandom(64), msgspec.msgpack.encode([1, 2]), msgspec.msgpack.encode(newer)):
        with pytest.raises(Problem) as caught:
            outline(data)
        assert caught.value.kind is Kind.FAULT


def test_a_surrogate_of_the_wrong_length_is_refused(registry: Registry) -> None:
    with pytest.raises(Problem) as caught:
        sealed(registry, registry.reading(owner=b"short"))
    assert caught.value.kind is Kind.FAULT
