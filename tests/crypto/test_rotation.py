# SPDX-License-Identifier: Apache-2.0
"""Rotation: nothing is lost, whenever it stops; other processes go on; what has ended opens nothing any more."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from salus.crypto import rotation
from salus.crypto.key_table import KeyTable, Purpose
from salus.crypto.keyring import Keyring, create_keyring, open_keyring
from salus.crypto.kms.local import LocalKeyProvider
from salus.crypto.rotation import Progress, begin_epoch, destroy_former, held, rewrap, rewrap_provided
from salus.kernel.db import open_database
from salus.kernel.errors import Kind, Problem

PEOPLE = [bytes([n]) * 16 for n in range(40)]
PLACE = ("test",)
Sealed = dict[bytes, bytes]


class _PowerCut(BaseException):
    pass


@pytest.fixture
def root(tmp_path: Path) -> Path:
    path = tmp_path / "root" / "root.key"
    LocalKeyProvider.create(path, None).close()
    return path


@pytest.fixture
def folder(tmp_path: Path, root: Path) -> Path:
    with closing(create_keyring(tmp_path / "keys", LocalKeyProvider.open(root, None))) as made:
        made.create_tenant("default").ensure_patients(PEOPLE)
    return tmp_path / "keys"


@pytest.fixture
def keyring(folder: Path, root: Path) -> Iterator[Keyring]:
    with closing(opened(folder, root)) as ring:
        yield ring


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rotation, "_SLICE", 3)


def opened(folder: Path, root: Path) -> Keyring:
    return open_keyring(folder, LocalKeyProvider.open(root, None))


def sealed(keyring: Keyring) -> Sealed:
    keys = keyring.tenant("default")
    return {one: keys.record_key(one, "Patient").seal(one, PLACE) for one in PEOPLE}


def all_open(keyring: Keyring, blobs: Sealed) -> bool:
    keys = keyring.tenant("default")
    return all(keys.record_key(one, "Patient").open(blob, PLACE) == one for one, blob in blobs.items())


@pytest.mark.parametrize("after", [1, 2, 9, 14, 27])
@pytest.mark.usefixtures("small")
def test_a_rotation_that_stops_anywhere_loses_nothing_and_is_finished_later(
    folder: Path, root: Path, after: int
) -> None:
    with closing(opened(folder, root)) as ring:
        blobs = sealed(ring)
        begin_epoch(ring, "default")
        slices = 0

        def stop(_: Progress) -> None:
            nonlocal slices
            slices += 1
            if slices == after:
                raise _PowerCut

        with pytest.raises(_PowerCut):
            rewrap(ring, "default", stop)
    with closing(opened(folder, root)) as ring:
        assert held(ring, "default")[1][Purpose.AUDIT].behind > 0
        assert all_open(ring, blobs)
        assert begin_epoch(ring, "default") == 2  # goes on, does not begin a third
        assert rewrap(ring, "default") == 2 * len(PEOPLE) - 3 * after + 2 * (after >= 14)  # 40 = 13 * 3 + 1
        assert rewrap(ring, "default") == 0
    with closing(opened(folder, root)) as ring:
        newest, kinds = held(ring, "default")
        assert newest == 2
        assert all(kind.behind == 0 for kind in kinds.values())
        assert all_open(ring, blobs)


@pytest.mark.usefixtures("small")
def test_another_process_goes_on_through_a_rotation_without_asking_the_provider(
    folder: Path, root: Path, keyring: Keyring
) -> None:
    """It reads keys of both epochs, and makes new ones under the new epoch only."""
    blobs = sealed(keyring)
    late = bytes([99]) * 16
    with closing(opened(folder, root)) as other:
        keys = other.tenant("default")
        other.provider.close()  # whoever asks it from now on is refused
        begin_epoch(keyring, "default")
        made = keys.record_key(late, "Patient", create=True).seal(b"late", PLACE)
        assert keyring.table.get("default", Purpose.PATIENT, late)[0] == 2  # type: ignore[index]
        rewrap(keyring, "default")
        assert all_open(other, blobs)
    with closing(opened(folder, root)) as ring:
        assert ring.tenant("default").record_key(late, "Patient").open(made, PLACE) == b"late"


def test_a_process_that_slept_through_two_rotations_asks_the_provider(
    folder: Path, root: Path, keyring: Keyring
) -> None:
    blobs = sealed(keyring)
    with closing(opened(folder, root)) as other:
        keys = other.tenant("default")
        for _ in range(2):
            begin_epoch(keyring, "default")
            rewrap(keyring, "default")
        with pytest.raises(Problem) as caught:
            keys.record_key(PEOPLE[0], "Patient")
        assert caught.value.kind is Kind.UNAVAILABLE
        assert caught.value.retry_after
        assert all_open(other, blobs)  # asked for the tenant's keys, the keyring fetches what is new


def test_a_key_made_for_an_epoch_that_has_ended_is_not_taken(keyring: Keyring) -> None:
    late = bytes([99]) * 16
    row = keyring.tenant("default")._new(Purpose.PATIENT, late)
    begin_epoch(keyring, "default")
    assert keyring.table.add("default", [row]) is False
    assert keyring.table.get("default", Purpose.PATIENT, late) is None


def test_a_tampered_key_stops_the_rotation_and_the_former_epoch_stays(folder: Path, keyring: Keyring) -> None:
    blobs = sealed(keyring)
    with closing(open_database(folder / "keys.db", keyring.page_key("keys"))) as db:
        db.execute("update patient_key set wrapped=zeroblob(106) where owner=?", (PEOPLE[7],))
    begin_epoch(keyring, "default")
    with pytest.raises(Problem) as caught:
        rewrap(keyring, "default")
    assert caught.value.kind is Kind.FAULT
    assert [epoch.number for epoch in keyring.table.epochs("default")] == [1, 2]
    del blobs[PEOPLE[7]]
    assert all_open(keyring, blobs)


def test_a_tenant_from_before_epochs_had_keys_is_taken_over(folder: Path, root: Path) -> None:
    """Then the keys were wrapped under the root key; the first rotation ends that."""
    with closing(opened(folder, root)) as ring:
        keys = ring.tenant("default")
        keys._epochs[1][:] = keys._root
        keys._wrapping.clear()
        spare = keys._epochs.pop(1)
        keys.learn(1, spare)
        with closing(open_database(folder / "keys.db", ring.page_key("keys"))) as db:
            for table in ("epoch_key", "patient_key", "audit_key"):
                db.execute(f"delete from {table}")
        keys.ensure_patients(PEOPLE)
        blobs = sealed(ring)
    with closing(opened(folder, root)) as ring:
        assert all_open(ring, blobs)
        assert begin_epoch(ring, "default") == 2
    with closing(opened(folder, root)) as ring:
        assert rewrap(ring, "default") == 2 * len(PEOPLE)
    with closing(opened(folder, root)) as ring:
        assert all_open(ring, blobs)


def test_a_new_version_of_the_providers_key_and_the_end_of_the_former(
    folder: Path, root: Path, keyring: Keyring, tmp_path: Path
) -> None:
    blobs = sealed(keyring)
    shutil.copytree(folder, tmp_path / "copy")
    with closing(opened(folder, root)) as other:
        other.tenant("default")
        version = keyring.provider.rotate()
        assert version == "2"
        assert rewrap_provided(keyring) == 3  # page key, root key, wrapping key
        assert destroy_former(keyring.provider, version) == [("1", "at once")]
        other.renew("")  # a process that was there before asks again
        other.renew("default")
        assert all_open(other, blobs)
        other.create_tenant("north").ensure_patients(PEOPLE[:1])
    with closing(opened(folder, root)) as ring:
        assert all_open(ring, blobs)
        assert ring.tenants() == ["default", "north"]
    with pytest.raises(Problem) as caught:
        opened(tmp_path / "copy", root)
    assert caught.value.kind is Kind.UNAVAILABLE


def test_an_old_key_table_opens_no_patient_after_its_epoch_and_version_are_gone(
    folder: Path, root: Path, keyring: Keyring, tmp_path: Path
) -> None:
    """Even for whoever has all the keys of today."""
    shutil.copy(folder / "keys.db", tmp_path / "keys.db")
    shutil.copy(folder / "keys.db-wal", tmp_path / "keys.db-wal")
    begin_epoch(keyring, "default")
    rewrap(keyring, "default")
    version = keyring.provider.rotate()
    rewrap_provided(keyring)
    destroy_former(keyring.provider, version)
    keys = keyring.tenant("default")
    with closing(KeyTable(tmp_path / "keys.db", keyring.page_key("keys"))) as old:
        (epoch,) = old.epochs("default")
        with pytest.raises(Problem):
            keyring.provider.unwrap(
                epoch.wrapped, {"tenant": "default", "purpose": "tenant-wrapping", "epoch": str(epoch.number)}
            )
        number, wrapped = old.get("default", Purpose.PATIENT, PEOPLE[0])  # type: ignore[misc]
        with pytest.raises(Problem):
            keys._open(Purpose.PATIENT, PEOPLE[0], number, wrapped)
        keys.learn(1, keys._root)  # the root key does not give the wrapping key
        with pytest.raises(Problem):
            keys._open(Purpose.PATIENT, PEOPLE[0], number, wrapped)


def test_progress_counts_every_key_and_estimates_the_rest(keyring: Keyring) -> None:
    told: list[Progress] = []
    begin_epoch(keyring, "default")
    rewrap(keyring, "default", told.append)
    assert [each.done for each in told] == [40, 80]
    assert told[0].total == 80
    assert told[0].left > 0
    assert told[-1].left == 0
