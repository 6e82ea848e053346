# SPDX-License-Identifier: Apache-2.0
"""Care relationships follow the records that state them, in the same commit."""

from __future__ import annotations

import asyncio
from pathlib import Path

from salus.access.relations import Relations, RelationWrites, Replace, prepare, replace
from salus.kernel.commit import Unit, Writer
from salus.kernel.db import Connection, FileLock, open_database

NURSE, ANA, BEN, TEAM, VISIT = (letter * 16 for letter in (b"n", b"a", b"b", b"t", b"v"))


def commit(db: Connection, folder: Path, *changes: Replace) -> None:
    async def run() -> None:
        lock = FileLock(folder / "lock")
        writer = Writer(db, lock, [RelationWrites()])
        try:
            waiting = []
            for change in changes:
                unit = Unit()
                replace(unit, change)
                waiting.append(writer.submit(unit))
            await asyncio.gather(*waiting)
        finally:
            writer.close()
            lock.close()

    asyncio.run(run())


def test_a_record_replaces_only_what_it_said_before(db: Connection, tmp_path: Path) -> None:
    reader = open_database(tmp_path / "access.db", None)
    relations = Relations(reader)
    commit(
        db,
        tmp_path,
        Replace("default", TEAM, ((NURSE, ANA, "care-team"), (NURSE, BEN, "care-team"))),
        Replace("default", VISIT, ((NURSE, ANA, "encounter"),)),
    )
    assert relations.related("default", NURSE, ANA)
    assert relations.related("default", NURSE, BEN)
    commit(db, tmp_path, Replace("default", TEAM, ()))
    assert relations.related("default", NURSE, ANA)  # the visit still says so
    assert not relations.related("default", NURSE, BEN)
    reader.close()


def test_a_relationship_of_one_tenant_is_none_in_another(db: Connection, tmp_path: Path) -> None:
    commit(db, tmp_path, Replace("one", TEAM, ((NURSE, ANA, "care-team"),)))
    assert not Relations(db).related("two", NURSE, ANA)
    commit(db, tmp_path, Replace("two", TEAM, ()))  # the same record id elsewhere takes nothing away here
    assert Relations(db).related("one", NURSE, ANA)


def test_the_tables_are_made_once(db: Connection) -> None:
    prepare(db)
    assert not Relations(db).related("default", NURSE, ANA)
