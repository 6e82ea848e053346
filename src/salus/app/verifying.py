# SPDX-License-Identifier: Apache-2.0
"""Verifying a whole database: the log, every row, the index and the contents, for `salus verify` and for restores.

First the log: it is what everything else is laid beside. Then rows and index are counted against the manifest, in one
snapshot. Only what does not agree is looked into.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from salus.access.permissions import Permission
from salus.access.relations import Relations
from salus.app.house import CHECKPOINTS, ROOMS, House
from salus.app.standing import foreign
from salus.audit import store as audit_store
from salus.audit.entry import open_entry, outline
from salus.audit.event import Event, EventType, Outcome
from salus.audit.report import HARMLESS, Report
from salus.audit.verify import verify as verify_log
from salus.crypto.tenant_keys import TenantKeys
from salus.freshness.manifest import Manifest
from salus.freshness.report import MOST, Finding, FindingKind
from salus.freshness.scan import Scanned, differences, scan, snapshot
from salus.kernel.commit import Unit
from salus.kernel.db import Connection, exclusive
from salus.kernel.errors import Kind, Problem
from salus.kernel.ids import uuid7
from salus.records.context import Context
from salus.records.store.indexed import as_written, astray, distrust
from salus.records.store.marks import Marking
from salus.records.tracing import WRITING, trace, trace_contents, trace_relations, written

Tell = Callable[[str, int], None]
_RECORDS, _RELATIONS = "record", "relation"
_ROLES = ("auditor",)  # of the operator


@dataclass(slots=True)
class Verified:
    """What was found of one tenant.

    Attributes:
        log: of the audit log.
        rows: how many rows were read.
        findings: what is wrong with the rest, at most `MOST`.
    """

    log: Report
    rows: int = 0
    findings: list[Finding] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Nothing was tampered with, as far as keys, log and checkpoints can tell."""
        return self.log.ok and not self.findings

    def words(self) -> Iterator[str]:
        """Every finding on a line; notes of the log are left out."""
        yield from (found.text for found in self.log.findings if found.kind not in HARMLESS)
        yield from (found.text for found in self.findings)


@dataclass(slots=True)
class Compared:
    """Rows and index beside the manifests, of all tenants.

    Attributes:
        findings: by tenant.
        tables: by tenant: the tables that differ; the full-text index as `index`.
    """

    scanned: Scanned
    findings: dict[str, list[Finding]]
    tables: dict[str, set[str]]


def compare(
    db: Connection, manifest: Manifest, marking: Marking, tenants: list[str], tell: Tell, *, index: bool = True
) -> Compared:
    """Read everything once, in one snapshot.

    Args:
        index: read the full-text index too, which takes longest.
    """
    with snapshot(db):
        stated = {tenant: manifest.stated(db, tenant) for tenant in tenants}
        logs = {tenant for tenant in tenants if audit_store.read_head(db, tenant) is not None}
        scanned = scan(db, manifest, tenants, tell)
        whole = as_written(db, marking, tenants, tell) if index else set(tenants)
    compared = Compared(scanned, {tenant: [] for tenant in tenants}, {tenant: set() for tenant in tenants})
    for tenant in tenants:
        found, state = compared.findings[tenant], stated[tenant]
        if state is None and (tenant in logs or scanned.sums[tenant]):
            text = "The manifest is missing, forged, or belongs to another state of the log: rows or log were put back."
            found.append(Finding(FindingKind.MANIFEST, text))
            compared.tables[tenant] = {*scanned.sums[tenant], _RECORDS, _RELATIONS}
        elif state is not None:
            for each in differences(scanned.sums[tenant], state.sums()):
                found.append(Finding(FindingKind.TABLE, each.words()))
                compared.tables[tenant].add(each.table)
            if state.shape != scanned.shape:
                text = "Tables, indexes or triggers of the database are not those that the program made."
                found.append(Finding(FindingKind.SCHEMA, text))
        if tenant not in whole:
            found.append(Finding(FindingKind.TABLE, "index: tokens were changed, added, or taken out."))
            compared.tables[tenant].add("index")
    for table, count in scanned.strange.items():
        found = compared.findings[tenants[0]]
        found.append(Finding(FindingKind.TABLE, f"{table}: {count} rows belong to a tenant that there is not."))
    return compared


async def verify(
    house: House, checkpoints: Path | None = None, tell: Tell = lambda *_: None, *, index: bool = True
) -> dict[str, Verified]:
    """Verify every tenant, and write down the result.

    Args:
        checkpoints: a folder of checkpoints that were kept elsewhere; without it the ones beside the database.
        tell: called with what is read and how far it is.
    """
    await house.settled()
    folder = checkpoints or house.settings.folder / CHECKPOINTS
    tenants = house.keyring.tenants()
    found = {tenant: Verified(verify_log(house.db, house.keyring.tenant(tenant), folder)) for tenant in tenants}
    marking = Marking(house.keyring.tenant)
    compared = compare(house.db, house.manifest, marking, tenants, tell, index=index)
    for tenant, verified in found.items():
        verified.rows = sum(count for count, _ in compared.scanned.sums[tenant].values())
        looked = _look(house, marking, tenant, compared.tables[tenant], tell)
        verified.findings = [*compared.findings[tenant], *islice(looked, MOST)]
        await _note(house, tenant, verified)
    return found


async def _note(house: House, tenant: str, verified: Verified) -> None:
    outcome = Outcome.GRANTED if verified.ok else Outcome.FAILED
    wrong = len(list(verified.words()))
    reason = f"{verified.rows} rows, {verified.log.size} entries, {wrong} findings"
    try:
        await house.record(Unit(), house.operator(tenant), EventType.STORE_VERIFY, reason, outcome)
    except Problem:  # a log that cannot be relied on takes no entry; the findings say so
        if verified.ok:
            raise


def _look(house: House, marking: Marking, tenant: str, tables: set[str], tell: Tell) -> Iterator[Finding]:
    """What exactly is wrong, in the tables that differ."""
    ctx = Context(house.services, house.operator(tenant, roles=_ROLES), uuid7())
    try:
        permit = ctx.decide(Permission.AUDIT_VERIFY, "")
    except Problem:  # the policy lets nobody verify: what was counted stays found
        return
    with snapshot(house.db):
        if _RECORDS in tables:
            known = written(ctx, _writing(house.db, house.keyring.tenant(tenant)))
            yield from trace(ctx, permit, known, tell)
        if "index" in tables:
            for row in astray(house.db, marking.tenant(tenant)):
                yield Finding(FindingKind.INDEX, f"The index does not hold what was written for {row.words()}.")
        if _RELATIONS in tables:
            yield from trace_relations(ctx, permit, Relations(house.db))
        yield from trace_contents(ctx, permit)


def _writing(db: Connection, keys: TenantKeys) -> Iterator[tuple[int, Event]]:
    """Entries of the log that may write records; what does not open is passed over, the log's own check tells it."""
    for batch in audit_store.batches(db, keys.name):
        try:
            entries = audit_store.unpack(batch.entries)
        except ValueError:
            continue
        for index, entry in enumerate(entries, batch.first):
            try:
                if outline(entry).type in WRITING:
                    yield index, open_entry(entry, keys).event
            except Problem:
                continue


async def accept(house: House, tenant: str, reason: str) -> None:
    """Take rows as they are, after somebody has looked into what was found; what the index has lost is indexed anew.

    Args:
        reason: why; stands in the log.

    Raises:
        Problem: UNAVAILABLE when the log itself cannot be relied on.
    """
    await house.settled()
    actor = house.operator(tenant)
    event = Event(EventType.STORE_ACCEPT, Outcome.GRANTED, actor, house.clock.now_ms(), uuid7(), reason=reason)
    marks = Marking(house.keyring.tenant).tenant(tenant)
    with house.alone(), exclusive(house.db):
        if foreign(house.db, ROOMS):
            text = "Somebody has put a trigger or a view into the database; restore it from a backup."
            raise Problem(Kind.CONFLICT, text)
        distrust(house.db, marks)
        house.manifest.put(house.db, tenant, scan(house.db, house.manifest, [tenant]).sums[tenant])
        house.audit.take_in(house.db, {tenant: [(tenant, event.at_ms, house.audit.entry(event))]})
        house.manifest.seal(house.db)
    house.audit.committed()
