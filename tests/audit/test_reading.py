# SPDX-License-Identifier: Apache-2.0
"""Reading the log: positions, filters, pages, and proofs that a patient can take home."""

from __future__ import annotations

import pytest

from salus.audit.event import EventType, Outcome
from salus.audit.merkle import leaf_hash, verify_consistency, verify_inclusion
from salus.audit.reading import (
    Filter,
    entries,
    find,
    prove_consistency,
    prove_inclusion,
    raw_entries,
    size,
)
from salus.kernel.errors import Kind, Problem

from .registry import NOON, NURSE, TENANT, Registry


@pytest.fixture
def ward(registry: Registry) -> Registry:
    """Twelve entries, one a second: the nurse every third, Ben every fourth, the last one refused."""
    for i in range(12):
        registry.clock.ms = NOON + i * 1_000
        changed = {"actor": NURSE} if i % 3 == 0 else {}
        if i == 11:
            changed = {"outcome": Outcome.REFUSED, "type": EventType.RECORD_UPDATE}
        owner = registry.other if i % 4 == 0 else registry.patient
        registry.commit(registry.reading(f"obs-{i}", owner=owner, **changed))
    return registry


def found(registry: Registry, wanted: Filter, **options: int) -> list[int]:
    return [index for index, _ in find(registry.db, registry.keys, wanted, **options).entries]


def test_any_stretch_can_be_read(ward: Registry) -> None:
    registry = ward
    registry.commit(*(registry.reading() for _ in range(5)))
    assert size(registry.db, TENANT) == 17
    for first in range(18):
        for last in range(first, 18):
            indices = [index for index, _ in raw_entries(registry.db, TENANT, first, last)]
            assert indices == list(range(first, last))
    assert [index for index, _ in entries(registry.db, registry.keys, 14)] == [14, 15, 16]


def test_newest_first(ward: Registry) -> None:
    assert found(ward, Filter()) == list(range(11, -1, -1))


def test_by_actor(ward: Registry) -> None:
    assert found(ward, Filter(actor="nurse.lin")) == [9, 6, 3, 0]


def test_by_patient(ward: Registry) -> None:
    assert found(ward, Filter(owner=ward.other)) == [8, 4, 0]


def test_by_outcome_and_type(ward: Registry) -> None:
    assert found(ward, Filter(outcomes=frozenset({Outcome.REFUSED}))) == [11]
    assert found(ward, Filter(types=frozenset({EventType.RECORD_UPDATE, EventType.AUDIT_READ}))) == [11]


def test_by_time(ward: Registry) -> None:
    assert found(ward, Filter(since_ms=NOON + 3_000, until_ms=NOON + 5_000)) == [5, 4, 3]


def test_conditions_hold_together(ward: Registry) -> None:
    assert found(ward, Filter(owner=ward.other, actor="nurse.lin")) == [0]


def test_pages_join_without_gap_or_repeat(ward: Registry) -> None:
    ward.commit(*(ward.reading() for _ in range(5)))
    seen: list[int] = []
    before = None
    while True:
        page = find(ward.db, ward.keys, Filter(), limit=4, before=before)
        seen += [index for index, _ in page.entries]
        before = page.before
        if before is None:
            break
    assert seen == list(range(16, -1, -1))


def test_a_rare_match_costs_no_more_than_was_allowed(ward: Registry) -> None:
    page = find(ward.db, ward.keys, Filter(actor="nobody"), look_at=5)
    assert page.entries == []
    assert page.before == 7


def test_a_single_read_can_be_proven_to_the_patient(ward: Registry) -> None:
    report = ward.verify()
    for index, data in raw_entries(ward.db, TENANT):
        proof = prove_inclusion(ward.db, TENANT, index, report.size)
        assert verify_inclusion(index, report.size, leaf_hash(data), report.root, proof)


def test_growth_between_two_checkpoints_can_be_proven(ward: Registry) -> None:
    before = ward.verify()
    ward.commit(*(ward.reading() for _ in range(5)))
    after = ward.verify()
    proof = prove_consistency(ward.db, TENANT, before.size, after.size)
    assert verify_consistency(before.size, after.size, before.root, after.root, proof)


def test_proofs_beyond_the_log_are_not_found(ward: Registry) -> None:
    for attempt in (
        lambda: prove_inclusion(ward.db, TENANT, 3, 99),
        lambda: prove_inclusion(ward.db, TENANT, 12, 12),
        lambda: prove_consistency(ward.db, TENANT, 3, 99),
        lambda: prove_consistency(ward.db, TENANT, 0, 3),
    ):
        with pytest.raises(Problem) as caught:
            attempt()
        assert caught.value.kind is Kind.NOT_FOUND


def test_a_damaged_row_is_a_fault_and_not_a_short_answer(ward: Registry) -> None:
    ward.db.execute("update audit_batch set count=2 where first=3")
    for attempt in (lambda: found(ward, Filter()), lambda: list(raw_entries(ward.db, TENANT))):
        with pytest.raises(Problem) as caught:
            attempt()
        assert caught.value.kind is Kind.FAULT
