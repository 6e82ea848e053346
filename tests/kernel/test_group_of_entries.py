# SPDX-License-Identifier: Apache-2.0
"""What needs no transaction is kept together with what others on their way bring, and never waits for them long."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from salus.kernel.commit import Unit, Writer
from salus.kernel.db import Connection, FileLock, open_database


class Notebook:
    """A fake keeper: notes which parts were kept together."""

    name = "notebook"

    def __init__(self) -> None:
        self.groups: list[list[Any]] = []
        self.written: list[Any] = []

    def keep(self, _: Connection, parts: Sequence[Any]) -> None:
        self.groups.append(list(parts))

    def kept(self) -> bool:
        return False

    def begin(self, db: Connection) -> None: ...

    def check(self, db: Connection, part: Any) -> None: ...

    def apply(self, _: Connection, parts: Sequence[Any]) -> None:
        self.written += parts

    def committed(self) -> None: ...

    def rolled_back(self) -> None: ...

    def idle(self, _: Connection) -> bool:
        return False


@pytest.fixture
def notebook() -> Notebook:
    return Notebook()


@pytest.fixture
def writer(tmp_path: Path, notebook: Notebook) -> Iterator[Writer]:
    lock, db = FileLock(tmp_path / "lock"), open_database(tmp_path / "records.db", bytes(32))
    writer = Writer(db, lock, [notebook])
    writer.keep_with(notebook)
    yield writer
    writer.close()
    db.close()
    lock.close()


async def note(writer: Writer, what: str, turns: int) -> None:
    """A request that hands its entry in after so many turns of the loop."""
    writer.on_their_way += 1
    for _ in range(turns):
        await asyncio.sleep(0)
    unit = Unit()
    unit.parts["notebook"] = what
    await writer.submit(unit)
    writer.on_their_way -= 1


def test_those_who_come_a_turn_later_share_the_flush(writer: Writer, notebook: Notebook) -> None:
    async def go() -> None:
        await asyncio.gather(*(note(writer, f"{turns}", turns) for turns in (0, 1, 2)))

    asyncio.run(go())
    assert [sorted(group) for group in notebook.groups] == [["0", "1", "2"]]


def test_nobody_waits_for_one_who_takes_long(writer: Writer, notebook: Notebook) -> None:
    async def go() -> None:
        writer.on_their_way += 1  # somebody who searches, say, and may never hand anything in
        await asyncio.wait_for(note(writer, "now", 0), 60)

    asyncio.run(go())
    assert notebook.groups == [["now"]]


def test_settling_takes_in_what_still_waits_for_others(writer: Writer, notebook: Notebook) -> None:
    async def go() -> None:
        writer.on_their_way += 1
        waiting = asyncio.ensure_future(note(writer, "first", 0))
        await asyncio.sleep(0)
        assert notebook.groups == []
        await writer.settle()
        assert notebook.groups == [["first"]]
        await waiting

    asyncio.run(go())


def test_what_waits_when_the_writer_is_closed_is_written_and_kept_by_nobody(writer: Writer, notebook: Notebook) -> None:
    async def go() -> None:
        writer.on_their_way += 1
        waiting = asyncio.ensure_future(note(writer, "last", 0))
        await asyncio.sleep(0)
        writer.close()
        await waiting

    asyncio.run(go())
    assert notebook.groups == []
    assert notebook.written == ["last"]
