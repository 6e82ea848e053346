# SPDX-License-Identifier: Apache-2.0
"""The life of an account: invited, active, suspended, left, and come back; and what two administrators decide.

A person enrols themselves with a code that works once: nobody else chooses or learns their password. Whoever is
suspended or leaves loses everything at once: sessions, tokens, grants of applications; whoever leaves, their factors
too.

What would give somebody the power of a role that demands AAL3 (granting it, or a new way to sign in for its holder)
takes two administrators, and a reset a day in which its person is told and can object. Somebody with a shell on the
server holds the keys anyway; what they do is written down.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import msgspec

from salus.identity.accounts.notices import NoticeKind
from salus.identity.accounts.people_store import ASKING_DAYS, open_row, seal_row
from salus.identity.accounts.profile import handle_of
from salus.identity.accounts.store import Guard, Statement, Values, add
from salus.identity.accounts.users import User, no_account
from salus.identity.ceremonies.ceremony import Rooms
from salus.identity.ceremonies.flow import Began
from salus.identity.factors.assurance import AAL2, LEVELS
from salus.kernel.commit import Unit
from salus.kernel.errors import Kind, Problem
from salus.kernel.ids import uuid7

HOLD_MS = 24 * 3600 * 1000
"""How long a reset for a role of AAL3 waits after it was asked for, so that its person can object."""

_DAY_MS = 24 * 3600 * 1000


class Standing(StrEnum):
    """Where an account is in its life."""

    INVITED = "invited"
    ACTIVE = "active"
    SUSPENDED = "suspended"
    LEFT = "left"


class _Asking(msgspec.Struct, frozen=True, array_like=True):
    by: str
    handle: bytes
    began: str
    roles: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Asking:
    """What one administrator asked for, and another has to approve.

    Attributes:
        by: login name of the first one.
        name: whose account.
        began: the reset that is asked for; empty for roles.
        roles: the roles that are to be given; empty for a reset.
        asked_ms: milliseconds since the epoch.
    """

    id: str
    by: str
    name: str
    began: Began
    roles: tuple[str, ...]
    asked_ms: int


class Life:
    """Acts of administrators on accounts.

    Args:
        rooms: what ceremonies use.
    """

    def __init__(self, rooms: Rooms) -> None:
        self._in = rooms
        self.when_leaving: list[Callable[[Unit, str, str], None]] = []
        """Takes away what other rooms keep of somebody who leaves: unit, tenant, login name."""

    # ── standing ────────────────────────────────────────────────────────────────────────────────────────────

    def standing(self, user: User) -> Standing:
        """Where an account is in its life."""
        handle = handle_of(self._in.keys_of(user.tenant), user.id)
        row = self._in.db.execute(
            "select state from standing where tenant = ? and handle = ?", (user.tenant, handle)
        ).fetchone()
        if row is not None:
            return Standing(row[0])
        return Standing.SUSPENDED if user.disabled else Standing.ACTIVE

    def invite(
        self, unit: Unit, tenant: str, name: str, *, roles: tuple[str, ...], display: str, party: str = ""
    ) -> tuple[str, int]:
        """Make an account for a person, who enrols themselves.

        Returns:
            The code to give to them, which cannot be had again, and when it ends, in milliseconds since the epoch.

        Raises:
            Problem: INVALID for a value that is not fit; the commit fails with CONFLICT when the name is taken.
        """
        self._in.users.add_person(unit, tenant, name, roles=roles, display=display, party=party)
        self._set(unit, tenant, name, Standing.INVITED)
        return self._in.invitations.make(unit, tenant, name, Began.INVITE)

    def expect(
        self, unit: Unit, tenant: str, name: str, *, roles: tuple[str, ...], display: str, suspended: bool = False
    ) -> None:
        """Make an account for a person whom a directory names: they come in through it, or are invited later.

        Raises:
            Problem: as `invite`.
        """
        self._in.users.add_person(unit, tenant, name, roles=roles, display=display, disabled=suspended)
        self._set(unit, tenant, name, Standing.SUSPENDED if suspended else Standing.INVITED)

    def invite_later(
        self, unit: Unit, tenant: str, by: str, name: str, *, roles: tuple[str, ...], display: str, party: str = ""
    ) -> str:
        """Make an account that stays closed until a second administrator approves; gives the id of what is asked.

        Raises:
            Problem: as `invite`.
        """
        self._in.users.add_person(unit, tenant, name, roles=roles, display=display, party=party, disabled=True)
        self._set(unit, tenant, name, Standing.SUSPENDED)
        return self.ask(unit, tenant, by, name, began=Began.INVITE)

    def invite_again(self, unit: Unit, tenant: str, name: str) -> tuple[str, int]:
        """Make another code for somebody who has not enrolled yet; the former one ends.

        Raises:
            Problem: NOT_FOUND without such a person, CONFLICT for one who has enrolled already.
        """
        if self.standing(self._person(tenant, name)) is not Standing.INVITED:
            raise Problem(Kind.CONFLICT, "This person has enrolled already; a reset is what they need.")
        return self._in.invitations.make(unit, tenant, name, Began.INVITE)

    def suspend(self, unit: Unit, tenant: str, name: str) -> None:
        """Keep somebody out until they are reinstated; everything of theirs ends at once."""
        self._known(tenant, name)
        self._in.users.set_disabled(unit, tenant, name, disabled=True)
        self._in.invitations.remove_all(unit, tenant, name)
        self._set(unit, tenant, name, Standing.SUSPENDED)
        self._in.notices.tell(unit, tenant, name, NoticeKind.SUSPENDED)

    def leave(self, unit: Unit, tenant: str, name: str) -> None:
        """Somebody has left: everything of theirs ends at once, and their factors are taken away."""
        self._known(tenant, name)
        self._in.users.set_disabled(unit, tenant, name, disabled=True)
        self._in.users.strip(unit, tenant, name)
        self._in.passkeys.remove_all(unit, tenant, name)
        self._in.recovery.remove_all(unit, tenant, name)
        self._in.invitations.remove_all(unit, tenant, name)
        for take_away in self.when_leaving:
            take_away(unit, tenant, name)
        self._set(unit, tenant, name, Standing.LEFT)

    def reinstate(self, unit: Unit, tenant: str, name: str) -> tuple[str, int] | None:
        """Open a suspended account again, or invite somebody again who had left.

        Returns:
            For somebody without factors (who had left, or never enrolled) the code as `invite` does; else None.

        Raises:
            Problem: CONFLICT for an account that is open.
        """
        user = self._known(tenant, name)
        if not user.disabled:
            raise Problem(Kind.CONFLICT, "This account is not suspended.")
        self._in.users.set_disabled(unit, tenant, name, disabled=False)
        handle = handle_of(self._in.keys_of(tenant), name)
        add(unit, Statement("delete from standing where tenant = ? and handle = ?", (tenant, handle)))
        self._in.notices.tell(unit, tenant, name, NoticeKind.REINSTATED)
        if user.kind != "user" or self._in.users.has_password(tenant, name) or self._in.passkeys.of_user(tenant, name):
            return None
        self._set(unit, tenant, name, Standing.INVITED)
        return self._in.invitations.make(unit, tenant, name, Began.INVITE)

    # ── what takes two ──────────────────────────────────────────────────────────────────────────────────────

    def takes_two(self, has: Iterable[str], gets: Iterable[str] | None = None) -> bool:
        """Whether an act on an account needs a second administrator.

        Args:
            has: its roles.
            gets: the roles that it is to have; None for a new way to sign in.
        """
        gained = tuple(has) if gets is None else tuple(set(gets).difference(has))
        return self._in.level_of(gained) > LEVELS[AAL2]

    def reset(
        self, unit: Unit, tenant: str, name: str, began: Began, *, asked_ms: int | None = None
    ) -> tuple[str, int]:
        """Begin a reset: a code for the person, who goes on alone.

        Args:
            began: PASSWORD (the second factor is still asked for), FACTORS (the password is), or ALL.
            asked_ms: when it was asked for, where it has to wait a day from then on.

        Returns:
            The code and when it ends, in milliseconds since the epoch.

        Raises:
            Problem: NOT_FOUND without such a person; CONFLICT for one who is suspended, or has not enrolled yet.
        """
        user = self._person(tenant, name)
        if self.standing(user) is not Standing.ACTIVE:
            raise Problem(Kind.CONFLICT, "This account is not active.")
        held = self._in.credentials.held(tenant, name)
        has = self._in.has(tenant, held)
        if (began is Began.PASSWORD and not (has.code or has.passkeys)) or (
            began is Began.FACTORS and not held.encoded
        ):
            raise Problem(Kind.CONFLICT, "Nothing would be left to ask for. Reset all of it.")
        hold = 0 if asked_ms is None else max(0, asked_ms + HOLD_MS - self._in.clock.now_ms())
        self._in.notices.tell(unit, tenant, name, NoticeKind.RESET_BEGUN, began)
        return self._in.invitations.make(unit, tenant, name, began, hold_ms=hold)

    def ask(
        self, unit: Unit, tenant: str, by: str, name: str, *, began: Began = Began.NOTHING, roles: tuple[str, ...] = ()
    ) -> str:
        """Put down what a second administrator has to approve; its person is told. Gives its id."""
        keys, id_ = self._in.keys_of(tenant), uuid7()
        handle = handle_of(keys, name)
        sealed = seal_row(keys, "asking", id_, _Asking(by, handle, began, roles))
        values: Values = (tenant, id_, handle, self._in.clock.now_ms(), sealed)
        add(unit, Statement("insert into asking(tenant, id, handle, asked, sealed) values(?,?,?,?,?)", values))
        if began is not Began.INVITE:
            kind = NoticeKind.RESET_ASKED if began else NoticeKind.ROLES_ASKED
            self._in.notices.tell(unit, tenant, name, kind, began.value or ", ".join(roles))
        return id_

    def asked(self, tenant: str) -> list[Asking]:
        """What waits for approval, oldest first; after a week it waits no longer."""
        since = self._in.clock.now_ms() - ASKING_DAYS * _DAY_MS
        rows = self._in.db.execute(
            "select k.id, k.asked, k.sealed from asking k where k.tenant = ? and k.asked > ? order by k.id",
            (tenant, since),
        ).fetchall()
        return [found for row in rows if (found := self._asking(tenant, row)) is not None]

    def answer(self, unit: Unit, tenant: str, by: str, id_: str) -> Asking:
        """Take what was asked for off the list, to carry it out or to drop it.

        Raises:
            Problem: NOT_FOUND when it is not there; FORBIDDEN for whoever asked for it, and for its person unless they
                drop it; the commit fails with NOT_FOUND when somebody was first.
        """
        found = next((asking for asking in self.asked(tenant) if asking.id == id_), None)
        absent = Problem(Kind.NOT_FOUND, "Nothing with this id waits for an approval.")
        if found is None:
            raise absent
        if by == found.by:
            raise Problem(Kind.FORBIDDEN, "Somebody else has to approve this.", "approval by the one who asked")
        if by == found.name:
            raise Problem(Kind.FORBIDDEN, "Nobody approves this for themselves.", "approval for oneself")
        self.drop(unit, tenant, id_)
        return found

    def drop(self, unit: Unit, tenant: str, id_: str) -> None:
        """Take what was asked for off the list; the commit fails with NOT_FOUND when it is not there."""
        where: Values = (tenant, id_)
        absent = Problem(Kind.NOT_FOUND, "Nothing with this id waits for an approval.")
        guard = Guard("select 1 from asking where tenant = ? and id = ?", where, absent)
        add(unit, Statement("delete from asking where tenant = ? and id = ?", where, guard))

    # ── inside ──────────────────────────────────────────────────────────────────────────────────────────────

    def _asking(self, tenant: str, row: tuple[Any, ...]) -> Asking | None:
        id_, asked, sealed = row
        content = open_row(self._in.keys_of(tenant), "asking", id_, sealed, _Asking)
        user = self._in.users.of_handle(tenant, content.handle)
        return None if user is None else Asking(id_, content.by, user.id, Began(content.began), content.roles, asked)

    def _known(self, tenant: str, name: str) -> User:
        user = self._in.users.find(tenant, name)
        if user is None:
            raise no_account()
        return user

    def _person(self, tenant: str, name: str) -> User:
        user = self._known(tenant, name)
        if user.kind != "user":
            raise no_account()
        return user

    def _set(self, unit: Unit, tenant: str, name: str, standing: Standing) -> None:
        handle = handle_of(self._in.keys_of(tenant), name)
        values: Values = (tenant, handle, standing, self._in.clock.now_ms())
        add(unit, Statement("insert or replace into standing(tenant, handle, state, since) values(?,?,?,?)", values))
