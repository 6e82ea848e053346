# SPDX-License-Identifier: Apache-2.0
"""What a person is told about their own account: a sign-in, a factor bound or taken away, a code used up.

Rows, so that the account page shows them and mail can be sent from them later (`waiting`, `sent`). They hold no secret.
The sign-ins among them are the history of sign-ins.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import msgspec

from salus.identity.accounts.people_store import open_row, seal_row
from salus.identity.accounts.profile import handle_of
from salus.identity.accounts.store import Statement, Values, add
from salus.identity.accounts.users import KeysOf
from salus.kernel.clock import Clock
from salus.kernel.commit import Unit
from salus.kernel.db import Connection
from salus.kernel.ids import uuid7


class NoticeKind(StrEnum):
    """The closed list of notices; `WORDS` says each in a sentence."""

    SIGN_IN = "sign-in"
    NEW_DEVICE = "new-device"
    FACTOR_BOUND = "factor-bound"
    FACTOR_UNBOUND = "factor-unbound"
    RECOVERY_USED = "recovery-used"
    RECOVERY_RENEWED = "recovery-renewed"
    PASSWORD_CHANGED = "password-changed"  # noqa: S105  the name of a notice
    PASSWORD_CLOSED = "password-closed"  # noqa: S105
    PASSKEY_COPIED = "passkey-copied"
    RESET_ASKED = "reset-asked"
    RESET_BEGUN = "reset-begun"
    ROLES_ASKED = "roles-asked"
    ROLES_CHANGED = "roles-changed"
    SUSPENDED = "suspended"
    REINSTATED = "reinstated"


WORDS: dict[NoticeKind, str] = {
    NoticeKind.SIGN_IN: "You signed in.",
    NoticeKind.NEW_DEVICE: "You signed in from a device or network that was not used before.",
    NoticeKind.FACTOR_BOUND: "A way to sign in was added.",
    NoticeKind.FACTOR_UNBOUND: "A way to sign in was taken away.",
    NoticeKind.RECOVERY_USED: "A recovery code was used.",
    NoticeKind.RECOVERY_RENEWED: "New recovery codes were made; the old ones have ended.",
    NoticeKind.PASSWORD_CHANGED: "Your password was changed.",
    NoticeKind.PASSWORD_CLOSED: "After too many wrong passwords yours does not sign in any more; a passkey still does.",
    NoticeKind.PASSKEY_COPIED: "One of your passkeys may have been copied; it does not sign in any more.",
    NoticeKind.RESET_ASKED: "An administrator asked for a reset of your ways to sign in.",
    NoticeKind.RESET_BEGUN: "A reset of your ways to sign in was begun by an administrator.",
    NoticeKind.ROLES_ASKED: "An administrator asked for other roles for you.",
    NoticeKind.ROLES_CHANGED: "Your roles were changed.",
    NoticeKind.SUSPENDED: "Your account was suspended.",
    NoticeKind.REINSTATED: "Your account was opened again.",
}
SIGN_INS = frozenset({NoticeKind.SIGN_IN, NoticeKind.NEW_DEVICE})
QUIET = frozenset({NoticeKind.SIGN_IN})
"""History only: nobody is told of an ordinary sign-in."""


class _Sealed(msgspec.Struct, frozen=True, array_like=True):
    kind: str
    words: str
    device: str
    address: str
    handle: bytes


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing that a person is told.

    Attributes:
        kind: which.
        words: what exactly, e.g. the name of a passkey; may be empty.
        device, address: where from, as far as it is known.
        at_ms: when, milliseconds since the epoch.
        seen: its person has looked at it.
    """

    id: str
    kind: NoticeKind
    words: str
    device: str
    address: str
    at_ms: int
    seen: bool


class Notices:
    """Notices of all tenants."""

    def __init__(self, db: Connection, keys_of: KeysOf, clock: Clock) -> None:
        self._db = db
        self._keys_of = keys_of
        self._clock = clock

    def tell(
        self, unit: Unit, tenant: str, name: str, kind: NoticeKind, words: str = "", device: str = "", address: str = ""
    ) -> None:
        """Put a notice down."""
        keys, id_ = self._keys_of(tenant), uuid7()
        handle = handle_of(keys, name)
        sealed = seal_row(keys, "notice", id_, _Sealed(kind, words, device, address, handle))
        quiet = int(kind in QUIET)
        values: Values = (tenant, id_, handle, self._clock.now_ms(), quiet, quiet, sealed)
        insert = "insert into notice(tenant, id, handle, at, seen, sent, sealed) values(?,?,?,?,?,?,?)"
        add(unit, Statement(insert, values))

    def of_user(self, tenant: str, name: str, limit: int = 50) -> list[Notice]:
        """Notices of an account, newest first."""
        handle = handle_of(self._keys_of(tenant), name)
        rows = self._db.execute(
            "select id, at, seen, sealed from notice where tenant = ? and handle = ? order by id desc limit ?",
            (tenant, handle, limit),
        )
        return [self._notice(tenant, *row) for row in rows]

    def look(self, unit: Unit, tenant: str, name: str) -> None:
        """Their person has looked at all of them."""
        where: Values = (tenant, handle_of(self._keys_of(tenant), name))
        add(unit, Statement("update notice set seen = 1 where tenant = ? and handle = ? and seen = 0", where))

    def waiting(self, tenant: str, limit: int = 100) -> list[tuple[bytes, Notice]]:
        """Notices that nobody has sent yet, oldest first, with the handle of their account."""
        rows = self._db.execute(
            "select handle, id, at, seen, sealed from notice where tenant = ? and sent = 0 order by id limit ?",
            (tenant, limit),
        )
        return [(handle, self._notice(tenant, *row)) for handle, *row in rows]

    def sent(self, unit: Unit, tenant: str, id_: str) -> None:
        """A notice is on its way."""
        add(unit, Statement("update notice set sent = 1 where tenant = ? and id = ?", (tenant, id_)))

    def _notice(self, tenant: str, id_: str, at: int, seen: int, sealed: bytes) -> Notice:
        content = open_row(self._keys_of(tenant), "notice", id_, sealed, _Sealed)
        return Notice(id_, NoticeKind(content.kind), content.words, content.device, content.address, at, bool(seen))
