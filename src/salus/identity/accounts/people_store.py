# SPDX-License-Identifier: Apache-2.0
"""Tables of what belongs to people: sessions, passkeys, recovery codes, sign-ins under way, notices, invitations.

As everywhere in this room, no name and no secret is in clear: rows are found by keyed surrogates and hashes, and what
they say is sealed for its place (`salus.identity.accounts.store`).
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

from salus.crypto.tenant_keys import TenantKeys
from salus.kernel.clock import Clock
from salus.kernel.db import Connection, migrate
from salus.kernel.errors import Kind, Problem

T = TypeVar("T", bound=msgspec.Struct)

ROOM = "identity.people"

_SCHEMA = (
    """
    create table session(
        tenant text not null,
        hash blob not null,         -- keyed hash of the cookie's secret
        id text not null,
        handle blob not null,       -- whose it is
        created int not null,
        seen int not null,          -- the last sign of life
        ends int not null,
        sealed blob not null,       -- msgpack: how they signed in, for what, from where
        primary key(tenant, hash)
    ) strict, without rowid;
    create unique index session_id on session(tenant, id);
    create index session_account on session(tenant, handle);
    create index session_end on session(ends);
    create table flow(              -- a sign-in, or another ceremony, under way
        tenant text not null,
        hash blob not null,
        version int not null,       -- every step raises it: of two at the same moment one counts
        ends int not null,
        sealed blob not null,
        primary key(tenant, hash)
    ) strict, without rowid;
    create index flow_end on flow(ends);
    create table passkey(
        tenant text not null,
        credential blob not null,   -- surrogate of the credential id
        id text not null,
        handle blob not null,
        counter int not null,
        suspect int not null,       -- its counter went backwards: there may be a copy
        used int not null,
        sealed blob not null,       -- msgpack: credential id, public key, kind of device, label
        primary key(tenant, credential)
    ) strict, without rowid;
    create unique index passkey_id on passkey(tenant, id);
    create index passkey_account on passkey(tenant, handle);
    create table recovery_code(
        tenant text not null,
        hash blob not null,
        handle blob not null,
        primary key(tenant, hash)
    ) strict, without rowid;
    create index recovery_code_account on recovery_code(tenant, handle);
    create table invitation(        -- a code that begins: first sign-in, new password, new factors
        tenant text not null,
        hash blob not null,
        handle blob not null,
        starts int not null,
        ends int not null,
        sealed blob not null,
        primary key(tenant, hash)
    ) strict, without rowid;
    create index invitation_account on invitation(tenant, handle);
    create index invitation_end on invitation(ends);
    create table asking(            -- what one administrator asks for and another has to approve
        tenant text not null,
        id text not null,
        handle blob not null,
        asked int not null,
        sealed blob not null,
        primary key(tenant, id)
    ) strict, without rowid;
    create index asking_account on asking(tenant, handle);
    create table notice(            -- also what mail will be sent from: `sent` is 0 until then
        tenant text not null,
        id text not null,
        handle blob not null,
        at int not null,
        seen int not null,
        sent int not null,
        sealed blob not null,
        primary key(tenant, id)
    ) strict, without rowid;
    create index notice_account on notice(tenant, handle, id);
    create index notice_age on notice(at);
    create table familiar(          -- networks and devices from which someone signed in with both factors
        tenant text not null,
        handle blob not null,
        place blob not null,        -- surrogate
        at int not null,
        primary key(tenant, handle, place)
    ) strict, without rowid;
    create index familiar_age on familiar(at);
    create table standing(          -- of accounts that are not simply active
        tenant text not null,
        handle blob not null,
        state text not null,        -- invited, suspended, left
        since int not null,
        primary key(tenant, handle)
    ) strict, without rowid;
    """,
)

_DAY_MS = 24 * 3600 * 1000
NOTICE_DAYS = 400
FAMILIAR_DAYS = 90
ASKING_DAYS = 7

_SWEEPS = (
    ("delete from session where ends <= ?", 0),
    ("delete from flow where ends <= ?", 0),
    ("delete from invitation where ends <= ?", 0),
    ("delete from asking where asked <= ?", ASKING_DAYS),
    ("delete from notice where at <= ?", NOTICE_DAYS),
    ("delete from familiar where at <= ?", FAMILIAR_DAYS),
)


def prepare(db: Connection) -> None:
    """Make or update the tables."""
    migrate(db, ROOM, _SCHEMA)


def sweep(db: Connection, now_ms: int) -> None:
    """Delete what has ended; inside a transaction of the writer."""
    for statement, days in _SWEEPS:
        db.execute(statement, (now_ms - days * _DAY_MS,))


def keyed_hash(keys: TenantKeys, purpose: str, secret: str) -> bytes:
    """What is kept of a secret: without the tenant's keys nobody finds it again."""
    mac = keys.mac(purpose).copy()
    mac.update(secret.encode("utf-8", "surrogatepass"))
    return mac.finalize()


def seal_row(keys: TenantKeys, kind: str, place: bytes | str, content: msgspec.Struct) -> bytes:
    """Seal what a row says, bound to its kind, tenant and place."""
    return keys.sealer("identity").seal(msgspec.msgpack.encode(content), (kind, keys.name, place))


def open_row(keys: TenantKeys, kind: str, place: bytes | str, sealed: bytes, type_: type[T]) -> T:
    """Open what `seal_row` sealed.

    Raises:
        Problem: FAULT when it was altered or moved.
    """
    plain = keys.sealer("identity").open(sealed, (kind, keys.name, place))
    return msgspec.msgpack.decode(plain, type=type_)


class Watch:
    """Notices that somebody may have lost access, here or in another process, within a tenth of a second.

    Args:
        db: connection for reading.
        clock: the time.
    """

    _POLL_MS = 100

    def __init__(self, db: Connection, clock: Clock) -> None:
        self._db = db
        self._clock = clock
        self._generation = -1
        self._polled = 0
        self._stale = True

    def told(self) -> None:
        """A change of this process is durable."""
        self._stale = True

    def changed(self) -> bool:
        """Whether what was remembered has to be forgotten."""
        now = self._clock.now_ms()
        if not self._stale and 0 <= now - self._polled < self._POLL_MS:
            return False
        self._stale = False  # before reading: a change from now on sets it again
        self._polled = now
        row = self._db.execute("select number from generation").fetchone()
        number = row[0] if row else 0
        if number == self._generation:
            return False
        self._generation = number
        return True


def refused_session() -> Problem:
    """The same for a session that is unknown, over, or of somebody who may not come in."""
    return Problem(Kind.UNAUTHENTICATED, "Please sign in again.", "session refused")
