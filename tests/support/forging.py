# SPDX-License-Identifier: Apache-2.0
"""What somebody does who has the key of the database file and none of a tenant; all that is put back was genuine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from salus.app import verifying
from salus.app.verifying import Verified
from salus.freshness.report import FindingKind
from salus.identity.accounts.profile import handle_of
from salus.kernel.db import Connection
from tests.support.clinic import Clinic, heart_rate, put_all

Forgery = Callable[[Connection, Clinic], object]
PULSE = "Observation/pulse-anna"


def verified(clinic: Clinic, **how: Any) -> Verified:
    """What `salus verify` finds of the only tenant."""
    return clinic.run(verifying.verify(clinic.house, **how))["default"]


def kinds(found: Verified) -> set[FindingKind]:
    """What sort of things were found."""
    return {each.kind for each in found.findings}


def rid(clinic: Clinic, place: str) -> bytes:
    """The surrogate of `Type/id`."""
    return clinic.house.keyring.tenant("default").surrogate("record", place)


def forge(clinic: Clinic, how: Forgery) -> None:
    """Edit the database from outside."""
    with clinic.behind() as db:
        how(db, clinic)


def change(clinic: Clinic) -> None:
    """A second version of Anna's pulse."""
    put_all(clinic.as_("service"), heart_rate("anna", 180))


# ── forgeries ────────────────────────────────────────────────────────────────────────────────────────────────────────


def older_put_back(db: Connection, clinic: Clinic) -> None:
    """The newest version goes, the former one is the newest again, as it once was in every column but its marks."""
    mine = rid(clinic, PULSE)
    newest: Any = db.execute("select seq from record where rid=? and version=2", (mine,)).get
    db.execute("delete from record where seq=?", (newest,))
    db.execute("delete from blind_token where rowid=?", (newest,))
    db.execute("update record set current=1 where rid=? and version=1", (mine,))


def taken_away(db: Connection, clinic: Clinic) -> None:
    """A record goes with all its versions and tokens."""
    for (seq,) in db.execute("select seq from record where rid=?", (rid(clinic, PULSE),)).fetchall():
        db.execute("delete from blind_token where rowid=?", (seq,))
        db.execute("delete from record where seq=?", (seq,))


def copied(db: Connection, clinic: Clinic) -> None:
    """A genuine body under another id."""
    row: Any = db.execute("select * from record where rid=?", (rid(clinic, PULSE),)).fetchone()
    fresh: Any = db.execute("select max(seq) + 1 from record").get
    values = [fresh, row[1], b"\x07" * 16, *row[3:]]
    db.execute(f"insert into record values({','.join('?' * len(values))})", values)


def history_cut(db: Connection, clinic: Clinic) -> None:
    """A former version goes."""
    db.execute("delete from record where rid=? and version=1", (rid(clinic, PULSE),))


def set_to(column: str, value: object) -> Forgery:
    """A column that no seal binds is changed."""

    def how(db: Connection, clinic: Clinic) -> None:
        db.execute(f"update record set {column}=? where rid=? and current=1", (value, rid(clinic, PULSE)))
        assert db.changes() == 1

    return how


def tokens_taken(db: Connection, clinic: Clinic) -> None:
    """The record is not found by any search any more."""
    db.execute("delete from blind_token where rowid=(select max(seq) from record where rid=?)", (rid(clinic, PULSE),))


def words_of(db: Connection, seq: int) -> list[str]:
    """The tokens of a row."""
    db.execute("create virtual table if not exists temp.w using fts5vocab(main, blind_token, instance)")
    return [term for (term,) in db.execute("select term from temp.w where doc=?", (seq,))]


def one_token_taken(db: Connection, clinic: Clinic) -> None:
    """One of many words is left out."""
    seq: Any = db.execute("select seq from record where rid=? and current=1", (rid(clinic, PULSE),)).get
    kept = words_of(db, seq)[1:]
    db.execute("insert or replace into blind_token(rowid, terms) values(?,?)", (seq, " ".join(kept)))


def tokens_swapped(db: Connection, clinic: Clinic) -> None:
    """Two records are found in each other's place."""
    seqs = [
        db.execute("select seq from record where rid=? and current=1", (rid(clinic, place),)).get
        for place in (PULSE, "Observation/pulse-bert")
    ]
    one, other = (words_of(db, seq) for seq in seqs)
    for seq, terms in zip(seqs, (other, one), strict=True):
        db.execute("insert or replace into blind_token(rowid, terms) values(?,?)", (seq, " ".join(terms)))


def token_added(db: Connection, clinic: Clinic) -> None:
    """A word for a row that is not there."""
    db.execute("insert into blind_token(rowid, terms) values(99999, 'feedfeedfeedfeed')")


def foreign_word(db: Connection, clinic: Clinic) -> None:
    """A word that is no token."""
    db.execute("insert into blind_token(rowid, terms) values(99999, 'plainword')")


def nurse_of_bert(db: Connection, clinic: Clinic) -> None:
    """The nurse is put into Bert's care team, in the table alone."""
    owner = clinic.house.keyring.tenant("default").surrogate("Patient", "bert")
    db.execute("insert into relation select tenant, party, ?, kind, source from relation limit 1", (owner,))
    assert db.changes() == 1


def no_nurse_of_anna(db: Connection, clinic: Clinic) -> None:
    """A relation goes."""
    db.execute("delete from relation")


def account_enabled(db: Connection, clinic: Clinic) -> None:
    """An account is switched off, or on; of somebody whom no test needs afterwards."""
    mine = handle_of(clinic.house.keyring.tenant("default"), "billing")
    db.execute("update account set disabled=1-disabled where handle=?", (mine,))
    assert db.changes() == 1


def token_back(db: Connection, clinic: Clinic) -> None:
    """An access token lives longer, or again."""
    db.execute("update token set expires=expires+1 where id=(select min(id) from token)")


def trigger_set(db: Connection, clinic: Clinic) -> None:
    """A trigger would do its work in our own transactions."""
    db.execute("create trigger t after insert on record begin delete from relation; end")


def other_tenant(db: Connection, clinic: Clinic) -> None:
    """A row of a tenant that there is not."""
    db.execute("insert into attempt values('nobody', x'00', 0, 0)")


def copy_of(clinic: Clinic, table: str) -> list[tuple[Any, ...]]:
    """All rows of a table."""
    with clinic.behind() as db:
        rows: Any = db.execute(f"select * from {table}").fetchall()
    return list(rows)


def put_back(clinic: Clinic, table: str, rows: list[tuple[Any, ...]]) -> None:
    """A table as it once was."""

    def how(db: Connection, clinic: Clinic) -> None:
        db.execute(f"delete from {table}")
        for row in rows:
            db.execute(f"insert into {table} values({','.join('?' * len(row))})", row)

    forge(clinic, how)
