# SPDX-License-Identifier: Apache-2.0
"""Whoever has the server, or the storage, can neither read old backups nor change them unnoticed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from salus.app.found import found
from salus.kernel.settings import FILE_NAME
from tests.support.backups import Backups, run
from tests.support.clinic import Clinic


@pytest.fixture(scope="module")
def twice(tmp_path_factory: pytest.TempPathFactory) -> Backups:
    """An installation with two backups."""
    place = tmp_path_factory.mktemp("storage")
    found(place / "data")
    made = Backups(place / "data", place)
    made.create()
    made.create()
    made.keep("kept")
    return made


@pytest.fixture
def backups(twice: Backups) -> Iterator[Backups]:
    """The same for each test: what it does to the storage is put right again."""
    yield twice
    shutil.rmtree(twice.data)
    shutil.copytree(twice.data.parent / "kept", twice.data)


def flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def alter(backups: Backups) -> None:
    flipped(backups.objects("chunks")[0])


def remove(backups: Backups) -> None:
    backups.objects("chunks")[1].unlink()


def truncate(backups: Backups) -> None:
    path = backups.objects("chunks")[0]
    path.write_bytes(path.read_bytes()[:-1])


def empty(backups: Backups) -> None:
    backups.objects("chunks")[0].write_bytes(b"")


def swap(backups: Backups) -> None:
    one, other, *_ = backups.objects("chunks")
    kept = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(kept)


def alter_a_manifest(backups: Backups) -> None:
    path = backups.objects(".json")[0]
    path.write_text(path.read_text().replace('"policy.toml"', '"pol1cy.toml"'))


def remove_the_first(backups: Backups) -> None:
    for path in backups.objects("00000001."):
        path.unlink()


def remove_the_newest(backups: Backups) -> None:
    for path in backups.objects("00000002."):
        path.unlink()


def put_the_older_in_place_of_the_newer(backups: Backups) -> None:
    older, newer = backups.objects(".note")
    newer.write_text(older.read_text())


def sign_for_somebody_else(backups: Backups) -> None:
    """The manifests of another installation, which signs as well."""
    other = backups.folder.parent / "other"
    found(other)
    text = (backups.folder / FILE_NAME).read_text()
    theirs = text[text.index("[backup]") :].replace("backups", "other-backups")
    with (other / FILE_NAME).open("a") as file:
        file.write("\n" + theirs.replace("key-other-backups", "other-key-backups"))
    assert run("backup", "create", "--data-dir", other).exit_code == 0
    shutil.rmtree(backups.data)
    (backups.folder.parent / "other-backups").rename(backups.data)
    for left in (other, backups.folder.parent / "other-key-backups"):
        shutil.rmtree(left)


ATTACKS = (
    alter,
    remove,
    truncate,
    empty,
    swap,
    alter_a_manifest,
    remove_the_first,
    remove_the_newest,
    put_the_older_in_place_of_the_newer,
    sign_for_somebody_else,
)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_whatever_is_done_to_the_storage_is_found(backups: Backups, attack: Callable[[Backups], None]) -> None:
    assert backups.verify().exit_code == 0
    attack(backups)
    done = backups.verify()
    assert done.exit_code == 1, done.output
    assert "FOUND data" in done.output
    assert "not as they were written" in done.output


@pytest.mark.parametrize("attack", [alter, remove, truncate, swap], ids=lambda attack: attack.__name__)
def test_a_damaged_backup_is_not_restored(backups: Backups, attack: Callable[[Backups], None], tmp_path: Path) -> None:
    attack(backups)
    results = [backups.restore(tmp_path / f"restored-{number}", "--number", number) for number in (1, 2)]
    assert 2 in {done.exit_code for done in results}  # whichever needs the chunk
    for number, done in enumerate(results, 1):
        assert (done.exit_code == 0) is any((tmp_path / f"restored-{number}").iterdir())


@pytest.mark.parametrize(
    "attack", [put_the_older_in_place_of_the_newer, sign_for_somebody_else], ids=lambda attack: attack.__name__
)
def test_an_exchanged_backup_is_not_restored(
    backups: Backups, attack: Callable[[Backups], None], tmp_path: Path
) -> None:
    attack(backups)
    assert backups.restore(tmp_path / "restored").exit_code == 2
    assert not any((tmp_path / "restored").iterdir()) if (tmp_path / "restored").exists() else True


def test_a_server_does_not_go_on_where_its_backups_were_rolled_back(backups: Backups) -> None:
    remove_the_newest(backups)
    done = run("backup", "create", "--data-dir", backups.folder)
    assert done.exit_code == 2
    assert "somebody removed or exchanged backups" in done.output


def test_who_kept_the_digest_notices_a_rollback_without_the_server(backups: Backups) -> None:
    digest = backups.verify().output.split("newest ")[1].split(";")[0]
    alone = ("backup", "verify", "--trust", backups.public_key(), "--from", backups.data, "--data-dir", "/nowhere")
    assert run(*alone, "--digest", digest).exit_code == 0
    remove_the_newest(backups)
    assert run(*alone).exit_code == 0  # nothing in what is left says that there was more
    assert run(*alone, "--digest", digest).exit_code == 1


def test_nothing_on_the_server_opens_what_it_wrote(backups: Backups) -> None:
    """Every file of the data folder is tried as an identity; none is, and no secret half lies anywhere."""
    secret = backups.identity.read_text().splitlines()[-1]
    for path in backups.folder.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert secret.encode() not in data
            assert b"AGE-SECRET-KEY" not in data
    chunk = backups.objects("chunks")[0].read_bytes()
    assert chunk.startswith(b"age-encryption.org/v1")


def test_no_value_stands_in_a_backup(clinic: Clinic, tmp_path: Path) -> None:
    backups = Backups(clinic.folder, tmp_path)
    canary = "Canaryname" + os.urandom(4).hex()
    clinic.as_("service").put(
        "/fhir/Patient/canary", {"resourceType": "Patient", "id": "canary", "name": [{"family": canary}]}
    )
    backups.create()
    for path in (*backups.data.rglob("*"), *backups.keys.rglob("*")):
        if path.is_file():
            assert canary.encode() not in path.read_bytes()


def test_equal_pieces_cannot_be_guessed_from_a_manifest(backups: Backups) -> None:
    """Who guesses the content of a small file, as the policy, finds its hash nowhere."""
    from hashlib import sha256

    guess = sha256((backups.folder / "policy.toml").read_bytes()).hexdigest()
    assert not [path for path in backups.objects(".json") if guess in path.read_text()]


def test_a_manifest_cannot_write_outside_the_folder() -> None:
    """Even one that is signed: who has the server may sign what they like, and wait for a restore elsewhere."""
    from hashlib import sha256

    from salus.audit.checkpoint import NoteReader, Signer
    from salus.backup.manifest import ORIGIN, Chunk, File, Stream, new, noted, opened, written
    from salus.kernel.errors import Problem

    signer = Signer(ORIGIN, bytes(32))
    zero = sha256().hexdigest()
    for name in ("../x", "/etc/passwd", "a/../../b", ".hidden", "a//b", "", "a/.b"):
        manifest = new(Stream.DATA, None, "2026-01-01T00:00:00.000Z", "0", [File(name, 0, [Chunk(zero, zero, 0)])], [])
        data, note, digest = written(manifest, signer)
        assert noted(note, 1, NoteReader(signer.public)) == digest
        with pytest.raises(Problem, match="leave the folder"):
            opened(data, digest, 1, Stream.DATA)
