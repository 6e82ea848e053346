# SPDX-License-Identifier: Apache-2.0
"""What the process that appends to a tenant's log knows of it, so that not every group has to ask anew."""

from __future__ import annotations

from salus.audit import store
from salus.audit.checkpoint import Signer
from salus.audit.merkle import Frontier
from salus.audit.signers import signer_of
from salus.crypto.keyring import TenantKeys
from salus.crypto.wiping import wipe


class Known:
    """What the writer's thread knows of one tenant's log."""

    __slots__ = ("_number", "_signer", "batch_key", "frontier", "head_key", "keys", "mac", "read_at")

    def __init__(self, keys: TenantKeys) -> None:
        self.keys = keys
        self.head_key = keys.derived(store.HEAD_KEY)
        self.batch_key = keys.derived(store.BATCH_KEY)
        self._number, self._signer = 1, signer_of(keys, 1)
        self.frontier: Frontier | None = None  # None: not read yet, or forgotten after a rollback
        self.mac = b""
        self.read_at = -1  # state of the database (`Connection.data_version`) in which `_rely` found the head right
        keys.when_forgotten(self._let_go)

    def signer(self, number: int) -> Signer:
        """The key that signs; another process may have changed it."""
        if number != self._number:
            self._number, self._signer = number, signer_of(self.keys, number)
        return self._signer

    def _let_go(self) -> None:
        """The tenant's keys are let go; `AuditLog._refresh` makes another of these when they are back."""
        wipe(self.head_key, self.batch_key)
        del self._signer
