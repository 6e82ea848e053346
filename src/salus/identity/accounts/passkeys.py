# SPDX-License-Identifier: Apache-2.0
"""The passkeys of accounts: kept, found by what a device shows, and watched for copies.

A device that counts its uses must always count upwards. One that does not may have been copied: the use is refused, the
passkey is marked, and nobody signs in with it until its person has taken it away and made another.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from salus.identity.accounts.people_store import open_row, seal_row
from salus.identity.accounts.profile import handle_of
from salus.identity.accounts.store import Guard, Statement, Values, add
from salus.identity.accounts.users import KeysOf
from salus.identity.factors.passkey_ceremony import Made, Party, Shown, credential_of, judge_use, refused
from salus.kernel.clock import Clock
from salus.kernel.commit import Unit
from salus.kernel.db import Connection
from salus.kernel.errors import Kind, Problem
from salus.kernel.ids import uuid7

MOST = 10
"""Passkeys of one account."""

_LONGEST_LABEL = 60
_SELECT = "select credential, id, handle, counter, suspect, used, sealed from passkey where tenant = ? and "


class _Sealed(msgspec.Struct, frozen=True, array_like=True):
    handle: bytes
    credential: bytes
    public_key: bytes
    aaguid: str
    transports: tuple[str, ...]
    synced: bool
    backed_up: bool
    label: str
    created: int


@dataclass(frozen=True, slots=True)
class Passkey:
    """One passkey.

    Attributes:
        id: names it in lists and in the audit log.
        credential: what its device calls it.
        label: what its person calls it.
        synced: its key may be copied to other devices: good for AAL2, not for AAL3.
        backed_up: it has been copied when it was made.
        suspect: there may be a copy; it does not sign in any more.
        aaguid: model of the device, as the device says.
        transports: how it is reached.
        created_ms, used_ms: milliseconds since the epoch; `used_ms` is 0 for never.
    """

    id: str
    credential: bytes
    label: str
    synced: bool
    backed_up: bool
    suspect: bool
    aaguid: str
    transports: tuple[str, ...]
    created_ms: int
    used_ms: int


@dataclass(frozen=True, slots=True)
class Use:
    """A passkey was shown, and its signature is right.

    Attributes:
        passkey: which.
        copied: its counter did not go up: refuse it.
    """

    passkey: Passkey
    copied: bool


class Passkeys:
    """Passkeys of all tenants.

    Args:
        db: connection for reading, of the calling thread.
        keys_of: keys of a tenant by its name.
        clock: the time.
        party: the server as browsers know it.
    """

    def __init__(self, db: Connection, keys_of: KeysOf, clock: Clock, party: Party) -> None:
        self._db = db
        self._keys_of = keys_of
        self._clock = clock
        self.party = party

    def of_user(self, tenant: str, name: str) -> list[Passkey]:
        """The passkeys of an account, oldest first."""
        keys = self._keys_of(tenant)
        rows = self._db.execute(_SELECT + "handle = ?", (tenant, handle_of(keys, name)))
        found = [self._passkey(tenant, row)[0] for row in rows]
        return sorted(found, key=lambda passkey: (passkey.created_ms, passkey.id))

    def bind(self, unit: Unit, tenant: str, name: str, made: Made, label: str) -> Passkey:
        """Keep a passkey that its person has just made.

        Raises:
            Problem: INVALID for too many, or for a label that is too long; the commit fails with CONFLICT when the
                passkey is known already.
        """
        if len(self.of_user(tenant, name)) >= MOST:
            raise Problem(Kind.INVALID, f"An account has at most {MOST} passkeys; take one away first.")
        words = label.strip() or "Passkey"
        if len(words) > _LONGEST_LABEL:
            raise Problem(Kind.INVALID, f"The name of a passkey has at most {_LONGEST_LABEL} characters.")
        keys, now = self._keys_of(tenant), self._clock.now_ms()
        place, handle, id_ = self._place(tenant, made.credential), handle_of(keys, name), uuid7()
        sealed = seal_row(
            keys,
            "passkey",
            place,
            _Sealed(
                handle,
                made.credential,
                made.public_key,
                made.aaguid,
                made.transports,
                made.synced,
                made.backed_up,
                words,
                now,
            ),
        )
        known = Problem(Kind.CONFLICT, "This passkey is known already.")
        free = "select 1 where not exists (select 1 from passkey where tenant = ? and credential = ?)"
        add(
            unit,
            Statement(
                "insert or ignore into passkey(tenant, credential, id, handle, counter, suspect, used, sealed) "
                "values(?,?,?,?,?,0,0,?)",
                (tenant, place, id_, handle, made.counter, sealed),
                Guard(free, (tenant, place), known),
            ),
        )
        flags = (made.synced, made.backed_up, False, made.aaguid, made.transports, now, 0)
        return Passkey(id_, made.credential, words, *flags)

    def rename(self, unit: Unit, tenant: str, name: str, id_: str, label: str) -> None:
        """Give a passkey another name.

        Raises:
            Problem: NOT_FOUND when the account has none with this id; INVALID for a name that is empty or too long.
        """
        words, keys = label.strip(), self._keys_of(tenant)
        if not words or len(words) > _LONGEST_LABEL:
            raise Problem(Kind.INVALID, f"The name of a passkey has 1 to {_LONGEST_LABEL} characters.")
        query = _SELECT + "id = ? and handle = ?"
        row = self._db.execute(query, (tenant, id_, handle_of(keys, name))).fetchone()
        absent = Problem(Kind.NOT_FOUND, "There is no such passkey.")
        if row is None:
            raise absent
        place, content = row[0], self._passkey(tenant, row)[1]
        sealed = seal_row(keys, "passkey", place, msgspec.structs.replace(content, label=words))
        where: Values = (tenant, place)
        guard = Guard("select 1 from passkey where tenant = ? and credential = ?", where, absent)
        add(
            unit,
            Statement("update passkey set sealed = ? where tenant = ? and credential = ?", (sealed, *where), guard),
        )

    def remove(self, unit: Unit, tenant: str, name: str, id_: str) -> None:
        """Take a passkey away.

        Raises:
            Problem: the commit fails with NOT_FOUND when the account has none with this id.
        """
        where: Values = (tenant, id_, handle_of(self._keys_of(tenant), name))
        condition = "tenant = ? and id = ? and handle = ?"
        absent = Problem(Kind.NOT_FOUND, "There is no such passkey.")
        guard = Guard(f"select 1 from passkey where {condition}", where, absent)
        add(unit, Statement(f"delete from passkey where {condition}", where, guard))

    def remove_all(self, unit: Unit, tenant: str, name: str) -> None:
        """Take all passkeys of an account away; there may be none."""
        where: Values = (tenant, handle_of(self._keys_of(tenant), name))
        add(unit, Statement("delete from passkey where tenant = ? and handle = ?", where))

    def judge(
        self, unit: Unit, tenant: str, challenge: bytes, answer: dict[str, Any], *, owner: bytes | None = None
    ) -> tuple[bytes, Use]:
        """Judge a passkey that somebody shows.

        Args:
            unit: takes its use, or the mark that it was copied. To be committed in both cases.
            owner: handle of the account it has to belong to; None when the passkey says who signs in.

        Returns:
            The handle of its account, and the use. Of two uses at the same moment with the same counter the commit
            of one fails with UNAUTHENTICATED.

        Raises:
            Problem: UNAUTHENTICATED, the same for a passkey that is unknown, of somebody else, marked, or wrong.
        """
        credential, named = credential_of(answer)
        place = self._place(tenant, credential)
        row = self._db.execute(_SELECT + "credential = ?", (tenant, place)).fetchone()
        if row is None:
            raise refused("passkey not known")
        passkey, content = self._passkey(tenant, row)
        handle, counter = content.handle, row[3]
        if (owner is not None and handle != owner) or (named is not None and named != handle):
            raise refused("passkey of another account")
        if owner is None and named is None:
            raise refused("passkey does not say whose it is")
        shown = judge_use(self.party, challenge, answer, content.public_key)
        if passkey.suspect:
            raise refused("passkey is marked as copied")
        if shown.synced != content.synced:  # BE never changes in the life of a credential (WebAuthn 6.1.3)
            raise refused("passkey changed whether it can be copied")
        where: Values = (tenant, place, counter)
        still = "tenant = ? and credential = ? and counter = ? and suspect = 0"
        if _copied(counter, shown):
            add(unit, Statement("update passkey set suspect = 1 where tenant = ? and credential = ?", where[:2]))
            return handle, Use(passkey, copied=True)
        guard = Guard(f"select 1 from passkey where {still}", where, refused("passkey used at the same moment"))
        now = self._clock.now_ms()
        add(
            unit,
            Statement(f"update passkey set counter = ?, used = ? where {still}", (shown.counter, now, *where), guard),
        )
        return handle, Use(passkey, copied=False)

    def _place(self, tenant: str, credential: bytes) -> bytes:
        return self._keys_of(tenant).surrogate("passkey", credential.hex())

    def _passkey(self, tenant: str, row: tuple[Any, ...]) -> tuple[Passkey, _Sealed]:
        place, id_, _, _, suspect, used, sealed = row
        content = open_row(self._keys_of(tenant), "passkey", place, sealed, _Sealed)
        flags = (content.synced, content.backed_up, bool(suspect), content.aaguid, content.transports)
        return Passkey(id_, content.credential, content.label, *flags, content.created, used), content


def _copied(counter: int, shown: Shown) -> bool:
    """Whether a counter that counts did not go up (WebAuthn section 7.2, step 22)."""
    return (counter > 0 or shown.counter > 0) and shown.counter <= counter
