# SPDX-License-Identifier: Apache-2.0
"""Passwords that have leaked: the built-in list, and one that an operator brings."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from salus.identity.factors.breached import MARK, Breached, import_list
from salus.identity.factors.passwords import Cost, PasswordHasher
from salus.kernel.errors import Kind, Problem


def line(password: str, count: int = 3) -> str:
    return (
        f"{hashlib.sha1(password.encode('utf-8', 'surrogatepass'), usedforsecurity=False).hexdigest().upper()}:{count}"
    )


def judged(password: str, breached: Breached) -> bool:
    """Whether a password may be chosen."""
    told = ""
    try:
        PasswordHasher(Cost(1, 64), breached).check_new(password, ("default", "dr.amara"))
    except Problem as problem:
        told = f"{problem.kind}: {problem.public}"
    assert password not in told
    return not told


@pytest.mark.parametrize(
    "password", ["liverpool1892!!", "Chocolate-2026-12", "1qaz2wsx3edc4rfv", "$$Slipknot2020$$", "basketball1234567"]
)
def test_what_everybody_chooses_is_refused_however_it_is_decorated(password: str) -> None:
    assert not judged(password, Breached())


@pytest.mark.parametrize(
    "password", ["violet harbour 42 kites", "tugof-lamip-derux-sobin-kalet", "Ünnötig lange Würste 7"]
)
def test_a_good_password_is_taken(password: str) -> None:
    assert judged(password, Breached())


LEAKED = "violet harbour 42 kites"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Lists as download tools leave them."""
    lines = [*sorted(line(f"password number {n}", n + 1) for n in range(300)), line(LEAKED, 7)]
    folder = tmp_path / "pwned"
    folder.mkdir()
    (tmp_path / "pwned.txt").write_text("\n".join(sorted(lines)) + "\n")
    for each in lines:
        name = folder / f"{each[:5]}.txt"
        name.write_text((name.read_text() if name.exists() else "") + each[5:] + "\r\n")
    packed = tmp_path / "packed"
    packed.mkdir()
    for file in folder.iterdir():
        (packed / f"{file.name}.gz").write_bytes(gzip.compress(file.read_bytes()))
    return tmp_path


@pytest.mark.parametrize("name", ["pwned.txt", "pwned", "packed"])
def test_an_imported_list_counts_from_then_on(source: Path, name: str) -> None:
    target = source / "breached.bin"
    breached = Breached(target)
    assert judged(LEAKED, breached)
    assert import_list(source / name, target) == 301
    assert not judged(LEAKED, breached)
    assert not judged("password number 12", breached)
    assert judged("amber lantern 77 mills", breached)
    assert import_list(source / name, target, at_least=100) == 201
    assert judged(LEAKED, breached)


@pytest.mark.parametrize(
    ("text", "words"),
    [("hello\n", "line 1"), (f"{line('a')}\n{'0' * 40}:1\n", "sorted"), (f"{'0' * 35}:1\n", "line 1"), ("", "")],
)
def test_what_is_no_list_replaces_nothing(source: Path, text: str, words: str) -> None:
    target, bad = source / "breached.bin", source / "bad.txt"
    import_list(source / "pwned.txt", target)
    bad.write_text(text)
    if words:
        with pytest.raises(Problem, match=words):
            import_list(bad, target)
        assert not judged(LEAKED, Breached(target))
    else:
        assert import_list(bad, target) == 0
    assert [path.name for path in source.iterdir() if path.name.startswith(".")] == []


def test_a_damaged_list_refuses_every_password_rather_than_none(tmp_path: Path) -> None:
    target = tmp_path / "breached.bin"
    target.write_bytes(b"something else")
    with pytest.raises(Problem) as caught:
        Breached(target).known(["amber lantern 77 mills"])
    assert caught.value.kind is Kind.UNAVAILABLE


@given(st.sets(st.text(min_size=1, max_size=6), min_size=1, max_size=20), st.text(max_size=6))
def test_bisection_finds_what_is_there_and_nothing_else(words: set[str], other: str) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "source", Path(folder) / "target"
        source.write_text("".join(sorted(f"{line(word).partition(':')[0]}\n" for word in words)))
        assert import_list(source, target) == len(words)
        assert target.read_bytes().startswith(MARK)
        listed = Breached(target)
        assert all(listed.known([word]) for word in words)
        assert listed.known([other]) is (other in words or Breached().known([other]))
