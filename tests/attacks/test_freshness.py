# SPDX-License-Identifier: Apache-2.0
"""Somebody with the key of the database file takes rows away, adds some, or puts them back: each is found and named.

Nothing here needs a key of the tenant, and everything that is put back was genuine once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from salus.audit.event import EventType, Outcome
from salus.audit.reading import Filter
from salus.freshness.report import FindingKind
from salus.freshness.rows import covered
from salus.kernel.db import Connection
from tests.support.clinic import Clinic, condition, heart_rate, patient, put_all
from tests.support.forging import (
    PULSE,
    Forgery,
    account_enabled,
    change,
    copied,
    foreign_word,
    forge,
    history_cut,
    kinds,
    no_nurse_of_anna,
    nurse_of_bert,
    older_put_back,
    one_token_taken,
    other_tenant,
    rid,
    set_to,
    taken_away,
    token_added,
    token_back,
    tokens_swapped,
    tokens_taken,
    trigger_set,
    verified,
)

FORGERIES: dict[str, tuple[Forgery, FindingKind, str]] = {
    "older version put back": (older_put_back, FindingKind.OLDER, "newest here is version 1"),
    "record taken away": (taken_away, FindingKind.GONE, "nothing of it is here"),
    "record copied": (copied, FindingKind.ADDED, "no entry of the log"),
    "history cut": (history_cut, FindingKind.GONE, "version 1 is not here"),
    "newest unmarked": (set_to("current", 0), FindingKind.CHANGED, "not marked as the newest"),
    "time set back": (set_to("updated", 1), FindingKind.CHANGED, "not what stands beside it"),
    "method": (set_to("method", "DELETE"), FindingKind.CHANGED, "not what stands beside it"),
    "stamp of the index": (set_to("indexed", 0), FindingKind.TABLE, "record"),
    "tokens taken": (tokens_taken, FindingKind.INDEX, "Observation"),
    "one token taken": (one_token_taken, FindingKind.INDEX, "Observation"),
    "tokens swapped": (tokens_swapped, FindingKind.INDEX, "Observation"),
    "token added": (token_added, FindingKind.INDEX, "row 99999"),
    "foreign word": (foreign_word, FindingKind.INDEX, "row 99999"),
    "relation added": (nurse_of_bert, FindingKind.RELATION, "no record states it"),
    "relation taken": (no_nurse_of_anna, FindingKind.RELATION, "is not in the table"),
    "account": (account_enabled, FindingKind.TABLE, "account: a row was changed"),
    "token": (token_back, FindingKind.TABLE, "token: a row was changed"),
    "trigger": (trigger_set, FindingKind.SCHEMA, "triggers"),
    "row of nobody": (other_tenant, FindingKind.TABLE, "a tenant that there is not"),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_what_was_done_behind_our_back_is_found_and_named(clinic: Clinic, forgery: str) -> None:
    change(clinic)
    assert verified(clinic).ok
    how, kind, words = FORGERIES[forgery]
    forge(clinic, how)
    found = verified(clinic)
    assert not found.ok
    assert any(each.kind is kind and words in each.text for each in found.findings), found.findings
    assert all(word not in each.text for each in found.findings for word in ("anna", "bert", "pulse", "8867-4"))


def test_it_stays_found_after_others_have_written(clinic: Clinic) -> None:
    """Later writes do not wash a forgery away, also where they touch the forged row itself."""
    forge(clinic, set_to("updated", 1))
    change(clinic)
    put_all(clinic.as_("service"), patient("clara", "Clark", "1970-01-01"))
    found = verified(clinic)
    assert FindingKind.CHANGED in kinds(found)
    clinic.close()
    clinic.open()
    assert FindingKind.CHANGED in kinds(verified(clinic))


def test_what_was_put_right_again_is_no_finding(clinic: Clinic) -> None:
    was: Any = clinic.house.db.execute("select updated from record where rid=?", (rid(clinic, PULSE),)).get
    forge(clinic, set_to("updated", 1))
    assert not verified(clinic).ok
    forge(clinic, set_to("updated", was))
    assert verified(clinic).ok


def test_the_result_is_in_the_log(clinic: Clinic) -> None:
    verified(clinic)
    forge(clinic, taken_away)
    verified(clinic)
    page = clinic.log().page("default", Filter(types=frozenset({EventType.STORE_VERIFY})), limit=2)
    assert [entry.event.outcome for _, entry in page.entries] == [Outcome.FAILED, Outcome.GRANTED]


# ── anything at all ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    """A clinic that is forged and mended over and over."""
    made = Clinic(tmp_path_factory.mktemp("ward") / "data")
    put_all(made.as_("service"), heart_rate("anna", 180), condition("anna"))
    yield made
    made.close()
    made.loop.close()


@settings(max_examples=40)
@given(data=st.data())
def test_whatever_is_changed_in_a_covered_table_is_found(ward: Clinic, data: st.DataObject) -> None:
    """Any value of any row; any row taken, doubled or exchanged with another of its table."""
    with ward.behind() as db:
        _tampered(ward, db, data)


def _tampered(ward: Clinic, db: Connection, data: st.DataObject) -> None:
    tables = {name: table for name, table in covered(db).items() if db.execute(f"select count(*) from {name}").get}
    name = data.draw(st.sampled_from(sorted(tables)))
    before: list[Any] = db.execute(f"select * from {name}").fetchall()
    after = [list(row) for row in before]
    at = data.draw(st.integers(0, len(after) - 1))
    if data.draw(st.booleans()):
        column = data.draw(st.integers(0, len(after[at]) - 1))
        after[at][column] = data.draw(like(after[at][column]))
    else:
        del after[at]
    marks = ",".join("?" * len(before[0]))
    db.execute(f"delete from {name}")
    for row in after:
        db.execute(f"insert or ignore into {name} values({marks})", row)
    now: list[Any] = db.execute(f"select * from {name}").fetchall()
    try:
        assert verified(ward).ok is (sorted(now, key=repr) == sorted(before, key=repr))
    finally:
        db.execute(f"delete from {name}")
        for row in before:
            db.execute(f"insert into {name} values({marks})", row)


def like(value: Any) -> st.SearchStrategy[Any]:
    """Another value of the same type."""
    if isinstance(value, int):
        return st.integers(-(2**63), 2**63 - 1)
    if isinstance(value, bytes):
        return st.binary(max_size=len(value) + 1) | st.integers(0, max(len(value) - 1, 0)).map(
            lambda at: value[:at] + bytes([value[at] ^ 1]) + value[at + 1 :] if value else b"x"
        )
    return st.text(max_size=20) if isinstance(value, str) else st.none()
