# SPDX-License-Identifier: Apache-2.0
"""Backups are made, checked, restored and rehearsed; what was erased does not come back."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest

from salus.audit.reading import Filter
from salus.kernel.db import open_database
from salus.kernel.settings import Backup
from tests.support.backups import Backups, reopened, run
from tests.support.clinic import Clinic, heart_rate
from tests.support.recognised import recognised


@pytest.fixture
def backups(clinic: Clinic, tmp_path: Path) -> Backups:
    return Backups(clinic.folder, tmp_path)


def events(clinic: Clinic) -> list[tuple[str, str]]:
    page = clinic.log().page("default", Filter(), limit=30)
    return [(entry.event.type.value, entry.event.reason) for _, entry in page.entries]


def test_a_restored_clinic_is_the_clinic_at_the_time_of_the_backup(
    clinic: Clinic, backups: Backups, tmp_path: Path
) -> None:
    nurse = clinic.as_("nurse")
    before = {each["id"] for each in nurse.find("Observation")}
    old_token = clinic.token("nurse")
    recognised(clinic, "ben", "nurse")
    made = backups.create().output
    clinic.as_("service").put("/fhir/Observation/later", {**heart_rate("anna", 99), "id": "later"})
    assert clinic.as_("physician").get("/fhir/Observation/later").status_code == 200

    done = backups.restore(tmp_path / "restored")
    assert done.exit_code == 0, done.output
    reopened(clinic, tmp_path / "restored")
    assert {each["id"] for each in clinic.as_("nurse").find("Observation")} == before  # the index serves
    assert clinic.as_("physician").get("/fhir/Observation/later").status_code == 404
    stale = clinic.stranger.get("/fhir/Patient/anna", headers={"authorization": f"Bearer {old_token}"})
    assert stale.status_code == 401  # tokens of the past do not come back to life
    assert clinic.house.sessions.of_user("default", "ben") == []
    assert clinic.as_("service").put("/fhir/Observation/later", heart_rate("anna", 98) | {"id": "later"}).is_success
    digest = made.split("digest ")[1].split()[0]
    (reason,) = [reason for event, reason in events(clinic) if event == "backup.restore"]
    assert digest in reason
    assert run("audit", "verify", "--data-dir", tmp_path / "restored").exit_code == 0
    assert run("doctor", "--data-dir", tmp_path / "restored").exit_code == 0


def test_what_was_written_is_in_the_log(clinic: Clinic, backups: Backups) -> None:
    made = backups.create().output
    digests = [line.split()[1] for line in made.splitlines() if "digest" in line]
    (reason,) = [reason for event, reason in events(clinic) if event == "backup.create"]
    assert all(digest in reason for digest in digests)


def test_the_second_backup_writes_only_what_has_changed(clinic: Clinic, backups: Backups) -> None:
    with (clinic.folder / "policy.toml").open("a") as file:
        file.write("# " + "x" * 3_000_000 + "\n")  # several chunks that stay the same
    backups.create()
    first = len(backups.objects("chunks"))
    said = backups.create().output.splitlines()[0]
    fresh, all_ = said.split("files, ")[1].split(" chunks")[0].split(" of ")
    assert int(fresh) <= int(all_) - 5
    assert len(backups.objects("chunks")) == first + int(fresh)
    assert backups.verify("--identity", backups.identity).exit_code == 0


def test_one_patient_erased_since_stays_erased_and_all_others_are_whole(
    clinic: Clinic, backups: Backups, tmp_path: Path
) -> None:
    backups.create()
    long_kept = backups.keep("long-kept")
    key = clinic.house.keyring.page_key("keys")
    bert = clinic.house.keyring.tenant("default").surrogate("Patient", "bert")
    table = open_database(clinic.folder / "keys" / "keys.db", key)
    table.execute("delete from patient_key where owner=?", (bert,))
    assert table.changes() == 1, "the key was not found under this surrogate"
    table.close()
    clinic.close()
    clinic.open()
    backups.create()  # new keys, without Bert's
    shutil.rmtree(backups.data)
    long_kept.rename(backups.data)  # data from before the erasure

    done = backups.restore(tmp_path / "restored")
    assert done.exit_code == 0, done.output
    assert "erased patients were left out" in done.output
    reopened(clinic, tmp_path / "restored")
    physician = clinic.as_("physician")
    assert physician.get("/fhir/Patient/bert").status_code == 404
    assert {each["id"] for each in physician.find("Patient")} == {"anna"}
    assert physician.get("/fhir/Patient/anna").status_code == 200
    assert {each["subject"]["reference"] for each in physician.find("Observation")} == {"Patient/anna"}
    assert run("audit", "verify", "--data-dir", tmp_path / "restored").exit_code == 0


def test_keys_never_lie_with_the_data(clinic: Clinic, backups: Backups, tmp_path: Path) -> None:
    backups.create()
    names = run("backup", "list", "--json", "--data-dir", clinic.folder)
    assert names.exit_code == 0
    for note in backups.objects(".json"):
        text = note.read_text()
        assert '"records.db"' in text
        assert not any(word in text for word in ("keys.db", "page.key", "root.key", "server.key", "ca.key"))
    (key_note,) = (tmp_path / "key-backups" / "manifests").glob("*.json")
    assert '"page.key"' in key_note.read_text()
    assert "root.key" not in key_note.read_text()


@pytest.mark.parametrize("inside", ["", "/deeper"])
def test_places_that_meet_are_refused(clinic: Clinic, tmp_path: Path, inside: str) -> None:
    backups = Backups(clinic.folder, tmp_path)
    same = {"SALUS_BACKUP_KEYS_PLACE": f"{backups.data}{inside}"}
    done = run("backup", "create", "--data-dir", clinic.folder, env=same)
    assert done.exit_code == 2
    assert "apart" in done.output
    assert not backups.data.exists()


def test_old_backups_of_the_keys_are_removed_with_their_chunks(clinic: Clinic, backups: Backups) -> None:
    backups.create()
    old = {path for path in backups.keys.rglob("*") if path.is_file()}
    done = run("backup", "create", "--data-dir", clinic.folder, env={"SALUS_BACKUP_KEYS_DAYS": "0"})
    assert done.exit_code == 0, done.output
    assert "removed 1 old backups of the keys" in done.output
    assert not {path for path in old if path.exists()}
    assert backups.verify("--identity", backups.identity).exit_code == 0  # a gap at the beginning is no finding there
    assert len(backups.objects(".note")) == 2  # the data stays


def test_keys_that_are_older_than_the_data_are_refused(clinic: Clinic, backups: Backups, tmp_path: Path) -> None:
    backups.create()
    old_keys = shutil.copytree(backups.keys, tmp_path / "old-keys")
    backups.create()
    shutil.rmtree(backups.keys)
    old_keys.rename(backups.keys)
    done = backups.restore(tmp_path / "restored")
    assert done.exit_code == 2
    assert "older than this backup of the data" in done.output
    assert backups.restore(tmp_path / "restored", "--number", 1).exit_code == 0


def test_old_data_opens_with_keys_that_were_rotated_since(clinic: Clinic, backups: Backups, tmp_path: Path) -> None:
    backups.create()
    clinic.close()
    for kind in (("kms", "--destroy-former"), ("tenant",)):
        done = run("keys", "rotate", *kind, "--data-dir", clinic.folder)
        assert done.exit_code == 0, done.output
    backups.create()
    clinic.open()
    done = backups.restore(tmp_path / "restored", "--number", 1)
    assert done.exit_code == 0, done.output
    assert "left out" not in done.output
    reopened(clinic, tmp_path / "restored")
    assert {each["id"] for each in clinic.as_("physician").find("Patient")} == {"anna", "bert"}
    assert run("audit", "verify", "--data-dir", tmp_path / "restored").exit_code == 0


def test_a_restore_needs_the_root_key_and_the_right_identity_and_leaves_nothing_behind(
    clinic: Clinic, backups: Backups, tmp_path: Path
) -> None:
    backups.create()
    trust, into = backups.public_key(), tmp_path / "restored"
    plain = ("backup", "restore", into, "--trust", trust, "--from", backups.data, "--keys-from", backups.keys)
    without_root = run(*plain, "--identity", backups.identity)
    assert (without_root.exit_code, list(into.iterdir())) == (4, [])
    assert "--root-key" in without_root.output
    other = tmp_path / "other.identity"
    other.write_text(run("backup", "identity").stdout)
    wrong = run(*plain, "--identity", other)
    assert (wrong.exit_code, list(into.iterdir())) == (2, [])
    (into / "something").touch()
    assert "not empty" in backups.restore(into).output


def test_a_drill_opens_records_tells_the_time_and_leaves_nothing(
    clinic: Clinic, backups: Backups, tmp_path: Path
) -> None:
    backups.create()
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    done = run("backup", "drill", "--identity", backups.identity, "--scratch", scratch, "--data-dir", clinic.folder)
    assert done.exit_code == 0, done.output
    assert not list(scratch.iterdir())
    opened = int(done.output.split(" records were opened")[0].split()[-1])
    assert opened > 5
    assert "The drill took" in done.output
    assert "backup.drill" in dict(events(clinic))


def test_a_backup_into_nowhere_fails_and_is_in_the_log(clinic: Clinic, backups: Backups, tmp_path: Path) -> None:
    backups.data.write_text("a file where a folder should be")
    done = run("backup", "create", "--data-dir", clinic.folder)
    assert done.exit_code in {2, 4}
    assert dict(events(clinic))["backup.create"].startswith("no backup")


def test_what_is_missing_in_the_settings_is_told(clinic: Clinic) -> None:
    done = run("backup", "create", "--data-dir", clinic.folder)
    assert done.exit_code == 2
    assert "recipient" in done.output
    assert Backup().recipient == ""


def test_the_copy_of_a_database_is_a_database(clinic: Clinic, tmp_path: Path) -> None:
    """Raw pages and log under a held state, while somebody writes: the copy opens at a commit and is whole."""
    from salus.kernel.snapshot import held, raw_pieces

    key: Callable[[], bytearray] = lambda: clinic.house.keyring.page_key("records")  # noqa: E731
    path = clinic.folder / "records.db"
    reading = open_database(path, key())
    with held(reading):
        copy = tmp_path / "records.db"
        for suffix in ("", "-wal"):
            with Path(f"{copy}{suffix}").open("wb") as out:
                for at, piece in enumerate(raw_pieces(Path(f"{path}{suffix}"), 65_536)):
                    out.write(piece)
                    clinic.as_("service").put(f"/fhir/Patient/new-{at}", {"resourceType": "Patient", "id": f"new-{at}"})
                    clinic.house.db.execute("pragma wal_checkpoint(passive)").fetchall()
    reading.close()
    opened = open_database(copy, key())
    assert opened.execute("pragma integrity_check").fetchall() == [("ok",)]
    assert opened.execute("select count(*) from record").get > 5
    opened.close()
    with pytest.raises(apsw.Error):
        apsw.Connection(str(copy)).execute("select * from record").fetchall()
