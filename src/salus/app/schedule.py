# SPDX-License-Identifier: Apache-2.0
"""Which keys are to be rotated, by the days that the settings allow, and which rotations were begun and not finished.

Reads only. What was never rotated counts from the tenant's first entry in the audit log.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from salus.crypto.keyring import Keyring
from salus.crypto.rotation import held
from salus.kernel.clock import instant
from salus.kernel.db import Connection
from salus.kernel.settings import Settings
from salus.records.store.defined import state
from salus.records.store.turned import next_step

KMS, TENANT, INDEX, SIGNING, PATIENT = "kms", "tenant", "index", "signing", "patient"
NAMES = {
    KMS: "key of the provider",
    TENANT: "wrapping key",
    INDEX: "index key",
    SIGNING: "audit signing key",
    PATIENT: "keys of patients",
}
_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Planned:
    """When one kind of key was rotated and is to be rotated.

    Attributes:
        kind: as `salus keys rotate` takes it.
        rotated: milliseconds since the epoch; of the founding when `never`.
        never: whether it was never rotated.
        due: milliseconds since the epoch; None for never.
        unfinished: what is left of a rotation that was begun, in words; empty for nothing.
    """

    kind: str
    rotated: int
    never: bool
    due: int | None
    unfinished: str = ""

    def is_due(self, now_ms: int) -> bool:
        """Whether it should be rotated by now."""
        return self.due is not None and self.due <= now_ms

    def words(self, now_ms: int) -> str:
        """For people."""
        last = f"never, since {instant(self.rotated)[:10]}" if self.never else f"last on {instant(self.rotated)[:10]}"
        if self.unfinished:
            return f"{last}; NOT FINISHED: {self.unfinished}"
        if self.due is None:
            return f"{last}; not on a schedule"
        return f"{last}; {'DUE since' if self.is_due(now_ms) else 'due on'} {instant(self.due)[:10]}"


def planned(db: Connection, keyring: Keyring, settings: Settings, tenant: str) -> Iterator[Planned]:
    """The plan for one tenant, and for the provider's key, which serves all.

    Raises:
        Problem: NOT_FOUND for an unknown tenant.
    """
    keys = keyring.tenant(tenant)
    founded: Any = db.execute("select min(since) from audit_batch where tenant=?", (tenant,)).get
    last = {**keys.rotations(), **{kind: at for kind, at in keyring.table.rotations("").items() if kind == KMS}}
    days = {
        KMS: settings.keys.rotate_kms_days if keyring.provider.capabilities.rotates else 0,
        TENANT: settings.keys.rotate_tenant_days,
        INDEX: settings.keys.rotate_index_days,
        SIGNING: settings.keys.rotate_signing_days,
        PATIENT: 0,
    }
    unfinished = {
        TENANT: _behind(keyring, tenant),
        INDEX: "tokens of two keys" if next_step(state(db, tenant)) else "",
        PATIENT: f"{len(renewing)} patients" if (renewing := keys.renewing()) else "",
    }
    for kind in NAMES:
        at = last.get(kind, founded or 0)
        due = at + days[kind] * _DAY_MS if days[kind] else None
        yield Planned(kind, at, kind not in last, due, unfinished.get(kind, ""))


def _behind(keyring: Keyring, tenant: str) -> str:
    _, kinds = held(keyring, tenant)
    left = sum(kind.behind for kind in kinds.values())
    return f"{left} keys under a former wrapping key" if left else ""
