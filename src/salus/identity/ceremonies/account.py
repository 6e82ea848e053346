# SPDX-License-Identifier: Apache-2.0
"""What people do about their own account, in a session: password, factors, recovery codes, other sessions.

Whatever changes how somebody is recognised asks for a proof that is younger than five minutes, and of the level that
the account is protected with: codes do not take away a passkey of AAL3. Everything is told to the account's person.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from salus.identity.accounts.credentials import Held, refused
from salus.identity.accounts.lockout import Secret
from salus.identity.accounts.notices import Notice, NoticeKind
from salus.identity.accounts.passkeys import Passkey
from salus.identity.accounts.profile import pepper_of
from salus.identity.accounts.store import Statement, add
from salus.identity.ceremonies.ceremony import Rooms
from salus.identity.ceremonies.flow import Has
from salus.identity.factors.assurance import AAL2, AAL3, FRESH, LEVELS, Demand, insufficient, meets
from salus.identity.sessions import Session
from salus.kernel.commit import Unit
from salus.kernel.errors import Kind, Problem

_PASSKEY = {"hwk", "swk"}  # RFC 8176


@dataclass(frozen=True, slots=True)
class Overview:
    """What an account page shows.

    Attributes:
        password: it has one, and it is not closed after too many wrong ones.
        code: an authenticator application is bound.
        passkeys: oldest first.
        recovery_left: unused recovery codes.
        recovery: whether there can be any: nobody whose roles demand AAL3 has them.
        sessions, notices: newest first.
    """

    password: bool
    code: bool
    passkeys: list[Passkey]
    recovery_left: int
    recovery: bool
    sessions: list[Session]
    notices: list[Notice]


class Account:
    """Acts of people on their own account.

    Args:
        rooms: what ceremonies use.
    """

    def __init__(self, rooms: Rooms) -> None:
        self._in = rooms

    def overview(self, session: Session) -> Overview:
        """Everything about the account of a session."""
        tenant, name = session.user.tenant, session.user.id
        held = self._in.credentials.held(tenant, name)
        return Overview(
            held.encoded is not None and not self._in.lockout.closed(tenant, name),
            held.code,
            self._in.passkeys.of_user(tenant, name),
            self._in.recovery.left(tenant, name),
            self._in.level_of(session.user.roles) <= LEVELS[AAL2],
            self._in.sessions.of_user(tenant, name),
            self._in.notices.of_user(tenant, name),
        )

    def demand(self, session: Session) -> Demand:
        """How surely and lately its person must have been recognised before they change how they are."""
        return self._demand(self._look(session)[1])

    async def change_password(self, unit: Unit, session: Session, old: str, new: str) -> None:
        """Put another password in place; all other sessions and all tokens end.

        Raises:
            Problem: UNAUTHENTICATED for the wrong old one, or with a challenge when the session is not fresh; THROTTLED
                after wrong ones; INVALID with the reason for one that is not fit.
        """
        held, _ = self._fresh(session)
        tenant, name, user = session.user.tenant, session.user.id, session.user
        pepper = pepper_of(self._in.keys_of(tenant))
        # A closed password is judged no more: whoever came with a passkey puts another in its place.
        if not (self._in.lockout.closed(tenant, name) and _PASSKEY & set(session.amr)):
            await self._check_old(unit, session, held, old)
        self._in.hasher.check_new(new, (tenant, name, user.display))
        hashed = await self._in.hasher.hash(pepper, new)
        self._in.credentials.replace(unit, tenant, held, encoded=hashed)
        self._in.users.end_access(unit, tenant, name, but=session.id)
        self._in.users.unlock(unit, tenant, name)
        self._tell(unit, session, NoticeKind.PASSWORD_CHANGED)

    def rename_passkey(self, unit: Unit, session: Session, id_: str, label: str) -> None:
        """Give a passkey another name. Raises NOT_FOUND; INVALID for a name that is empty or too long."""
        self._in.passkeys.rename(unit, session.user.tenant, session.user.id, id_, label)

    def remove_passkey(self, unit: Unit, session: Session, id_: str) -> None:
        """Take a passkey away.

        Raises:
            Problem: UNAUTHENTICATED with a challenge when the session is not fresh; CONFLICT for the last factor beside
                the password; NOT_FOUND when there is none with this id.
        """
        held, _ = self._fresh(session)
        tenant, name = session.user.tenant, session.user.id
        mine = self._in.passkeys.of_user(tenant, name)
        going = next((passkey for passkey in mine if passkey.id == id_), None)
        if going is None:
            raise Problem(Kind.NOT_FOUND, "There is no such passkey.")
        staying = [passkey for passkey in mine if passkey.id != id_ and not passkey.suspect]
        strict = self._in.level_of(session.user.roles) > LEVELS[AAL2] and not going.synced and not going.suspect
        if strict and all(passkey.synced for passkey in staying):
            raise Problem(Kind.CONFLICT, "Your roles need a passkey of one device. Add another one first.")
        if not staying and not held.code and not going.suspect:
            raise Problem(Kind.CONFLICT, "This is your last second factor. Add another one first.")
        self._in.passkeys.remove(unit, tenant, name, id_)
        self._tell(unit, session, NoticeKind.FACTOR_UNBOUND, f"passkey “{going.label}”")

    def remove_code(self, unit: Unit, session: Session) -> None:
        """Take the authenticator application away.

        Raises:
            Problem: UNAUTHENTICATED with a challenge when the session is not fresh; CONFLICT when there is no passkey.
        """
        held, has = self._fresh(session)
        if not held.code:
            raise Problem(Kind.NOT_FOUND, "There is no authenticator application.")
        if not has.passkeys:
            raise Problem(Kind.CONFLICT, "This is your last second factor. Add another one first.")
        self._in.credentials.replace(unit, session.user.tenant, held, without_code=True)
        self._tell(unit, session, NoticeKind.FACTOR_UNBOUND, "authenticator application")

    def renew_codes(self, unit: Unit, session: Session) -> tuple[str, ...]:
        """Make ten recovery codes in place of the old ones; they are shown once.

        Raises:
            Problem: UNAUTHENTICATED with a challenge when the session is not fresh; CONFLICT for roles that demand
                AAL3.
        """
        _, has = self._fresh(session)
        if has.level > LEVELS[AAL2]:
            raise Problem(Kind.CONFLICT, "Your roles have no recovery codes. Keep a second passkey in a safe place.")
        codes = self._in.recovery.renew(unit, session.user.tenant, session.user.id)
        self._tell(unit, session, NoticeKind.RECOVERY_RENEWED)
        return codes

    def end_session(self, unit: Unit, session: Session, id_: str) -> None:
        """End a session of one's own; the commit fails with NOT_FOUND for one of somebody else."""
        self._in.sessions.end(unit, session.user.tenant, id_, name=session.user.id)

    def end_other_sessions(self, unit: Unit, session: Session) -> None:
        """Sign out everywhere else."""
        self._in.users.end_access(unit, session.user.tenant, session.user.id, but=session.id)

    def object(self, unit: Unit, session: Session) -> None:
        """Stop a reset of this account that an administrator asked for or began, and roles that were asked for."""
        handle = self._look(session)[0].handle
        for what in ("invitation", "asking"):
            delete = f"delete from {what} where tenant = ? and handle = ?"
            add(unit, Statement(delete, (session.user.tenant, handle)))

    def look(self, unit: Unit, session: Session) -> None:
        """The notices have been looked at."""
        self._in.notices.look(unit, session.user.tenant, session.user.id)

    # ── inside ──────────────────────────────────────────────────────────────────────────────────────────────

    async def _check_old(self, unit: Unit, session: Session, held: Held, old: str) -> None:
        tenant, name = session.user.tenant, session.user.id
        charge = self._in.lockout.charge(tenant, name, session.address, Secret.PASSWORD)
        try:
            fits = await self._in.hasher.verify(pepper_of(self._in.keys_of(tenant)), held.encoded, old)
        except Problem:
            self._in.lockout.discharge(charge)
            raise
        if not fits:
            self._in.lockout.failed(unit, charge)
            raise refused()
        self._in.lockout.discharge(charge)

    def _look(self, session: Session) -> tuple[Held, Has]:
        held = self._in.credentials.held(session.user.tenant, session.user.id)
        if held.user is None:
            raise refused()
        return held, self._in.has(session.user.tenant, held)

    def _demand(self, has: Has) -> Demand:
        return replace(FRESH, acr=AAL3) if has.level > LEVELS[AAL2] and has.bound else FRESH

    def _fresh(self, session: Session) -> tuple[Held, Has]:
        held, has = self._look(session)
        demand = self._demand(has)
        if not meets(demand, session.acr, session.proved_ms, self._in.clock.now_ms()):
            raise insufficient(demand)
        return held, has

    def _tell(self, unit: Unit, session: Session, kind: NoticeKind, words: str = "") -> None:
        user = session.user
        self._in.notices.tell(unit, user.tenant, user.id, kind, words, session.device, session.address)
