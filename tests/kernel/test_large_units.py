# SPDX-License-Identifier: Apache-2.0
"""A unit of many rows is written in steps: others go on in between, and nobody sees a part of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from salus.kernel import commit
from salus.kernel.commit import Unit, Writer
from salus.kernel.db import Connection, FileLock, open_database
from salus.kernel.errors import Kind, Problem

MANY = 1_000  # as a weight; the steps are as many as the part has rows


class Plain:
    """Writes a row for each word, and remembers what it was told."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.told: list[str] = []

    def begin(self, db: Connection) -> None:
        assert db.in_transaction
        self.told.append("begin")

    def check(self, db: Connection, part: list[str]) -> None:
        for word in part:
            if word == "refused":
                raise Problem(Kind.CONFLICT, "No.")

    def apply(self, db: Connection, parts: Sequence[list[str]]) -> None:
        db.executemany("insert into word values(?)", [(word,) for part in parts for word in part])

    def committed(self) -> None:
        self.told.append("committed")

    def rolled_back(self) -> None:
        self.told.append("rolled back")

    def idle(self, db: Connection) -> bool:
        return False


class Stepwise(Plain):
    """The same, one row a step."""

    def check_in_steps(self, db: Connection, part: list[str]) -> Iterator[bool]:
        self.check(db, part)
        yield True

    def apply_in_steps(self, db: Connection, parts: Sequence[list[str]]) -> Iterator[bool]:
        for part in parts:
            for word in part:
                self.apply(db, [[word]])
                yield True
                if word == "broken":
                    raise ValueError(word)


class Keeping(Plain):
    """Keeps parts outside of a group."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.waiting: list[str] = []

    def keep(self, db: Connection, parts: Sequence[list[str]]) -> None:
        self.waiting += [word for part in parts for word in part]

    def kept(self) -> bool:
        return bool(self.waiting)

    def begin(self, db: Connection) -> None:
        super().begin(db)
        self.apply(db, [self.waiting])
        self.waiting = []


class Office:
    """A file of words, and the writer of a process over it."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "words.db"
        self.db = open_database(self.file, None)
        self.db.execute("create table word(word text) strict")
        self.lock = FileLock(folder / "lock")
        self.rooms = (Stepwise("rows"), Plain("notes"), Keeping("audit"))
        self.opened = 0
        self.writer = Writer(self.db, self.lock, self.rooms)
        self.writer.keep_with(self.rooms[2])
        self.writer.in_steps_over(self.other)

    async def other(self) -> Connection:
        self.opened += 1
        return open_database(self.file, None)

    def words(self) -> list[str]:
        return [word for (word,) in self.db.execute("select word from word")]

    def run(self, story: Callable[[], Awaitable[Any]]) -> Any:
        return asyncio.run(story())  # type: ignore[arg-type]


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    made = Office(tmp_path)
    yield made
    made.writer.close()
    made.db.close()
    made.lock.close()


def unit(weight: int = 1, **parts: list[str]) -> Unit:
    made = Unit()
    made.parts.update(parts)
    made.weight = weight
    return made


def test_others_have_their_turn_between_the_steps_and_see_nothing_of_it_until_it_is_whole(office: Office) -> None:
    seen: list[list[str]] = []

    async def story() -> None:
        writing = office.writer.submit(unit(MANY, rows=["a", "b", "c"], notes=["d"]))
        while not writing.done():
            seen.append(office.words())
            await asyncio.sleep(0)
        await writing

    office.run(story)
    assert len(seen) >= 3
    assert all(words in ([], ["a", "b", "c", "d"]) for words in seen)
    assert office.words() == ["a", "b", "c", "d"]


def test_who_writes_meanwhile_comes_after_it_and_who_only_reads_does_not_wait(office: Office) -> None:
    order: list[str] = []

    async def done(name: str, made: Unit) -> None:
        await office.writer.submit(made)
        order.append(name)

    async def story() -> None:
        large = asyncio.ensure_future(done("large", unit(MANY, rows=["a"] * 20)))
        for _ in range(5):
            await asyncio.sleep(0)
        await asyncio.gather(large, done("write", unit(notes=["b"])), done("read", unit(audit=["c"])))
        await office.writer.settle()

    office.run(story)
    assert order == ["read", "large", "write"]
    assert sorted(office.words()) == ["a"] * 20 + ["b", "c"]


@pytest.mark.parametrize(("word", "kind"), [("refused", Kind.CONFLICT), ("broken", Kind.UNAVAILABLE)])
def test_what_fails_in_the_middle_leaves_nothing_and_harms_nobody(office: Office, word: str, kind: Kind) -> None:
    async def story() -> Problem:
        failing = office.writer.submit(unit(MANY, rows=["a", word, "b"], notes=["c"]))
        following = office.writer.submit(unit(notes=["d"]))
        with pytest.raises(Problem) as caught:
            await failing
        await following
        return caught.value

    assert office.run(story).kind is kind
    assert office.words() == ["d"]
    assert all("rolled back" in room.told for room in office.rooms)


def test_a_problem_of_a_later_room_takes_the_rows_back(office: Office) -> None:
    async def story() -> None:
        with pytest.raises(Problem):
            await office.writer.submit(unit(MANY, rows=["a", "b"], notes=["refused"]))

    office.run(story)
    assert office.words() == []


def test_closing_in_the_middle_writes_it_to_its_end(office: Office) -> None:
    async def story() -> None:
        writing = office.writer.submit(unit(MANY, rows=["a", "b", "c"]))
        office.writer.submit(unit(MANY, rows=["d"]))
        while "begin" not in office.rooms[0].told:
            await asyncio.sleep(0)
        assert not writing.done()
        office.writer.close()
        assert writing.done()

    office.run(story)
    assert office.words() == ["a", "b", "c", "d"]


def test_two_large_units_go_one_after_the_other_over_one_connection(office: Office) -> None:
    async def story() -> None:
        await asyncio.gather(*(office.writer.submit(unit(MANY, rows=[name] * 3)) for name in "ab"))

    office.run(story)
    assert office.words() == [*"aaabbb"]
    assert office.opened == 1


def test_without_another_connection_it_goes_in_one_piece(office: Office) -> None:
    async def never() -> Connection:
        raise Problem(Kind.UNAVAILABLE, "No.")

    async def story() -> None:
        office.writer.in_steps_over(never)
        await office.writer.submit(unit(MANY, rows=["a", "b"], notes=["c"]))

    office.run(story)
    assert office.words() == ["a", "b", "c"]


def test_attack_a_process_that_dies_in_the_middle_leaves_nothing(office: Office) -> None:
    async def story() -> None:
        office.writer.submit(unit(MANY, rows=["a", "b", "c"]))
        while "begin" not in office.rooms[0].told:
            await asyncio.sleep(0)
        # What would be on the disk: another machine that opens the files as they are now.
        copy = office.file.with_name("copy.db")
        for ending in ("", "-wal"):
            source = office.file.with_name(office.file.name + ending)
            if source.exists():
                copy.with_name(copy.name + ending).write_bytes(source.read_bytes())
        left = open_database(copy, None)
        assert left.execute("select count(*) from word").get == 0
        left.close()

    office.run(story)


def test_while_another_process_holds_the_lock_requests_that_read_are_answered(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commit, "_LOCK_TRIES", 0)  # as after having tried for a while
    elsewhere = FileLock(office.file.with_name("lock"))

    async def story() -> None:
        elsewhere.__enter__()
        writing = office.writer.submit(unit(notes=["a"]))
        for _ in range(20):
            await office.writer.submit(unit(audit=["r"]))
        assert not writing.done()
        elsewhere.__exit__()
        await writing

    office.run(story)
    elsewhere.close()
    assert office.words().count("a") == 1
