# SPDX-License-Identifier: Apache-2.0
"""The local key provider: its file and what it wraps."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from salus.crypto.kms import root_file
from salus.crypto.kms.local import LocalKeyProvider
from salus.crypto.kms.provider import KeyProvider
from salus.kernel.errors import Kind, Problem

PASSPHRASE = b"correct horse battery staple"
CONTEXT = {"tenant": "default", "purpose": "tenant-root"}
KEY = bytes(range(32))
Edit = Callable[[dict[str, Any]], object]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(root_file, "_TIME", 1)
    monkeypatch.setattr(root_file, "_MEMORY_KIB", 256)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "kms" / "root.key"


def refused(path: Path, passphrase: bytes | None) -> str:
    """Open in vain; return the detail."""
    with pytest.raises(Problem) as caught:
        LocalKeyProvider.open(path, passphrase)
    assert caught.value.kind is Kind.UNAVAILABLE
    assert caught.value.public == "The keys are not available."
    return caught.value.detail


def edited(path: Path, change: Edit) -> None:
    fields = json.loads(path.read_text())
    change(fields)
    path.write_text(json.dumps(fields))


@pytest.mark.parametrize("passphrase", [None, PASSPHRASE])
def test_a_key_wrapped_before_a_restart_unwraps_after_it(path: Path, passphrase: bytes | None) -> None:
    first: KeyProvider = LocalKeyProvider.create(path, passphrase)
    blob = first.wrap(KEY, CONTEXT)
    again: KeyProvider = LocalKeyProvider.open(path, passphrase)
    again.health()
    assert again.unwrap(blob, dict(reversed(CONTEXT.items()))) == KEY
    assert KEY not in blob
    assert again.name == "local"


def test_the_file_and_its_folder_are_private(path: Path) -> None:
    LocalKeyProvider.create(path, None)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_an_existing_file_is_never_overwritten(path: Path) -> None:
    LocalKeyProvider.create(path, None)
    before = path.read_bytes()
    with pytest.raises(Problem) as caught:
        LocalKeyProvider.create(path, None)
    assert caught.value.kind is Kind.CONFLICT
    assert path.read_bytes() == before


def test_the_passphrase_is_not_in_the_file_and_two_files_differ(path: Path) -> None:
    LocalKeyProvider.create(path, PASSPHRASE)
    LocalKeyProvider.create(path.with_name("other.key"), PASSPHRASE)
    assert PASSPHRASE not in path.read_bytes()
    one, other = (json.loads(p.read_text()) for p in (path, path.with_name("other.key")))
    assert one["salt"] != other["salt"]
    assert one["protection"] == "argon2id"


def test_a_passphrase_is_stretched_as_rfc_9106_recommends(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    LocalKeyProvider.create(path, PASSPHRASE)
    fields = json.loads(path.read_text())
    assert (fields["time"], fields["memory-kib"], fields["lanes"]) == (3, 65_536, 4)
    LocalKeyProvider.open(path, PASSPHRASE).health()


def test_an_empty_passphrase_is_refused(path: Path) -> None:
    with pytest.raises(Problem) as caught:
        LocalKeyProvider.create(path, b"")
    assert caught.value.kind is Kind.INCORRECT
    assert not path.exists()


def test_attack_wrong_or_missing_passphrase(path: Path) -> None:
    LocalKeyProvider.create(path, PASSPHRASE)
    assert "wrong passphrase" in refused(path, b"Correct horse battery staple")
    assert "needs its passphrase" in refused(path, None)
    assert "needs its passphrase" in refused(path, b"")


def test_attack_swap_the_protected_file_for_an_open_one(path: Path) -> None:
    LocalKeyProvider.create(path, None)
    assert "the file has none" in refused(path, PASSPHRASE)


def test_attack_file_readable_by_others(path: Path) -> None:
    LocalKeyProvider.create(path, None)
    path.chmod(0o644)
    assert "chmod 600 root.key" in refused(path, None)


@pytest.mark.parametrize(
    "change",
    [
        lambda f: f.update({"salus-root-key": 2}),
        lambda f: f.pop("salus-root-key"),
        lambda f: f.update(protection="rot13"),
        lambda f: f.update(protection="none"),
        lambda f: f.pop("key"),
        lambda f: f.update(key=f["key"][:-8]),
        lambda f: f.update(key="B" + f["key"][1:]),
        lambda f: f.update(key="*not base64*"),
        lambda f: f.update(key=7),
        lambda f: f.update(salt="AAAA"),
        lambda f: f.update(salt=f["salt"].swapcase()),
        lambda f: f.update(time=0),
        lambda f: f.update({"memory-kib": 1 << 40}),
        lambda f: f.update({"memory-kib": 8}),
        lambda f: f.update(lanes=10_000),
        lambda f: f.update(lanes="many"),
        lambda f: f.update(time=10**9),
    ],
)
def test_attack_edited_file(path: Path, change: Edit) -> None:
    LocalKeyProvider.create(path, PASSPHRASE)
    edited(path, change)
    assert refused(path, PASSPHRASE)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b'"key"', b"{}", b"null"])
def test_attack_file_of_something_else(path: Path, content: bytes) -> None:
    LocalKeyProvider.create(path, None)
    path.write_bytes(content)
    assert refused(path, None).startswith("root.key")


def test_attack_open_file_with_a_short_key(path: Path) -> None:
    LocalKeyProvider.create(path, None)
    edited(path, lambda f: f.update(key="AAAA"))
    assert "damaged" in refused(path, None)


@pytest.mark.parametrize(
    "context",
    [
        {"tenant": "clinic-b", "purpose": "tenant-root"},
        {"tenant": "default", "purpose": "page-key"},
        {"tenant": "default"},
        {},
        {**CONTEXT, "epoch": "1"},
        {"purpose": "default", "tenant": "tenant-root"},
    ],
)
def test_attack_unwrap_for_another_context(path: Path, context: dict[str, str]) -> None:
    provider = LocalKeyProvider.create(path, None)
    with pytest.raises(Problem) as caught:
        provider.unwrap(provider.wrap(KEY, CONTEXT), context)
    assert caught.value.kind is Kind.UNAVAILABLE


def test_attack_unwrap_what_another_provider_wrapped(path: Path) -> None:
    mine = LocalKeyProvider.create(path, None)
    theirs = LocalKeyProvider.create(path.with_name("other.key"), None)
    with pytest.raises(Problem) as caught:
        mine.unwrap(theirs.wrap(KEY, CONTEXT), CONTEXT)
    assert caught.value.kind is Kind.UNAVAILABLE
