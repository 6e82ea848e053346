# SPDX-License-Identifier: Apache-2.0
"""The audit log for those who may read it: one place that has both the database and the keys."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from salus.audit.entry import Entry
from salus.audit.reading import Filter, Page, entries, find
from salus.crypto.keyring import TenantKeys
from salus.kernel.db import Connection


class AuditReader:
    """Reads the logs of all tenants.

    Args:
        db: database of the logs, a connection of the calling thread.
        keys_of: keys of a tenant by name; raises NOT_FOUND for an unknown one.
        settled: returns when the log has what every process kept before; await it before you read what just happened.
    """

    def __init__(
        self, db: Connection, keys_of: Callable[[str], TenantKeys], settled: Callable[[], Awaitable[None]]
    ) -> None:
        self._db = db
        self._keys_of = keys_of
        self.settled = settled

    def owner(self, tenant: str, patient: str) -> bytes:
        """The surrogate by which the log knows a patient, from the id or `Patient/id`."""
        return self._keys_of(tenant).surrogate("Patient", patient.removeprefix("Patient/"))

    def page(self, tenant: str, wanted: Filter, *, limit: int, before: int | None = None) -> Page:
        """Entries that a filter lets through, newest first; see `reading.find`."""
        return find(self._db, self._keys_of(tenant), wanted, limit=limit, before=before)

    def entry(self, tenant: str, index: int) -> Entry | None:
        """The entry at a place of the log, or None when the log is shorter."""
        return next((entry for _, entry in entries(self._db, self._keys_of(tenant), index, index + 1)), None)
