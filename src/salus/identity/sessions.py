# SPDX-License-Identifier: Apache-2.0
"""Sessions of people at a browser, or at a program that signed in with their factors.

The cookie holds a secret of 256 random bits; only its keyed hash is kept. A session ends when its time is over (24
hours, or 12 for roles that demand AAL3), when it was idle for too long (an hour, or 15 minutes), when its person ends
it here or from another device, and with everything else of an account that is suspended, leaves or gets a new password.
What other processes end counts within a second (`people_store.Watch`).

A sign of life is remembered in memory and written with the next group commit (`Touches`), so that reading a page costs
no write of its own.
"""

from __future__ import annotations

import base64
import hmac
import secrets
from collections.abc import Callable, Container
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from salus.crypto.tenant_keys import TenantKeys
from salus.identity.accounts.people_store import Watch, keyed_hash, open_row, refused_session, seal_row
from salus.identity.accounts.profile import handle_of
from salus.identity.accounts.store import Guard, Statement, Values, add
from salus.identity.accounts.users import KeysOf, User, no_account, user_from
from salus.identity.factors.assurance import AAL2, LEVELS, Demand, Limits, Proof, insufficient, limits
from salus.kernel.actor import Actor
from salus.kernel.clock import Clock
from salus.kernel.commit import Unit
from salus.kernel.db import Connection
from salus.kernel.errors import Kind, Problem
from salus.kernel.ids import uuid7

_KEPT = 10_000
_TOUCH_MS = 10_000  # a sign of life is written at most this often
_LONGEST_WORDS = 200
_ENABLED = "select 1 from account where tenant = ? and handle = ? and disabled = 0"
_SELECT = (
    "select s.hash, s.id, s.created, s.seen, s.ends, s.sealed, a.sealed, a.disabled, a.created "
    "from session s join account a using(tenant, handle) where s.tenant = ? and "
)

LevelOf = Callable[[tuple[str, ...]], int]
"""The level of assurance (2 or 3) that a set of roles demands; the policy says it."""


class _Sealed(msgspec.Struct, frozen=True, array_like=True):
    acr: str
    amr: tuple[str, ...]
    signed_in: int
    proved: int
    purpose: str
    device: str
    address: str
    handle: bytes


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody who has signed in; the cookie's secret is not in it.

    Attributes:
        id: names it in lists and in the audit log.
        user: the account, as it is now.
        acr: level of assurance, `urn:salus:aal2` or `urn:salus:aal3`.
        amr: what was used (RFC 8176).
        signed_in_ms: when they signed in (`auth_time`).
        proved_ms: when they last showed a second factor.
        purpose: purpose of use.
        device: words about the browser, for the list.
        address: network address at the sign-in.
        created_ms, seen_ms, ends_ms: milliseconds since the epoch; `ends_ms` whatever is done.
    """

    id: str
    user: User
    acr: str
    amr: tuple[str, ...]
    signed_in_ms: int
    proved_ms: int
    purpose: str
    device: str
    address: str
    created_ms: int
    seen_ms: int
    ends_ms: int

    @property
    def actor(self) -> Actor:
        """Who it stands for, for `access` and the audit log."""
        user = self.user
        return Actor(
            user.tenant,
            user.id,
            user.kind,
            user.roles,
            self.purpose,
            user.party,
            self.id,
            acr=self.acr,
            proved_ms=self.proved_ms,
        )


class Touches:
    """Signs of life on their way to the database.

    Called with each group commit of this process (`store.IdentityWrites`).
    """

    def __init__(self) -> None:
        self._waiting: dict[tuple[str, str], int] = {}
        self._writing: dict[tuple[str, str], int] = {}

    def note(self, tenant: str, id_: str, at_ms: int) -> None:
        """Somebody was there."""
        self._waiting[tenant, id_] = at_ms

    def seen(self, tenant: str, id_: str) -> int:
        """When somebody was last there, as far as this process has not written it yet; 0 for unknown."""
        key = (tenant, id_)
        return max(self._waiting.get(key, 0), self._writing.get(key, 0))

    def write(self, db: Connection) -> None:
        """Inside the transaction of a group."""
        self._writing |= self._waiting
        self._waiting = {}
        for (tenant, id_), at_ms in self._writing.items():
            db.execute("update session set seen = max(seen, ?) where tenant = ? and id = ?", (at_ms, tenant, id_))

    def committed(self) -> None:
        """What was written is durable."""
        self._writing = {}


class Sessions:
    """Begins, finds and ends sessions.

    Args:
        db: connection for reading, of the calling thread.
        keys_of: keys of a tenant by its name.
        clock: the time.
        purposes: the purposes of use that exist.
        level_of: what roles demand.
        laboratory: login names of a test laboratory's machines, for which a password alone is enough.
    """

    def __init__(
        self,
        db: Connection,
        keys_of: KeysOf,
        clock: Clock,
        purposes: Container[str],
        level_of: LevelOf = lambda _: 2,
        laboratory: frozenset[str] = frozenset(),
    ) -> None:
        self._db = db
        self._keys_of = keys_of
        self._clock = clock
        self._purposes = purposes
        self._level_of = level_of
        self._laboratory = laboratory
        self._watch = Watch(db, clock)
        self._known: dict[tuple[str, bytes], Session] = {}
        self._alive: dict[tuple[str, str], Session] = {}
        self._limits: dict[tuple[str, ...], Limits] = {}
        self.touches = Touches()

    def begin(
        self, unit: Unit, user: User, proof: Proof, *, purpose: str, device: str = "", address: str = ""
    ) -> tuple[str, Session]:
        """Begin a session.

        Args:
            unit: takes the change; hand the secret out only when it is durable.
            user: who signed in.
            proof: how.
            purpose: purpose of use (HL7 v3 PurposeOfUse code).
            device: words about the browser.
            address: where from.

        Returns:
            The secret for the cookie, which cannot be had again, and the session.

        Raises:
            Problem: INVALID for an unknown purpose, UNAUTHENTICATED for a proof below AAL2; the commit fails with
                NOT_FOUND when the account is gone or disabled.
        """
        if LEVELS.get(proof.acr, 0) < LEVELS[AAL2] and user.id not in self._laboratory:
            raise insufficient(Demand(AAL2))
        if purpose not in self._purposes:
            raise Problem(Kind.INVALID, "This purpose of use is not known.")
        now = self._clock.now_ms()
        ends = now + limits(self._level_of(user.roles)).overall_ms
        words = device[:_LONGEST_WORDS], address[:_LONGEST_WORDS]
        session = Session(uuid7(), user, proof.acr, proof.amr, now, proof.at_ms, purpose, *words, now, now, ends)
        return self._insert(unit, session), session

    def lookup(self, tenant: str, secret: str) -> Session:
        """The session of a cookie; that it is asked for counts as a sign of life.

        Raises:
            Problem: UNAUTHENTICATED, the same for a secret that is unknown, over, idle for too long, of a disabled
                account or of another tenant; NOT_FOUND for an unknown tenant.
        """
        hashed = self._hash(tenant, secret)
        self._forget_if_changed()
        known = self._known.get((tenant, hashed))
        if known is None or not self._lives(known):  # another process may have seen more life than this one
            known = self._read(tenant, "s.hash = ?", hashed)
        if known is None or not self._lives(known):
            raise refused_session()
        known = self._noted(known)
        self._keep(hashed, known)
        return known

    def alive(self, tenant: str, id_: str) -> bool:
        """Whether a session still lives, for tokens that end with it; asking is no sign of life."""
        self._forget_if_changed()
        known = self._alive.get((tenant, id_))
        if known is None or not self._lives(known):
            known = self._read(tenant, "s.id = ?", id_)
            if known is not None:
                self._room(self._alive)
                self._alive[tenant, id_] = known
        return known is not None and self._lives(known)

    def by_id(self, tenant: str, id_: str) -> Session:
        """A live session by its id. Raises UNAUTHENTICATED when it has ended."""
        found = self._read(tenant, "s.id = ?", id_)
        if found is None or not self._lives(found):
            raise refused_session()
        return found

    def touch(self, tenant: str, id_: str) -> None:
        """Count a sign of life of a session whose token was used (a sign-in without a browser)."""
        known = self._alive.get((tenant, id_))
        if known is not None:
            self._alive[tenant, id_] = self._noted(known)

    def strengthen(self, unit: Unit, session: Session, proof: Proof) -> tuple[str, Session]:
        """Go on with a session after its person showed factors again; the former secret ends (rotation).

        Returns:
            The new secret and the session, which keeps its id and its end.

        Raises:
            Problem: UNAUTHENTICATED for a proof that is weaker than the session's own, which it must not make look
                fresh; the commit fails with UNAUTHENTICATED when the session has ended meanwhile.
        """
        tenant = session.user.tenant
        if LEVELS.get(proof.acr, 0) < LEVELS[session.acr]:
            raise insufficient(Demand(session.acr))
        stronger = replace(
            session,
            acr=proof.acr,
            amr=tuple(dict.fromkeys((*session.amr, *proof.amr))),
            proved_ms=max(session.proved_ms, proof.at_ms),
            seen_ms=self._clock.now_ms(),
        )
        secret = secrets.token_urlsafe(32)
        keys, hashed = self._keys_of(tenant), self._hash(tenant, secret)
        where: Values = (tenant, session.id)
        add(
            unit,
            Statement(
                "update session set hash = ?, seen = ?, sealed = ? where tenant = ? and id = ?",
                (hashed, stronger.seen_ms, self._sealed(keys, hashed, stronger), *where),
                Guard("select 1 from session where tenant = ? and id = ?", where, refused_session()),
                revokes=True,
            ),
        )
        return secret, stronger

    def end(self, unit: Unit, tenant: str, id_: str, *, name: str = "") -> None:
        """End a session, or with `name` only if it is this person's.

        Raises:
            Problem: the commit fails with NOT_FOUND when there is none.
        """
        where: Values = (tenant, id_)
        condition = "tenant = ? and id = ?"
        if name:
            where, condition = (*where, handle_of(self._keys_of(tenant), name)), condition + " and handle = ?"
        absent = Problem(Kind.NOT_FOUND, "There is no such session.")
        guard = Guard(f"select 1 from session where {condition}", where, absent)
        add(unit, Statement(f"delete from session where {condition}", where, guard, revokes=True))

    def end_all(self, unit: Unit, tenant: str, name: str, *, but: str | None = None) -> None:
        """End all sessions of an account, except one; there may be none."""
        values: Values = (tenant, handle_of(self._keys_of(tenant), name), but or "")
        add(unit, Statement("delete from session where tenant = ? and handle = ? and id <> ?", values, revokes=True))

    def of_user(self, tenant: str, name: str) -> list[Session]:
        """Live sessions of an account, newest first."""
        keys = self._keys_of(tenant)
        rows = self._db.execute(_SELECT + "s.handle = ?", (tenant, handle_of(keys, name)))
        found = [self._session(tenant, row) for row in rows]
        return sorted((s for s in found if self._lives(s)), key=lambda s: (s.created_ms, s.id), reverse=True)

    def limits_of(self, session: Session) -> Limits:
        """How long this session lasts, by what its person's roles demand now."""
        roles = session.user.roles
        found = self._limits.get(roles)
        if found is None:  # the policy is the same for the life of a process
            found = self._limits[roles] = limits(self._level_of(roles))
        return found

    def csrf(self, secret: str) -> str:
        """A token bound to a cookie's secret, for forms; whoever does not have the secret cannot make one."""
        mac = hmac.digest(secret.encode("utf-8", "surrogatepass"), b"salus/csrf", "sha256")
        return base64.urlsafe_b64encode(mac).rstrip(b"=").decode()

    def forget(self) -> None:
        """A change of this process that may take access away is durable."""
        self._watch.told()

    # ── inside ──────────────────────────────────────────────────────────────────────────────────────────────

    def _insert(self, unit: Unit, session: Session) -> str:
        tenant = session.user.tenant
        keys = self._keys_of(tenant)
        secret = secrets.token_urlsafe(32)
        hashed, handle = self._hash(tenant, secret), handle_of(keys, session.user.id)
        times = (session.created_ms, session.seen_ms, session.ends_ms)
        account: Values = (tenant, handle)
        add(
            unit,
            Statement(
                "insert into session(tenant, hash, id, handle, created, seen, ends, sealed) "
                f"select ?,?,?,?,?,?,?,? where exists ({_ENABLED})",
                (tenant, hashed, session.id, handle, *times, self._sealed(keys, hashed, session), *account),
                Guard(_ENABLED, account, no_account()),
            ),
        )
        return secret

    def _sealed(self, keys: TenantKeys, hashed: bytes, session: Session) -> bytes:
        content = _Sealed(
            session.acr,
            session.amr,
            session.signed_in_ms,
            session.proved_ms,
            session.purpose,
            session.device,
            session.address,
            handle_of(keys, session.user.id),
        )
        return seal_row(keys, "session", hashed, content)

    def _hash(self, tenant: str, secret: str) -> bytes:
        return keyed_hash(self._keys_of(tenant), "identity-session", secret)

    def _read(self, tenant: str, condition: str, value: bytes | str) -> Session | None:
        row = self._db.execute(_SELECT + condition, (tenant, value)).fetchone()
        return None if row is None else self._session(tenant, row)

    def _session(self, tenant: str, row: tuple[Any, ...]) -> Session:
        hashed, id_, created, seen, ends, sealed, profile, disabled, opened = row
        keys = self._keys_of(tenant)
        content = open_row(keys, "session", hashed, sealed, _Sealed)
        # Opened under the handle that the session names: a row pointed at another account does not open.
        user = user_from(keys, content.handle, profile, disabled, opened)
        return Session(
            id_,
            user,
            content.acr,
            content.amr,
            content.signed_in,
            content.proved,
            content.purpose,
            content.device,
            content.address,
            created,
            seen,
            ends,
        )

    def _lives(self, session: Session) -> bool:
        now, longest = self._clock.now_ms(), self.limits_of(session)
        if session.user.disabled or now >= session.ends_ms or now - session.created_ms >= longest.overall_ms:
            return False
        if now - session.seen_ms < longest.idle_ms:
            return True
        return now - self.touches.seen(session.user.tenant, session.id) < longest.idle_ms

    def _noted(self, session: Session) -> Session:
        now = self._clock.now_ms()
        if now - session.seen_ms < _TOUCH_MS:
            return session
        self.touches.note(session.user.tenant, session.id, now)
        return replace(session, seen_ms=now)

    def _keep(self, hashed: bytes, session: Session) -> None:
        self._room(self._known)
        self._known[session.user.tenant, hashed] = session

    def _room(self, kept: dict[tuple[str, bytes], Session] | dict[tuple[str, str], Session]) -> None:
        if len(kept) >= _KEPT:
            kept.clear()

    def _forget_if_changed(self) -> None:
        if self._watch.changed():
            self._known.clear()
            self._alive.clear()
