# SPDX-License-Identifier: Apache-2.0
"""Without keys, policy or audit nothing starts, and nothing is released."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from salus.access.decide import Access
from salus.app.house import House, Stand
from salus.app.server import build_application
from salus.audit.log import AuditLog
from salus.kernel.db import Connection, open_database
from salus.kernel.errors import Kind, Problem
from tests.support.clinic import BASE, Clinic, heart_rate

DOORS = (
    ("GET", "/fhir/Patient/anna", None),
    ("GET", "/fhir/Patient/anna/_history", None),
    ("GET", "/fhir/Patient/anna/_history/1", None),
    ("GET", "/fhir/Patient/nobody", None),
    ("GET", "/fhir/Observation?patient=anna", None),
    ("GET", "/fhir/Observation?_summary=count", None),
    ("GET", "/fhir/_history", None),
    ("POST", "/fhir/Observation", heart_rate("anna", 1)),
    ("PUT", "/fhir/Observation/pulse-anna", heart_rate("anna", 1)),
    ("DELETE", "/fhir/Observation/pulse-anna", None),
    (
        "POST",
        "/fhir",
        {
            "resourceType": "Bundle",
            "type": "batch",
            "entry": [{"request": {"method": "GET", "url": "Patient/anna"}}],
        },
    ),
    (
        "POST",
        "/fhir",
        {
            "resourceType": "Bundle",
            "type": "transaction",
            "entry": [{"request": {"method": "GET", "url": "Patient/anna"}}],
        },
    ),
)


def nothing_is_released(clinic: Clinic) -> None:
    """Every door answers 503, says when to come back, and tells nothing."""
    who = clinic.as_("physician")
    for method, path, body in DOORS:
        answer = who.request(method, path, json=body)
        assert answer.status_code == 503, (method, path, answer.text)
        assert int(answer.headers["retry-after"]) > 0
        assert answer.json()["issue"][0]["code"] == "transient"
        assert "Ångström" not in answer.text
        assert "8867-4" not in answer.text
    assert clinic.stranger.get("/fhir/Patient/anna").status_code == 503  # a refusal must be written down too


def forge(clinic: Clinic, sql: str) -> None:
    """Edit the database from outside."""
    db = open_database(clinic.folder / "records.db", clinic.house.keyring.page_key("records"))
    db.execute(sql)
    assert db.changes() > 0
    db.close()


@pytest.mark.parametrize(
    "sql",
    [
        "update audit_head set mac=zeroblob(32)",
        "update audit_head set size=size-1",
        "delete from audit_head",
    ],
)
def test_a_forged_head_of_the_audit_log_stops_everything(clinic: Clinic, sql: str) -> None:
    clinic.token("physician")
    versions = count_of(clinic)
    forge(clinic, sql)
    nothing_is_released(clinic)
    assert count_of(clinic) == versions
    published = {path: path.read_bytes() for path in (clinic.folder / "checkpoints").rglob("*") if path.is_file()}
    with contextlib.suppress(Problem):  # without a head there is nothing to sign; with a forged one it refuses
        clinic.house.audit.checkpoint_now(clinic.house.db)
    assert published == {path: path.read_bytes() for path in published}
    clinic.house.audit.checkpoint_now = lambda db: None  # type: ignore[method-assign]  # so that the fixture can close


def test_a_forged_tree_is_noticed_at_the_next_start(clinic: Clinic) -> None:
    """While it runs the server goes by what it knows; a new process believes nothing without its MAC."""
    clinic.token("physician")
    page_key = clinic.house.keyring.page_key("records")
    clinic.close()
    db = open_database(clinic.folder / "records.db", page_key)
    db.execute("update audit_head set frontier=substr(frontier, 2)")
    db.close()
    tokens = clinic._tokens
    clinic.open()
    clinic._tokens = tokens  # a new one could not be issued: that is audited as well
    nothing_is_released(clinic)
    clinic.house.audit.checkpoint_now = lambda db: None  # type: ignore[method-assign]


def count_of(clinic: Clinic) -> int:
    """How many versions the store holds."""
    return int(clinic.house.db.execute("select count(*) from record").fetchone()[0])


def test_a_log_that_was_cut_off_stops_everything_after_a_restart(clinic: Clinic) -> None:
    """The published checkpoints know better than the database."""
    clinic.token("physician")
    clinic.close()
    shutil.copy(clinic.folder / "records.db", clinic.folder.parent / "old.db")
    clinic.open()
    clinic.as_("physician").get("/fhir/Patient/anna")
    clinic.close()
    shutil.copy(clinic.folder.parent / "old.db", clinic.folder / "records.db")
    for tail in ("-wal", "-shm"):
        (clinic.folder / f"records.db{tail}").unlink(missing_ok=True)
    clinic.open()
    with pytest.raises(Problem) as refused:  # not even a token can be issued, since that is audited
        clinic.run(clinic.house.record(_unit(), clinic.house.operator(), _event()))
    assert refused.value.kind is Kind.UNAVAILABLE
    clinic.house.audit.checkpoint_now = lambda db: None  # type: ignore[method-assign]


def _unit() -> Any:
    from salus.kernel.commit import Unit

    return Unit()


def _event() -> Any:
    from salus.audit.event import EventType

    return EventType.AUDIT_VERIFY


class Broken:
    """An audit log whose disk is full: everything else is the real one."""

    def __init__(self, real: AuditLog) -> None:
        self._real = real
        self.full = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def keep(self, db: Connection, parts: Sequence[Any]) -> None:
        """Fail as the file of the journal does."""
        if self.full:
            raise OSError("disk full")
        self._real.keep(db, parts)

    def apply(self, db: Connection, parts: Sequence[Any]) -> None:
        """Fail as SQLite does."""
        if self.full:
            raise OSError("disk full")
        self._real.apply(db, parts)


def test_an_audit_log_that_cannot_be_written_stops_everything(clinic: Clinic) -> None:
    clinic.token("physician")
    broken: list[Broken] = []

    def stand(real: AuditLog) -> Broken:
        broken.append(Broken(real))
        return broken[0]

    clinic.close()
    clinic.house = House(clinic.settings, stand=Stand(audit=stand))
    clinic.application = build_application(clinic.house)
    clinic.http = httpx.AsyncClient(transport=httpx.ASGITransport(clinic.application), base_url=BASE)
    versions = count_of(clinic)
    broken[0].full = True
    nothing_is_released(clinic)
    assert count_of(clinic) == versions
    broken[0].full = False
    assert clinic.as_("physician").get("/fhir/Patient/anna").status_code == 200  # and it goes on when it can


def test_no_policy_is_no_access(clinic: Clinic) -> None:
    """`Access` without a policy refuses everyone everything."""
    clinic.close()
    nothing = Stand(access=lambda real: Access(None, real._relations, real._surrogate))
    clinic.house = House(clinic.settings, stand=nothing)
    clinic.application = build_application(clinic.house)
    clinic.http = httpx.AsyncClient(transport=httpx.ASGITransport(clinic.application), base_url=BASE)
    for name in ("physician", "service", "administrator", "anna"):
        for method, path, body in DOORS[:10]:
            assert clinic.as_(name).request(method, path, json=body).status_code == 403


def _start(clinic: Clinic) -> Problem:
    """Open the house; it must refuse."""
    with pytest.raises(Problem) as refused:
        House(clinic.settings)
    return refused.value


@pytest.fixture
def closed(clinic: Clinic) -> Any:
    """A clinic whose house was closed; opened again at the end, so that its fixture can close it."""
    clinic.token("physician")
    kept = clinic.folder.parent / "kept"
    clinic.close()
    shutil.copytree(clinic.folder, kept)
    yield clinic
    shutil.rmtree(clinic.folder)
    kept.rename(clinic.folder)
    clinic.open()


@pytest.mark.parametrize(
    "text", [None, "", "policy = 1", 'policy = "x"\nversion = 1\n[role.x]\nfoo = 1\n', "\x00", "[["]
)
def test_a_missing_or_broken_policy_stops_the_start(closed: Clinic, text: str | None) -> None:
    path = closed.folder / "policy.toml"
    path.unlink()
    if text is not None:
        path.write_text(text)
    assert _start(closed).kind in {Kind.UNAVAILABLE, Kind.INVALID, Kind.INCORRECT}


def test_a_policy_whose_own_examples_fail_stops_the_start(closed: Clinic) -> None:
    path = closed.folder / "policy.toml"
    text = path.read_text()
    widened = text.replace('id = "nurse-read-chart"', 'id = "nurse-read-chart"', 1).replace(
        'types = ["@clinical", "@persons", "Appointment", "Coverage"]\nwhen = ["care-relationship"]',
        'types = ["@clinical", "@persons", "Appointment", "Coverage"]\nwhen = ["any"]',
    )
    assert widened != text
    path.write_text(widened)
    assert _start(closed).kind in {Kind.INVALID, Kind.INCORRECT}


@pytest.mark.parametrize("name", ["keys/root.key", "keys/page.key", "keys/keys.db"])
@pytest.mark.parametrize("how", ["missing", "damaged", "of another installation"])
def test_a_missing_or_wrong_key_stops_the_start(closed: Clinic, tmp_path: Path, name: str, how: str) -> None:
    path = closed.folder / name
    for tail in ("-wal", "-shm"):
        path.with_name(path.name + tail).unlink(missing_ok=True)
    if how == "missing":
        path.unlink()
    elif how == "damaged":
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 0xFF
        path.write_bytes(bytes(data))
        if name.endswith("keys.db"):
            path.write_bytes(b"\0" * 4096 + bytes(data[4096:]))
    else:
        from salus.app.found import found

        found(tmp_path / "elsewhere")
        shutil.copy(tmp_path / "elsewhere" / name, path)
    assert _start(closed).kind in {Kind.UNAVAILABLE, Kind.FAULT}


@pytest.mark.parametrize("name", ["keys/root.key", "keys/page.key"])
def test_a_key_that_others_may_read_stops_the_start(closed: Clinic, name: str) -> None:
    (closed.folder / name).chmod(0o644)
    assert _start(closed).kind is Kind.UNAVAILABLE


def test_a_request_that_nobody_waits_for_is_audited_all_the_same(clinic: Clinic) -> None:
    """Cancelled while its entry is on its way to the disk: the entry stays."""
    from salus.audit.reading import size

    async def give_up(turns: int) -> bool:
        headers = {"authorization": f"Bearer {token}"}
        task = asyncio.create_task(clinic.http.get("/fhir/Patient/anna", headers=headers))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return task.cancelled()

    def entries() -> int:
        clinic.log()
        return size(clinic.house.db, "default")

    token = clinic.token("physician")
    noted = []
    for turns in range(12):  # from before it has begun until after it has ended
        before = entries()
        if clinic.run(give_up(turns)):
            noted.append(entries() - before)
    assert noted[0] == 0
    assert noted[-1] == 1
