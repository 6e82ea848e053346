# SPDX-License-Identifier: Apache-2.0
"""An erased person is gone: live, in history, in search, in old copies; others are whole; nobody does it alone."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from salus.app import erasing
from salus.app.house import House
from salus.audit.event import EventType
from salus.audit.verify import verify as verify_log
from salus.crypto.key_table import KeyTable, Purpose
from salus.kernel.errors import Kind, Problem
from salus.privacy.survey import survey
from tests.support.clinic import Clinic, condition, heart_rate, patient, put_all

PLACES = ("Patient/anna", "Observation/pulse-anna", "Condition/asthma-anna")
OTHERS = ("Patient/bert", "Observation/pulse-bert", "Condition/asthma-bert", "Practitioner/nurse")


def actor(clinic: Clinic, name: str):  # type: ignore[no-untyped-def]
    return clinic.house.tokens.lookup("default", clinic.token(name))


def erased(clinic: Clinic, who: str = "anna") -> str:
    """Ask, approve, execute."""
    clinic.run(erasing.request(clinic.house, actor(clinic, "security-officer"), who, "asked by the person"))
    clinic.run(erasing.second(clinic.house, actor(clinic, "privacy-officer"), who))
    return clinic.run(erasing.execute(clinic.house, "default", who))


@pytest.fixture
def woven(clinic: Clinic) -> Clinic:
    """Anna has several versions, a deleted record, and stands in records of others."""
    service = clinic.as_("service")
    put_all(
        service,
        heart_rate("anna", 90),
        heart_rate("anna", 50, "short-lived"),
        {**heart_rate("bert", 77, "crossing"), "focus": [{"reference": "Patient/anna"}]},
        {
            "resourceType": "Appointment",
            "id": "both",
            "status": "proposed",
            "participant": [
                {"actor": {"reference": f"Patient/{who}"}, "status": "accepted"} for who in ("anna", "bert")
            ],
        },
    )
    assert service.delete("/fhir/Observation/short-lived").status_code == 204
    return clinic


def test_what_would_go_is_told_and_nothing_goes(woven: Clinic) -> None:
    found = woven.run(erasing.plan(woven.house, "default", "anna"))
    assert dict(found.records) == {"Patient": 1, "Observation": 2, "Condition": 1, "CareTeam": 1}
    assert found.versions == 7
    assert list(found.shared) == ["Appointment/both"]
    assert list(found.mentions) == ["Observation/crossing"]
    assert woven.as_("service").get("/fhir/Patient/anna").status_code == 200


def test_everything_of_the_person_is_gone_and_nothing_of_others(woven: Clinic) -> None:
    before = {place: woven.as_("service").get(f"/fhir/{place}").json() for place in (*OTHERS, "Observation/crossing")}
    nurse = woven.as_("nurse")
    assert nurse.get("/fhir/Patient/anna").status_code == 200
    erased(woven)
    service = woven.as_("service")
    for place in PLACES:
        for path in (place, f"{place}/_history", f"{place}/_history/1"):
            answer = service.get(f"/fhir/{path}")
            assert answer.status_code in {404, 410}, path
            assert "70" not in answer.text
        assert service.get(f"/fhir/{place}").status_code == 410
        assert nurse.get(f"/fhir/{place}").status_code == 404  # no relation is left: hidden reads like absent
    for query in ("Patient?family=Ångström", "Patient?_id=anna", "Observation?subject=Patient/anna", "CareTeam"):
        assert service.find(query) == [], query
    for query in ("Patient", "Observation", "Condition"):
        assert "anna" not in json.dumps([one["id"] for one in service.find(query)])
    for path in ("/fhir/_history", "/fhir/Observation/_history", "/fhir/Patient/_history"):
        assert "pulse-anna" not in service.get(f"{path}?_count=1000").text
    crossing = service.get("/fhir/Observation?_id=crossing&_include=Observation:focus")
    assert [entry["resource"]["id"] for entry in crossing.json()["entry"]] == ["crossing"]
    for place, resource in before.items():
        assert service.get(f"/fhir/{place}").json() == resource
    assert service.get("/fhir/Appointment/both").status_code == 200
    assert woven.run(survey(erasing.operator(woven.house, "default"), "anna")).records == {}


@pytest.mark.parametrize("cold", [False, True])
def test_nothing_is_written_for_an_erased_person(woven: Clinic, cold: bool) -> None:
    """Neither by a process that still has the key in memory nor by one that has not."""
    keys = woven.house.keyring.tenant("default")
    owner = keys.surrogate("Patient", "anna")
    warm = keys.record_key(owner, "Patient")
    erased(woven)
    if not cold:
        keys._opened[Purpose.PATIENT][owner] = warm
    service = woven.as_("service")
    for resource in (patient("anna", "Again", "1980-01-01"), heart_rate("anna", 1, "new"), condition("anna")):
        answer = service.put(f"/fhir/{resource['resourceType']}/{resource['id']}", resource)
        assert answer.status_code == 410, answer.text
    assert service.post("/fhir/Observation", {**heart_rate("anna", 1), "id": "x"}).status_code == 410
    assert service.delete("/fhir/Appointment/both").status_code == 204
    assert woven.house.keyring.table.get("default", Purpose.PATIENT, owner)[1] == b""  # type: ignore[index]


def test_the_audit_log_is_whole_and_still_says_who_read_what(woven: Clinic) -> None:
    woven.as_("nurse").get("/fhir/Patient/anna")
    erased(woven)
    reader = woven.log()
    report = verify_log(woven.house.db, woven.house.keyring.tenant("default"), woven.folder / "checkpoints")
    assert report.ok
    owner = reader.owner("default", "anna")
    told = [entry.event for _, entry in reader.page("default", _about(owner), limit=200).entries]
    assert {EventType.RECORD_READ, EventType.ERASURE_REQUEST, EventType.ERASURE_APPROVE} <= {one.type for one in told}
    execution = next(one for one in told if one.type is EventType.ERASURE_EXECUTE)
    assert "2 Observation" in execution.reason
    assert "anna" not in execution.reason


def _about(owner: bytes):  # type: ignore[no-untyped-def]
    from salus.audit.reading import Filter

    return Filter(owner=owner)


# ── old copies ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _copied(clinic: Clinic, to: Path, *names: str) -> None:
    for name in names:
        for file in clinic.folder.glob(f"{name}*"):
            if not file.name.endswith(".lock"):
                (to / file.relative_to(clinic.folder)).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(file, to / file.relative_to(clinic.folder))


@pytest.fixture
def restored(woven: Clinic, tmp_path: Path) -> Iterator[Clinic]:
    """The database as it was before the erasure, with the keys of after it."""
    copy = tmp_path / "copy"
    copy.mkdir()
    _copied(woven, copy, "records.db")
    erased(woven)
    woven.close()
    for file in (*woven.folder.glob("records.db*"), *woven.folder.glob("checkpoints/*")):
        file.unlink()
    for file in copy.iterdir():
        shutil.copy(file, woven.folder / file.name)
    woven.open()
    return woven


def test_attack_restore_the_database_of_before(restored: Clinic) -> None:
    service = restored.as_("service")
    for place in PLACES:
        answer = service.get(f"/fhir/{place}")
        assert answer.status_code == 410, answer.text
        assert service.get(f"/fhir/{place}/_history/1").status_code == 410
    for again in (False, True):
        for place in OTHERS:
            assert service.get(f"/fhir/{place}").status_code == 200
        assert [one["id"] for one in service.find("Patient")] == ["bert"]
        assert {one["id"] for one in service.find("Observation")} == {"pulse-bert", "crossing"}
        history = service.get("/fhir/Observation/_history?_count=1000").text
        assert "pulse-bert" in history
        assert "pulse-anna" not in history
        if not again:  # what the server does when it starts
            assert restored.run(erasing.again(restored.house, "default")) == 1
            assert restored.run(erasing.again(restored.house, "default")) == 0
    owner = restored.house.desk.owner("default", "anna")
    permit = restored.house.access.decide(restored.house.operator(roles=("privacy-officer",)), _execute())
    assert restored.house.services.store.reader.left_of(permit, owner) == (0, 0)


def test_a_receipt_does_not_hold_for_a_database_of_before(woven: Clinic, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    _copied(woven, copy, "records.db")
    text = erased(woven)
    woven.close()
    for file in (*woven.folder.glob("records.db*"), *woven.folder.glob("checkpoints/*")):
        file.unlink()
    for file in copy.iterdir():
        shutil.copy(file, woven.folder / file.name)
    woven.open()
    wrong = woven.run(erasing.verify(woven.house, "default", text))
    assert any("sealed records" in words for words in wrong)
    assert any("index" in words for words in wrong)


def test_attack_old_key_table_beside_the_keys_of_today(woven: Clinic, tmp_path: Path) -> None:
    """Whoever kept `keys.db` from before, and has root key, page key and tenant root key of today."""
    owner = woven.house.desk.owner("default", "anna")
    _copied(woven, tmp_path, "keys/keys.db")
    erased(woven)
    keyring = woven.house.keyring
    with closing(KeyTable(tmp_path / "keys" / "keys.db", keyring.page_key("keys"))) as old:
        number, wrapped = old.get("default", Purpose.PATIENT, owner)  # type: ignore[misc]
        (epoch,) = old.epochs("default")
        with pytest.raises(Problem):
            keyring.provider.unwrap(
                epoch.wrapped, {"tenant": "default", "purpose": "tenant-wrapping", "epoch": str(number)}
            )
        with pytest.raises(Problem):
            keyring.tenant("default")._open(Purpose.PATIENT, owner, number, wrapped)


def test_attack_empty_a_row_to_make_it_look_erased(woven: Clinic) -> None:
    """Only the mark under the tenant's key says that somebody was erased."""
    owner = woven.house.desk.owner("default", "bert")
    with woven.behind() as db:
        db.execute("update record set body=x'', deleted=1 where owners=?", (owner,))
    assert woven.as_("service").get("/fhir/Patient/bert").status_code == 500
    with woven.behind() as db:
        db.execute("insert into erased values('default', ?, 0, zeroblob(32))", (owner,))
    assert woven.as_("service").get("/fhir/Patient/bert").status_code == 500


# ── consent of two ───────────────────────────────────────────────────────────────────────────────────────────────────


def refused(clinic: Clinic, work) -> Problem:  # type: ignore[no-untyped-def]
    with pytest.raises(Problem) as caught:
        clinic.run(work)
    return caught.value


def test_nobody_erases_alone(clinic: Clinic) -> None:
    house, officer = clinic.house, actor(clinic, "privacy-officer")
    assert refused(clinic, erasing.execute(house, "default", "anna")).kind is Kind.FORBIDDEN
    clinic.run(erasing.request(house, officer, "anna", "r"))
    assert refused(clinic, erasing.execute(house, "default", "anna")).kind is Kind.FORBIDDEN
    assert refused(clinic, erasing.second(house, officer, "anna")).kind is Kind.FORBIDDEN
    for name in ("physician", "administrator", "security-officer", "anna", "service"):
        assert refused(clinic, erasing.second(house, actor(clinic, name), "anna")).kind is Kind.FORBIDDEN, name
    assert refused(clinic, erasing.execute(house, "default", "anna")).kind is Kind.FORBIDDEN
    assert clinic.as_("service").get("/fhir/Patient/anna").status_code == 200
    refusals = [
        entry.event
        for _, entry in clinic.log().page("default", _about(house.desk.owner("default", "anna")), limit=50).entries
        if entry.event.type is EventType.ERASURE_APPROVE
    ]
    assert len(refusals) == 6


def test_only_who_may_asks(clinic: Clinic) -> None:
    for name in ("physician", "nurse", "anna", "service", "researcher"):
        problem = refused(clinic, erasing.request(clinic.house, actor(clinic, name), "anna", "r"))
        assert problem.kind is Kind.FORBIDDEN, name


def test_an_approval_does_not_pass_to_another_patient(clinic: Clinic) -> None:
    clinic.run(erasing.request(clinic.house, actor(clinic, "security-officer"), "anna", "r"))
    clinic.run(erasing.second(clinic.house, actor(clinic, "privacy-officer"), "anna"))
    with clinic.behind() as db:
        db.execute("update erasure set owner=?", (clinic.house.desk.owner("default", "bert"),))
    assert refused(clinic, erasing.execute(clinic.house, "default", "bert")).kind is Kind.FAULT


def test_a_hold_stands_against_every_step(clinic: Clinic) -> None:
    house = clinic.house
    clinic.run(erasing.request(house, actor(clinic, "security-officer"), "anna", "r"))
    clinic.run(erasing.second(house, actor(clinic, "privacy-officer"), "anna"))
    house.holds.append(lambda tenant, patient: ["a court has asked for the records"] if patient == "anna" else [])
    problem = refused(clinic, erasing.execute(house, "default", "anna"))
    assert problem.kind is Kind.CONFLICT
    assert "a court" in problem.public
    assert clinic.as_("service").get("/fhir/Patient/anna").status_code == 200


# ── crash, receipt ───────────────────────────────────────────────────────────────────────────────────────────────────


class _PowerCut(BaseException):
    pass


@pytest.mark.parametrize("step", ["rewrap", "begin_epoch", "rewrap_provided", "destroy_former", "_compact"])
def test_an_erasure_that_is_cut_off_goes_on(clinic: Clinic, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    clinic.run(erasing.request(clinic.house, actor(clinic, "security-officer"), "anna", "r"))
    clinic.run(erasing.second(clinic.house, actor(clinic, "privacy-officer"), "anna"))

    def cut(*_: object) -> None:
        raise _PowerCut

    with monkeypatch.context() as patch:
        patch.setattr(erasing, step, cut)
        with pytest.raises(_PowerCut):
            clinic.run(erasing.execute(clinic.house, "default", "anna"))
    assert clinic.as_("service").get("/fhir/Patient/anna").status_code == 410
    clinic.close()
    clinic.open()
    text = clinic.run(erasing.execute(clinic.house, "default", "anna"))
    assert json.loads(text)["receipt"]["records"] == {"Patient": 1, "Observation": 1, "Condition": 1, "CareTeam": 1}
    assert clinic.run(erasing.verify(clinic.house, "default", text)) == []
    assert clinic.run(erasing.execute(clinic.house, "default", "anna")) == text
    assert clinic.as_("service").get("/fhir/Patient/bert").status_code == 200


def test_the_receipt_names_nobody_and_cannot_be_altered(clinic: Clinic) -> None:
    text = erased(clinic)
    assert "anna" not in text
    assert clinic.run(erasing.verify(clinic.house, "default", text)) == []
    whole = json.loads(text)
    whole["receipt"]["approved_by"] = "somebody"
    assert refused(clinic, erasing.verify(clinic.house, "default", json.dumps(whole))).kind is Kind.INCORRECT
    for rubbish in ("", "{}", "[1]", text[:-20], text.replace("0", "g")):
        assert refused(clinic, erasing.verify(clinic.house, "default", rubbish)).kind is Kind.INCORRECT


def test_accounts_of_the_person_are_closed(clinic: Clinic) -> None:
    own = clinic.as_("anna")
    assert own.get("/fhir/Patient/anna").status_code == 200
    erased(clinic)
    assert own.get("/fhir/Patient/anna").status_code == 401
    assert clinic.as_("bert").get("/fhir/Patient/bert").status_code == 200


def test_another_process_notices_at_once(clinic: Clinic) -> None:
    other = House(clinic.settings)
    try:
        keys = other.keyring.tenant("default")
        owner = keys.surrogate("Patient", "anna")
        keys.record_key(owner, "Patient")
        erased(clinic)
        permit = other.access.decide(actor(clinic, "service"), _read(), "Patient")
        row = other.services.store.newest(permit, "anna")
        assert row is not None
        with pytest.raises(Problem) as caught:
            other.services.store.open(permit, row)
        assert caught.value.kind is Kind.GONE
        other.keyring.renew("")
        other.keyring.renew("default")  # within the soft limit
        with pytest.raises(Problem) as caught:
            keys.record_key(owner, "Patient")
        assert caught.value.kind is Kind.GONE
    finally:
        other.close()


def _execute():  # type: ignore[no-untyped-def]
    from salus.access.permissions import Permission

    return Permission.ERASURE_EXECUTE


def _read():  # type: ignore[no-untyped-def]
    from salus.access.permissions import Permission

    return Permission.RECORD_READ
