# SPDX-License-Identifier: Apache-2.0
"""Going over to another index key: every search is right at every moment, wherever the work stops."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from salus.app.indexing import bring_up_to_date, operator
from salus.app.rotating import rotate_index
from salus.audit.event import EventType
from salus.audit.reading import Filter
from salus.crypto.key_table import Purpose
from salus.kernel.errors import Kind, Problem
from salus.records import index_turn
from salus.records.index_turn import SETTLE_MS, advance, begin, under_way
from salus.records.store.turned import Step
from tests.support.clinic import JSON, Clinic, heart_rate, put_all
from tests.support.hand_clock import HandClock

QUERIES = (
    "Patient?name=Ev",
    "Patient?name:exact=Eve",
    "Patient?birthdate=lt1990",
    "Patient?identifier=http://clinic.example/mrn|7",
    "Observation?code=http://loinc.org|8867-4",
    "Observation?subject=Patient/eve",
    "Observation?subject:Patient.name=Eve",
    "Observation?value-quantity=gt70",
    "Patient?_has:Observation:subject:code=http://loinc.org|8867-4",
    "Observation?_content=resting",
    "Observation?date=ge2024",
)
"""One for each kind of token, the words index and chains among them."""


class _PowerCut(BaseException):
    pass


@pytest.fixture
def clinic(tmp_path: Path) -> Iterator[Clinic]:
    made = Clinic(tmp_path / "data", clock=HandClock())
    try:
        put_all(made.as_("service"), *people(20))
        yield made
    finally:
        made.close()
        made.loop.close()


def people(count: int) -> list[JSON]:
    eve: JSON = {
        "resourceType": "Patient",
        "id": "eve",
        "name": [{"text": "Eve", "given": ["Eve"]}],
        "birthDate": "1980-02-03",
        "identifier": [{"system": "http://clinic.example/mrn", "value": "7"}],
    }
    pulses = [pulse(f"pulse-{n}", 60 + n) for n in range(count)]
    return [eve, *pulses]


def pulse(id_: str, rate: int) -> JSON:
    return heart_rate("eve", rate) | {"id": id_, "note": [{"text": "resting in the garden"}]}


def answers(clinic: Clinic) -> dict[str, list[str]]:
    service = clinic.as_("service")
    return {query: sorted(found["id"] for found in service.find(query)) for query in QUERIES}


def later(clinic: Clinic, ms: int = SETTLE_MS) -> None:
    clock = clinic.clock
    assert isinstance(clock, HandClock)
    clock.forward(ms)


def go_on(clinic: Clinic) -> Step | None:
    return clinic.run(advance(operator(clinic.house, "default")))


def terms(clinic: Clinic) -> dict[str, int]:
    """Every token that stands in the index, with the number of records."""
    db = clinic.house.db
    db.execute("create virtual table if not exists temp.seen using fts5vocab('main', 'blind_token', 'row')")
    return dict(db.execute("select term, doc from temp.seen").fetchall())


def events(clinic: Clinic) -> list[str]:
    wanted = Filter(types=frozenset({EventType.KEYS_ROTATE, EventType.INDEX_REBUILD, EventType.KEYS_DESTROY}))
    page = clinic.log().page("default", wanted, limit=20)
    return [entry.event.type.value for _, entry in page.entries][::-1]


def test_every_search_is_right_before_between_and_after_every_step(clinic: Clinic) -> None:
    right = answers(clinic)
    assert all(right.values())
    tokens = sum(terms(clinic).values())
    ctx = operator(clinic.house, "default")
    assert clinic.run(begin(ctx)) == 2
    assert answers(clinic) == right
    put_all(clinic.as_("service"), pulse("during", 99))
    right = answers(clinic)
    assert "during" in right["Observation?value-quantity=gt70"]
    assert go_on(clinic) is Step.CLEAN
    assert answers(clinic) == right
    assert sum(terms(clinic).values()) > 1.9 * tokens  # those of both keys, for who planned before
    put_all(clinic.as_("service"), pulse("settling", 98))
    right = answers(clinic)
    assert go_on(clinic) is Step.CLEAN  # not yet
    later(clinic)
    assert go_on(clinic) is None
    assert answers(clinic) == right
    assert sum(terms(clinic).values()) < 1.2 * tokens
    put_all(clinic.as_("service"), pulse("after", 97))
    assert "after" in answers(clinic)["Observation?value-quantity=gt70"]
    assert events(clinic) == ["keys.rotate", "index.rebuild", "index.rebuild", "keys.destroy"]


def test_no_token_of_the_former_key_is_left_and_a_second_rotation_destroys_its_key(clinic: Clinic) -> None:
    keys = clinic.house.keyring.tenant("default")
    for former in (1, 2):
        old = keys.index(former).token_terms("Observation", "code", "http://loinc.org", "8867-4")[0]
        assert clinic.house.services.store.reader.held(old)
        assert not clinic.run(rotate_index(clinic.house, "default"))
        later(clinic)
        assert clinic.run(rotate_index(clinic.house, "default"))
        assert old not in terms(clinic)
    assert clinic.house.keyring.table.get("default", Purpose.INDEX, "2") == (1, b"")
    with pytest.raises(Problem) as caught:
        keys.index(2)
    assert caught.value.kind is Kind.FAULT
    assert all(answers(clinic).values())


@pytest.mark.parametrize("stop", range(1, 9))
def test_a_rotation_that_stops_anywhere_is_finished_by_the_next(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch, stop: int
) -> None:
    """Killed before its n-th commit; the process that comes next finds everything, and does the rest."""
    monkeypatch.setattr("salus.records.reindexing._BATCH", 8)
    right, commits = answers(clinic), 0
    submit = clinic.house.writer.submit

    def dying(unit: object) -> object:
        nonlocal commits
        commits += 1
        if commits == stop:
            raise _PowerCut
        return submit(unit)  # type: ignore[arg-type]

    monkeypatch.setattr(clinic.house.writer, "submit", dying)
    with suppress(_PowerCut):
        for _ in range(2):
            clinic.run(rotate_index(clinic.house, "default"))
            later(clinic)
    assert commits == stop
    monkeypatch.setattr(clinic.house.writer, "submit", submit)
    clinic.house.indexing.__exit__()
    clinic.close()
    clinic.open()
    assert answers(clinic) == right
    clinic.run(rotate_index(clinic.house, "default"))
    later(clinic)
    assert clinic.run(rotate_index(clinic.house, "default"))
    assert answers(clinic) == right
    state, _ = clinic.house.services.store.registries.of("default")
    assert (state.beside, state.former) == (0, 0)
    assert clinic.house.keyring.tenant("default").has_index(state.key)


def test_the_server_goes_on_with_what_a_command_has_begun(clinic: Clinic) -> None:
    clinic.run(begin(operator(clinic.house, "default")))
    assert clinic.run(bring_up_to_date(clinic.house, "default")) == []
    later(clinic)
    assert clinic.run(bring_up_to_date(clinic.house, "default")) == []
    assert under_way(operator(clinic.house, "default")) is None


def test_a_condition_holds_across_every_step(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process takes a step while a conditional create is between its search and its commit."""
    service = clinic.as_("service")
    eve = people(0)[0]
    header = {"if-none-exist": "identifier=http://clinic.example/mrn|8"}
    born = eve | {"identifier": [{"system": "http://clinic.example/mrn", "value": "8"}]}
    del born["id"]
    real = clinic.house.writer.submit
    ctx = operator(clinic.house, "default")
    steps = iter([lambda: begin(ctx), lambda: advance(ctx), lambda: advance(ctx)])

    async def between(unit: object) -> None:
        monkeypatch.setattr(clinic.house.writer, "submit", real)
        step = next(steps)
        later(clinic)
        await step()
        await real(unit)  # type: ignore[arg-type]

    for status in (201, 200, 200):
        monkeypatch.setattr(clinic.house.writer, "submit", between)
        assert service.post("/fhir/Patient", born, headers=header).status_code == status
    assert len(service.find("Patient?identifier=http://clinic.example/mrn|8")) == 1


def test_two_tenants_do_not_share_a_turn(clinic: Clinic) -> None:
    clinic.house.keyring.create_tenant("other")
    clinic.run(begin(operator(clinic.house, "default")))
    assert under_way(operator(clinic.house, "other")) is None
    with pytest.raises(Problem) as caught:
        clinic.run(begin(operator(clinic.house, "default")))
    assert caught.value.kind is Kind.CONFLICT


def test_the_wait_after_the_switch_is_longer_than_any_request(clinic: Clinic) -> None:
    clinic.run(begin(operator(clinic.house, "default")))
    go_on(clinic)
    assert index_turn.waits(operator(clinic.house, "default"))
    later(clinic, SETTLE_MS - 1)
    assert index_turn.waits(operator(clinic.house, "default"))
    later(clinic, 1)
    assert not index_turn.waits(operator(clinic.house, "default"))
