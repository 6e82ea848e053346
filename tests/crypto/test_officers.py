# SPDX-License-Identifier: Apache-2.0
"""A root key that officers open together: shares as text, wrong ones named, rotation and splitting of the file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from salus.crypto.kms import officers, root_file
from salus.crypto.kms.local import LocalKeyProvider
from salus.kernel.errors import Kind, Problem

CONTEXT = {"tenant": "default", "purpose": "tenant-root"}
KEY = bytes(range(32))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "kms" / "root.key"


def key_of(path: Path, shares: list[str]) -> bytearray:
    gathering = root_file.gathering(path)
    for share in shares:
        gathering.add(share)
    return gathering.key()


def test_any_three_of_five_officers_open_it(path: Path) -> None:
    provider, shares = LocalKeyProvider.create_for_officers(path, 3, 5)
    blob = provider.wrap(KEY, CONTEXT)
    assert len(set(shares)) == 5
    for some in (shares[:3], shares[2:], [shares[4], shares[0], shares[2]], shares):
        opened = LocalKeyProvider.open(path, key_of(path, list(some)))
        assert opened.unwrap(blob, CONTEXT) == KEY


def test_two_do_not(path: Path) -> None:
    _, shares = LocalKeyProvider.create_for_officers(path, 3, 5)
    gathering = root_file.gathering(path)
    assert [gathering.add(share) for share in (shares[0], shares[1], shares[0], shares[1])] == [False] * 4
    assert gathering.given == 2  # the same share twice counts once
    with pytest.raises(Problem) as caught:
        gathering.key()
    assert caught.value.kind is Kind.UNAVAILABLE
    for secret in (None, b"", bytes(32)):
        with pytest.raises(Problem):
            LocalKeyProvider.open(path, secret)


def test_no_share_and_no_key_stands_in_the_file(path: Path) -> None:
    provider, shares = LocalKeyProvider.create_for_officers(path, 2, 3)
    text = path.read_text()
    for share in shares:
        assert share.split(".")[4] not in text.lower()
    assert json.loads(text)["protection"] == "officers"
    assert provider._file is not None
    assert provider._file.versions[1].hex() not in text


def test_attack_a_share_of_another_key(path: Path) -> None:
    LocalKeyProvider.create_for_officers(path, 2, 3)
    _, others = LocalKeyProvider.create_for_officers(path.with_name("other.key"), 2, 3)
    gathering = root_file.gathering(path)
    for share in others:
        with pytest.raises(Problem) as caught:
            gathering.add(share)
        assert "does not belong" in caught.value.public
        assert share not in f"{caught.value.public}{caught.value.detail}"
    assert gathering.given == 0


def test_every_typing_error_is_noticed(path: Path) -> None:
    _, (share, *_) = LocalKeyProvider.create_for_officers(path, 2, 3)
    gathering = root_file.gathering(path)
    for place, letter in enumerate(share):
        typed = share[:place] + ("a" if letter != "a" else "b") + share[place + 1 :]
        with pytest.raises(Problem) as caught:
            gathering.add(typed)
        assert caught.value.kind is Kind.INCORRECT
    for typed in (share[:-1], share[1:], share + "0", "", "x" * 900, share.replace(".", ":")):
        with pytest.raises(Problem):
            gathering.add(typed)
    assert not gathering.add(f"  {share.upper()}\n")  # case and spaces do not matter
    assert gathering.given == 1


def test_attack_lower_the_number_that_is_needed(path: Path) -> None:
    _, shares = LocalKeyProvider.create_for_officers(path, 3, 5)
    fields = json.loads(path.read_text())
    fields["needed"] = 2
    path.write_text(json.dumps(fields))
    key = key_of(path, shares[:2])
    with pytest.raises(Problem) as caught:
        LocalKeyProvider.open(path, key)
    assert "wrong shares" in caught.value.detail


@pytest.mark.parametrize(("needed", "count"), [(1, 3), (4, 3), (2, 33), (0, 0), (1, 1)])
def test_impossible_numbers_of_officers(path: Path, needed: int, count: int) -> None:
    with pytest.raises(Problem) as caught:
        LocalKeyProvider.create_for_officers(path, needed, count)
    assert caught.value.kind is Kind.INCORRECT
    assert not path.exists()


def test_a_file_is_split_and_split_again_and_former_shares_end(path: Path) -> None:
    first = LocalKeyProvider.create(path, b"correct horse battery staple")
    blob = first.wrap(KEY, CONTEXT)
    file = root_file.open_file(path, b"correct horse battery staple")
    old = file.split(2, 3)
    file.write(replace=True)
    file = root_file.open_file(path, key_of(path, old[1:]))
    new = file.split(3, 4)
    file.write(replace=True)
    assert LocalKeyProvider.open(path, key_of(path, new[:3])).unwrap(blob, CONTEXT) == KEY
    with pytest.raises(Problem):
        key_of(path, old)
    with pytest.raises(Problem):
        LocalKeyProvider.open(path, b"correct horse battery staple")


@pytest.mark.parametrize("secret", [None, b"correct horse battery staple", "officers"])
def test_versions_survive_a_restart_under_every_protection(
    path: Path, secret: bytes | str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(root_file, "_TIME", 1)
    monkeypatch.setattr(root_file, "_MEMORY_KIB", 256)
    shares: list[str] = []
    if isinstance(secret, str):
        provider, shares = LocalKeyProvider.create_for_officers(path, 2, 3)
    else:
        provider = LocalKeyProvider.create(path, secret)
    old = provider.wrap(KEY, CONTEXT)
    assert provider.rotate() == "2"
    new = provider.rewrap(old, CONTEXT)
    again = LocalKeyProvider.open(path, key_of(path, shares) if shares else secret)  # type: ignore[arg-type]
    assert again.unwrap(old, CONTEXT) == KEY
    assert again.unwrap(new, CONTEXT) == KEY
    again.destroy_version("1")
    last = LocalKeyProvider.open(path, key_of(path, shares) if shares else secret)  # type: ignore[arg-type]
    assert last.unwrap(new, CONTEXT) == KEY
    with pytest.raises(Problem):
        last.unwrap(old, CONTEXT)
    for version in ("2", "1", "3", "x", ""):
        with pytest.raises(Problem) as caught:
            last.destroy_version(version)
        assert caught.value.kind is Kind.INCORRECT


def test_a_rotation_that_cannot_be_written_changes_nothing(path: Path) -> None:
    provider = LocalKeyProvider.create(path, None)
    before = path.read_bytes()
    path.chmod(0o644)  # others may read it now: it is refused, as at every reading
    with pytest.raises(Problem):
        provider.rotate()
    path.chmod(0o600)
    assert path.read_bytes() == before
    blob = provider.wrap(KEY, CONTEXT)
    assert LocalKeyProvider.open(path, None).unwrap(blob, CONTEXT) == KEY


def test_a_closed_provider_gives_out_nothing(path: Path) -> None:
    provider = LocalKeyProvider.create(path, None)
    blob = provider.wrap(KEY, CONTEXT)
    assert provider._file is not None
    held = provider._file.versions[1]
    provider.close()
    assert not any(held)
    for use in (lambda: provider.unwrap(blob, CONTEXT), provider.rotate, lambda: provider.sign(b"x")):
        with pytest.raises(Problem) as caught:
            use()
        assert caught.value.kind is Kind.UNAVAILABLE


def test_a_share_is_read_as_it_was_written() -> None:
    for share in officers.split(KEY, 2, 3, "0011aabb"):
        assert officers.parse(share.text()) == share
        assert share.text() not in repr(share)
        assert bytes(share.value).hex() not in repr(share)
