# SPDX-License-Identifier: Apache-2.0
"""A patient gets another key: everything is sealed anew while it is read and written, wherever the work stops."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from salus.access.permissions import Permission
from salus.app.house import House
from salus.app.rotating import end_patient, rotate_patient
from salus.audit.event import EventType
from salus.audit.reading import Filter
from salus.crypto.envelope import commitment
from salus.crypto.key_table import Purpose
from salus.kernel.errors import Kind, Problem
from salus.records.interactions.content import content_of
from salus.records.interactions.read import read
from salus.records.store import renewal
from tests.attacks.test_erasure import erased
from tests.support.backups import Backups, reopened
from tests.support.clinic import Clinic, heart_rate

FILE = os.urandom(2_000_000)  # 41 chunks
ANNA = {"x-security-context": "Patient/anna", "content-type": "image/png"}


class _PowerCut(BaseException):
    pass


@pytest.fixture
def file(clinic: Clinic) -> str:
    """Anna has a file, an old and a deleted version of records; gives the id of the file."""
    service = clinic.as_("service")
    for rate in (61, 62, 63):
        assert service.put("/fhir/Observation/pulse-anna", heart_rate("anna", rate)).is_success
    assert service.put("/fhir/Observation/gone", heart_rate("anna", 70) | {"id": "gone"}).is_success
    assert service.delete("/fhir/Observation/gone").is_success
    answer = service.request("POST", "/fhir/Binary", content=FILE, headers=ANNA)
    return str(answer.headers["location"].split("/")[-3])


def owner(clinic: Clinic) -> bytes:
    return clinic.house.desk.owner("default", "anna")


def seen(clinic: Clinic, file: str) -> list[Any]:
    """All that there is of Anna, and of Bert."""
    service = clinic.as_("service")
    found: list[Any] = [service.get(f"/fhir/{path}").json() for path in ("Patient/anna", "Patient/bert")]
    histories = [service.get(f"/fhir/Observation/{id_}/_history").json() for id_ in ("pulse-anna", "gone")]
    found += [[entry.get("resource") for entry in history["entry"]] for history in histories]
    found.append(sorted(each["id"] for each in service.find("Observation?subject=Patient/anna")))
    found.append(service.get(f"/fhir/Binary/{file}").content == FILE)
    return found


def renew(clinic: Clinic, house: House | None = None) -> None:
    async def all_of_it() -> None:
        at = house or clinic.house
        done = await rotate_patient(at, "default", owner(clinic), "anna")
        await end_patient(at, "default", owner(clinic), "anna", done)

    clinic.run(all_of_it())


def under(clinic: Clinic) -> set[bytes]:
    """Commitments to the keys that everything of Anna lies under: rows, heads of files and, by a second set, chunks."""
    db = clinic.house.db
    rows = db.execute("select body from record where owners=? and body <> x''", (owner(clinic),)).fetchall()
    heads = db.execute("select head from content").fetchall()
    return {commitment(bytes(blob)) for (blob,) in [*rows, *heads]}  # type: ignore[arg-type]


def chunk_keys(clinic: Clinic) -> set[bytes]:
    return {commitment(bytes(blob)) for (blob,) in clinic.house.db.execute("select body from content_chunk")}  # type: ignore[arg-type]


def test_everything_lies_under_the_new_key_and_reads_as_before(clinic: Clinic, file: str) -> None:
    before, keys, chunks = seen(clinic, file), under(clinic), chunk_keys(clinic)
    assert before[-1] is True
    renew(clinic)
    assert seen(clinic, file) == before
    assert len(under(clinic)) == len(chunk_keys(clinic)) == 1
    assert not under(clinic) & keys
    assert not chunk_keys(clinic) & chunks
    assert clinic.house.keyring.table.get("default", Purpose.FORMER, owner(clinic)) is None
    assert clinic.house.db.execute("select count(*) from content where former <> x''").get == 0
    wanted = Filter(types=frozenset({EventType.KEYS_ROTATE, EventType.KEYS_DESTROY}), owner=owner(clinic))
    page = clinic.log().page("default", wanted, limit=5)
    assert [entry.event.type for _, entry in page.entries] == [EventType.KEYS_DESTROY, EventType.KEYS_ROTATE]
    renew(clinic)  # and once more
    assert seen(clinic, file) == before


@pytest.mark.parametrize("stop", range(1, 9))
def test_wherever_it_stops_everything_is_read_and_the_next_does_the_rest(
    clinic: Clinic, file: str, monkeypatch: pytest.MonkeyPatch, stop: int
) -> None:
    monkeypatch.setattr("salus.app.rotating._ROWS", 4)
    before, commits, submit = seen(clinic, file), 0, clinic.house.writer.submit

    def dying(unit: object) -> object:
        nonlocal commits
        commits += 1
        if commits == stop:
            raise _PowerCut
        return submit(unit)  # type: ignore[arg-type]

    monkeypatch.setattr(clinic.house.writer, "submit", dying)
    with suppress(_PowerCut):
        renew(clinic)
    assert commits == stop
    monkeypatch.setattr(clinic.house.writer, "submit", submit)
    clinic.close()
    clinic.open()
    assert seen(clinic, file) == before
    assert clinic.as_("service").put("/fhir/Observation/new", heart_rate("anna", 80) | {"id": "new"}).is_success
    renew(clinic)
    assert len(under(clinic)) == len(chunk_keys(clinic)) == 1
    assert [*seen(clinic, file)[:4], True] == [*before[:4], True]
    assert clinic.as_("service").get("/fhir/Observation/new").status_code == 200


def test_a_process_that_holds_the_former_key_goes_on(clinic: Clinic, file: str) -> None:
    """It reads what another process sealed anew, and what it writes lies under the new key."""
    before = seen(clinic, file)  # from now on its keys are in memory
    other = House(clinic.settings)
    try:
        renew(clinic, other)
    finally:
        other.close()
    assert clinic.as_("service").put("/fhir/Observation/late", heart_rate("anna", 80) | {"id": "late"}).is_success
    assert clinic.as_("service").request("POST", "/fhir/Binary", content=FILE, headers=ANNA).is_success
    assert len(under(clinic)) == 1
    assert clinic.as_("service").delete("/fhir/Observation/late").is_success
    assert seen(clinic, file)[:4] == before[:4]
    assert len(under(clinic)) == 1


def test_a_writer_between_sealing_and_commit_starts_over(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    submit = clinic.house.writer.submit

    async def between(unit: Any) -> None:
        monkeypatch.setattr(clinic.house.writer, "submit", submit)
        done = await rotate_patient(clinic.house, "default", owner(clinic), "anna")
        await end_patient(clinic.house, "default", owner(clinic), "anna", done)
        await submit(unit)

    monkeypatch.setattr(clinic.house.writer, "submit", between)
    assert clinic.as_("service").put("/fhir/Observation/pulse-anna", heart_rate("anna", 91)).is_success
    assert clinic.as_("service").get("/fhir/Observation/pulse-anna").json()["valueQuantity"]["value"] == 91
    assert len(under(clinic)) == 1


@pytest.mark.parametrize("piece", [0, 1, 20, 40])
def test_a_file_may_be_on_its_way_to_a_reader_meanwhile(clinic: Clinic, file: str, piece: int) -> None:
    async def streamed() -> bytes:
        ctx = clinic.context("service")
        version = await read(ctx, "Binary", file)
        parts: AsyncIterator[bytes] = content_of(ctx, version, Permission.RECORD_READ).part(0, len(FILE))
        given = b""
        number = 0
        async for part in parts:
            given += part
            if number == piece:
                done = await rotate_patient(clinic.house, "default", owner(clinic), "anna")
                await end_patient(clinic.house, "default", owner(clinic), "anna", done)
            number += 1
        return given

    assert clinic.run(streamed()) == FILE


def test_what_lay_under_the_former_key_is_not_believed_any_more(clinic: Clinic) -> None:
    """Whoever has it puts a genuine old row back, or makes one of their own."""
    db = clinic.house.db
    (seq, body) = db.execute("select seq, body from record where owners=? and current=1", (owner(clinic),)).fetchone()
    renew(clinic)
    with clinic.behind() as outside:
        outside.execute("update record set body=? where seq=?", (body, seq))
    answers = [clinic.as_("service").get(f"/fhir/{path}") for path in ("Patient/anna", "Observation/pulse-anna")]
    assert 500 in {answer.status_code for answer in answers}


def test_a_row_that_was_tampered_with_keeps_the_former_key(clinic: Clinic, file: str) -> None:
    db = clinic.house.db
    seq = db.execute("select min(seq) from record where owners=? and current=1", (owner(clinic),)).get
    with clinic.behind() as outside:
        outside.execute("update record set body=zeroblob(length(body)) where seq=?", (seq,))
    with pytest.raises(Problem) as caught:
        renew(clinic)
    assert caught.value.kind is Kind.FAULT
    assert clinic.house.keyring.tenant("default").is_renewing(owner(clinic))


def test_an_erasure_in_the_middle_takes_the_former_key_along(clinic: Clinic) -> None:
    keys = clinic.house.keyring.tenant("default")
    clinic.run(rotate_patient(clinic.house, "default", owner(clinic), "anna"))
    assert keys.former_key(owner(clinic)) is not None
    erased(clinic)
    assert clinic.house.keyring.table.get("default", Purpose.FORMER, owner(clinic)) is None
    assert not keys.is_renewing(owner(clinic))
    with pytest.raises(Problem) as caught:
        keys.renew(owner(clinic))
    assert caught.value.kind is Kind.GONE


def test_an_unknown_patient_is_not_found(clinic: Clinic) -> None:
    nobody = clinic.house.desk.owner("default", "nobody")
    with pytest.raises(Problem):
        clinic.run(rotate_patient(clinic.house, "default", nobody, "nobody"))
    assert not clinic.house.keyring.tenant("default").is_renewing(nobody)


def test_a_backup_from_before_gives_everybody_else_back_and_says_who_is_missing(
    clinic: Clinic, file: str, tmp_path: Path
) -> None:
    backups = Backups(clinic.folder, tmp_path)
    backups.create()
    before = clinic.as_("service").get("/fhir/Patient/bert").json()
    renew(clinic)
    backups.create()
    old = backups.restore(tmp_path / "old", "--number", "1")
    assert old.exit_code == 1
    assert "key was replaced after this backup" in old.output
    new = backups.restore(tmp_path / "new")
    assert new.exit_code == 0, new.output
    reopened(clinic, tmp_path / "old")
    assert clinic.as_("service").get("/fhir/Patient/bert").json() == before
    assert clinic.as_("service").get("/fhir/Patient/anna").status_code == 404
    reopened(clinic, tmp_path / "new")
    assert clinic.as_("service").get(f"/fhir/Binary/{file}").content == FILE


def test_chunks_of_a_file_are_few_enough_for_one_commit() -> None:
    assert renewal.CHUNKS * 48 * 1024 < 1024 * 1024
