# SPDX-License-Identifier: Apache-2.0
"""When an application last used what it was allowed: remembered cheaply, written along, forgotten with its grant."""

from __future__ import annotations

import pytest
from client_desk import ClientDesk
from identity_desk import Desk

from salus.identity.clients.uses import Uses, sweep
from salus.identity.oauth.store import prepare

MINUTE = 60_000


@pytest.fixture
def uses(desk: Desk) -> Uses:
    ClientDesk(desk)
    prepare(desk.db)
    return Uses(desk.db)


def written(desk: Desk, uses: Uses) -> dict[str, int]:
    desk.db.execute("begin")
    uses.write(desk.db)
    desk.db.execute("commit")
    uses.committed()
    return dict(desk.db.execute("select grant_id, seen from client_use"))


def test_the_last_use_is_known_at_once_and_kept(desk: Desk, uses: Uses) -> None:
    uses.note("default", "one", 5 * MINUTE)
    assert uses.last("default", ["one", "two"]) == {"one": 5 * MINUTE}
    assert written(desk, uses) == {"one": 5 * MINUTE}
    assert Uses(desk.db).last("default", ["one"]) == {"one": 5 * MINUTE}
    assert uses.last("other", ["one"]) == {}


def test_many_uses_in_a_minute_are_one_write(desk: Desk, uses: Uses) -> None:
    for second in range(0, 120, 10):
        uses.note("default", "one", 5 * MINUTE + second * 1000)
        written(desk, uses)
    assert uses.last("default", ["one"]) == {"one": 6 * MINUTE}


def test_an_older_use_of_another_process_takes_nothing_back(desk: Desk, uses: Uses) -> None:
    uses.note("default", "one", 9 * MINUTE)
    written(desk, uses)
    late = Uses(desk.db)
    late.note("default", "one", 8 * MINUTE)
    assert written(desk, late) == {"one": 9 * MINUTE}


def test_what_was_rolled_back_is_written_with_the_next_group(desk: Desk, uses: Uses) -> None:
    uses.note("default", "one", 5 * MINUTE)
    desk.db.execute("begin")
    uses.write(desk.db)
    desk.db.execute("rollback")
    assert uses.last("default", ["one"]) == {"one": 5 * MINUTE}
    assert written(desk, uses) == {"one": 5 * MINUTE}


def test_uses_of_grants_that_are_over_are_swept(desk: Desk, uses: Uses) -> None:
    uses.note("default", "one", 5 * MINUTE)
    written(desk, uses)
    sweep(desk.db, 0)
    assert desk.db.execute("select count(*) from client_use").fetchone() == (0,)
