# SPDX-License-Identifier: Apache-2.0
"""Everything about people in one place: their accounts, ceremonies, sessions, factors and notices."""

from __future__ import annotations

from collections.abc import Callable, Container

from salus.identity.accounts.credentials import Credentials
from salus.identity.accounts.lockout import Lockout
from salus.identity.accounts.notices import Notices
from salus.identity.accounts.passkeys import Passkeys
from salus.identity.accounts.recovery_codes import RecoveryCodes
from salus.identity.accounts.store import Statement, add
from salus.identity.accounts.users import KeysOf, Users
from salus.identity.ceremonies.account import Account
from salus.identity.ceremonies.ceremony import Rooms
from salus.identity.ceremonies.enrolment import Enrolment
from salus.identity.ceremonies.flow import Flows
from salus.identity.ceremonies.invitations import Invitations
from salus.identity.ceremonies.life import Life
from salus.identity.ceremonies.sign_in import SignIn
from salus.identity.factors.passkey_ceremony import Party
from salus.identity.factors.passwords import PasswordHasher
from salus.identity.sessions import LevelOf, Sessions
from salus.kernel.clock import Clock
from salus.kernel.commit import Unit
from salus.kernel.db import Connection


class People:
    """The rooms of people, wired.

    Args:
        db: connection for reading, of the calling thread.
        keys_of: keys of a tenant by its name.
        clock: the time.
        hasher: hashes passwords.
        purposes: the purposes of use that exist.
        level_of: the level of assurance that roles demand.
        purpose_of: the usual purpose of use of roles.
        party: the server as browsers know it.
        laboratory: login names for which a password alone is enough.
    """

    def __init__(
        self,
        db: Connection,
        keys_of: KeysOf,
        clock: Clock,
        hasher: PasswordHasher,
        *,
        purposes: Container[str],
        level_of: LevelOf,
        purpose_of: Callable[[tuple[str, ...]], str],
        party: Party,
        laboratory: frozenset[str] = frozenset(),
    ) -> None:
        self.users = Users(db, keys_of, hasher, clock)
        self.sessions = Sessions(db, keys_of, clock, purposes, level_of, laboratory)
        self.credentials = Credentials(db, keys_of)
        self.lockout = Lockout(db, keys_of, clock)
        self.passkeys = Passkeys(db, keys_of, clock, party)
        self.recovery = RecoveryCodes(db, keys_of)
        self.notices = Notices(db, keys_of, clock)
        self.invitations = Invitations(db, keys_of, clock)
        rooms = Rooms(
            db,
            keys_of,
            clock,
            hasher,
            self.users,
            self.credentials,
            self.sessions,
            Flows(db, keys_of, clock),
            self.lockout,
            self.passkeys,
            self.recovery,
            self.notices,
            self.invitations,
            level_of,
            purpose_of,
            laboratory,
        )
        self.sign_in = SignIn(rooms)
        self.enrolment = Enrolment(rooms)
        self.account = Account(rooms)
        self.life = Life(rooms)

    def end_all(self, unit: Unit) -> None:
        """End sessions, ceremonies and codes of administrators: after a restore, those that ended would be back."""
        for what in ("session", "flow", "invitation", "asking"):
            add(unit, Statement(f"delete from {what}", (), revokes=True))
