# SPDX-License-Identifier: Apache-2.0
"""A real server keeps answering while backups are made; one is killed in the middle; one is restored and served."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.backups import Backups, run
from tests.support.served import Served, free_port, salus, until

from salus.backup.places import Folder


def token(folder: Path, name: str = "feed") -> str:
    return salus("token", "issue", name, "--data-dir", folder).stdout.strip().splitlines()[-1]


@pytest.fixture(scope="module")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder that is only copied."""
    folder: Path = tmp_path_factory.mktemp("founded") / "data"
    run("init", "--data-dir", folder)
    return folder


class Feed:
    """Somebody who writes patients for as long as the block lasts; knows which ones were acknowledged."""

    def __init__(self, server: Served) -> None:
        self.kept: list[str] = []
        self._client = server.client(token(server.folder))
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._write)

    def _write(self) -> None:
        while not self._stop.is_set():
            id_ = f"p{len(self.kept)}"
            answer = self._client.put(f"/fhir/Patient/{id_}", json={"resourceType": "Patient", "id": id_})
            assert answer.status_code == 201, answer.text
            self.kept.append(id_)

    def __enter__(self) -> Feed:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._client.close()


def test_writes_go_on_and_what_was_acknowledged_before_is_in_the_backup(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backups = Backups(served.folder, tmp_path)
    with Feed(served) as feed:
        until(lambda: len(feed.kept) > 20)
        backups.create()  # a first one, so that the second is incremental
        before = list(feed.kept)
        put = Folder.put

        def in_the_middle(place: Folder, name: str, data: bytes) -> bool:
            written = len(feed.kept)
            until(lambda: len(feed.kept) > written, lambda: "those who write wait for the backup")
            return put(place, name, data)

        monkeypatch.setattr(Folder, "put", in_the_middle)
        backups.create()
    monkeypatch.undo()
    assert backups.verify("--identity", backups.identity).exit_code == 0
    restored = tmp_path / "restored"
    done = backups.restore(restored)
    assert done.exit_code == 0, done.output
    served.stop()
    again = Served(restored, served._port)
    try:
        with again.client(token(restored)) as client:
            page = client.get("/fhir/Patient?_count=1000").json()
            found = {entry["resource"]["id"] for entry in page["entry"]}
    finally:
        again.stop()
    assert set(before) <= found <= set(feed.kept)
    assert run("audit", "verify", "--data-dir", restored).exit_code == 0


_KILLED = """
import os, signal, sys
from salus.backup.places import Folder
from salus.cli import main
put = Folder.put
def killed(place, name, data):
    put(place, name, data)
    if sys.argv[1] in name:
        os.kill(os.getpid(), signal.SIGKILL)
Folder.put = killed
main(["backup", "create", "--data-dir", sys.argv[2]])
"""


@pytest.mark.parametrize("written", ["chunks", ".json"])
def test_a_backup_that_is_killed_is_none(founded: Path, tmp_path: Path, written: str) -> None:
    folder = Path(shutil.copytree(founded, tmp_path / "data"))
    backups = Backups(folder, tmp_path)
    process = subprocess.run([sys.executable, "-c", _KILLED, written, folder], capture_output=True, check=False)
    assert process.returncode == -signal.SIGKILL, process.stderr
    assert backups.objects(written)
    assert not backups.objects(".note")
    listed = run("backup", "list", "--json", "--data-dir", folder)
    assert (listed.exit_code, listed.output) == (0, "")
    assert backups.restore(tmp_path / "restored").exit_code != 0
    backups.create()
    assert backups.verify("--identity", backups.identity).exit_code == 0


@pytest.fixture
def storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """S3 as moto imitates it."""
    boto3 = pytest.importorskip("boto3")
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", free_port(), verbose=False)
    server.start()
    address = f"http://127.0.0.1:{server._port}"
    for name, value in (
        ("AWS_ACCESS_KEY_ID", "a"),
        ("AWS_SECRET_ACCESS_KEY", "b"),
        ("AWS_DEFAULT_REGION", "eu-central-1"),
        ("AWS_ENDPOINT_URL", address),
    ):
        monkeypatch.setenv(name, value)
    client = boto3.client("s3")
    for bucket in ("clinic-data", "clinic-keys"):
        client.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    yield client
    client.close()
    server.stop()


def test_backups_in_s3(storage: Any, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    salus("init", "--data-dir", folder, "--port", str(free_port()))
    backups = Backups(folder, tmp_path)
    settings = folder / "salus.toml"
    places = ("s3://clinic-data/salus", "s3://clinic-keys")
    text = settings.read_text().replace(str(backups.data), places[0]).replace(str(backups.keys), places[1])
    settings.write_text(text)
    for _ in range(2):
        backups.create()
    assert backups.verify("--identity", backups.identity).exit_code == 0
    backups.data, backups.keys = places  # type: ignore[assignment]
    done = backups.restore(tmp_path / "restored")
    assert done.exit_code == 0, done.output
    assert run("audit", "verify", "--data-dir", tmp_path / "restored").exit_code == 0
    keys = [each["Key"] for each in storage.list_objects_v2(Bucket="clinic-data", Prefix="salus/chunks/")["Contents"]]
    storage.put_object(Bucket="clinic-data", Key=keys[0], Body=b"ransom")
    assert backups.verify().exit_code == 1
    gone = run("backup", "create", "--data-dir", folder, env={"SALUS_BACKUP_PLACE": "s3://nowhere/x"})
    assert gone.exit_code == 4
    pruned = run("backup", "create", "--data-dir", folder, env={"SALUS_BACKUP_KEYS_DAYS": "0"})
    assert pruned.exit_code == 0, pruned.output
    assert "removed 2 old backups" in pruned.output
