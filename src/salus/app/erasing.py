# SPDX-License-Identifier: Apache-2.0
"""Carrying out an erasure over all rooms, step by step, so that whoever calls it again after a crash does the rest.

First the rows go, in one commit with the audit entry; then the key; then the epoch that it was wrapped under, and the
version of the provider's key above that; then what is left in the index. The receipt comes last.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import msgspec

from salus.access.permissions import Permission
from salus.access.relations import Forget, forget
from salus.app.house import House
from salus.app.schedule import KMS, TENANT
from salus.audit.event import Entity, EventType, Outcome
from salus.crypto.key_table import Purpose
from salus.crypto.rotation import begin_epoch, destroy_former, held, rewrap, rewrap_provided
from salus.crypto.wiping import wipe
from salus.kernel.actor import Actor
from salus.kernel.clock import instant
from salus.kernel.commit import Unit
from salus.kernel.errors import Kind, Problem
from salus.kernel.ids import uuid7
from salus.privacy import receipt as receipts
from salus.privacy.erasure import Erasure, approve, check_approved, check_holds
from salus.privacy.receipt import Receipt
from salus.privacy.survey import Survey, survey
from salus.records.context import Context
from salus.records.store.erase import Erase, Merge
from salus.records.store.write import RecordsPart

_PAGES = 500
_ROLES = ("service", "privacy-officer")  # of the operator: sees everything, and may carry out what is approved
Tell = Callable[[str], None]


def operator(house: House, tenant: str) -> Context:
    """The person at the shell, who carries out what others have asked for and approved."""
    return Context(house.services, house.operator(tenant, roles=_ROLES), uuid7())


async def plan(house: House, tenant: str, patient: str) -> Survey:
    """Look through all records and say so in the log.

    Raises:
        Problem: NOT_FOUND when nothing of this patient is there.
    """
    ctx = operator(house, tenant)
    found = await survey(ctx, patient)
    await _say(house, ctx.actor, EventType.ERASURE_PLAN, patient, "what an erasure would take away")
    if not found.records:
        gone = house.desk.find(tenant, house.desk.owner(tenant, patient))
        text = "This patient was erased." if gone is not None and gone.receipt else "There is no such patient."
        raise Problem(Kind.NOT_FOUND, text)
    return found


async def request(house: House, actor: Actor, patient: str, reason: str) -> Erasure:
    """Ask for an erasure, as the account whose token was given."""
    await _permitted(house, actor, Permission.ERASURE_REQUEST, EventType.ERASURE_REQUEST, patient)
    check_holds(house.holds, actor.tenant, patient)
    owner = house.desk.owner(actor.tenant, patient)
    known = house.desk.find(actor.tenant, owner)
    if known is not None and (known.receipt or known.records):
        raise Problem(Kind.CONFLICT, "This patient was erased, or is being erased.")
    erasure = Erasure(uuid7(), patient, reason, actor.id, house.clock.now_ms())
    await _keep(house, actor, patient, erasure, EventType.ERASURE_REQUEST, reason)
    return erasure


async def second(house: House, actor: Actor, patient: str) -> Erasure:
    """Approve an erasure, as the account whose token was given."""
    await _permitted(house, actor, Permission.ERASURE_APPROVE, EventType.ERASURE_APPROVE, patient)
    check_holds(house.holds, actor.tenant, patient)
    known = house.desk.find(actor.tenant, house.desk.owner(actor.tenant, patient))
    if known is None:
        raise Problem(Kind.NOT_FOUND, "Nobody has asked for this erasure.")
    try:
        approved = approve(known, actor.id, house.clock.now_ms())
    except Problem as problem:
        await _say(house, actor, EventType.ERASURE_APPROVE, patient, problem.detail or "again", refused=True)
        raise
    await _keep(house, actor, patient, approved, EventType.ERASURE_APPROVE, f"asked for by {known.requested_by}")
    return approved


async def execute(house: House, tenant: str, patient: str, tell: Tell = lambda _: None) -> str:
    """Erase a patient; gives the signed receipt.

    Raises:
        Problem: FORBIDDEN without approval; CONFLICT on hold; UNAVAILABLE: what was done stays done, and the same call
            goes on from there.
    """
    ctx, owner = operator(house, tenant), house.desk.owner(tenant, patient)
    erasure = check_approved(house.desk.find(tenant, owner), house.clock.now_ms())
    if erasure.receipt:
        return erasure.receipt
    if not erasure.records:
        check_holds(house.holds, tenant, patient)
    found = await survey(ctx, patient)
    if not erasure.records:
        if not found.records:
            raise Problem(Kind.NOT_FOUND, "There is no such patient.")
        erasure = msgspec.structs.replace(erasure, records=dict(found.records))
        await _take_rows(house, ctx, erasure, owner)
    tell("the records are gone")
    house.keyring.table.destroy(tenant, Purpose.PATIENT, owner)
    house.keyring.table.remove(tenant, Purpose.FORMER, owner)  # its key may be on the way to be replaced
    tell("the key is destroyed")
    ended, destroyed, copies = _end_epoch(house, tenant)
    tell(f"epoch {ended} has ended, {len(destroyed)} versions of the provider's key are destroyed")
    await _compact(house)
    at = instant(house.clock.now_ms())
    receipt = Receipt(
        tenant,
        erasure.id,
        owner.hex(),
        erasure.reason,
        erasure.requested_by,
        erasure.approved_by,
        ctx.actor.id,
        at,
        erasure.records,
        len(found.shared),
        len(found.mentions),
        ended,
        house.settings.keys.provider,
        destroyed,
        copies,
    )
    text = receipts.signed(receipt, house.keyring.tenant(tenant).derived(receipts.SEED))
    done = msgspec.structs.replace(erasure, patient="", receipt=text)
    await _keep(house, ctx.actor, patient, done, EventType.ERASURE_COMPLETE, f"epoch {ended} has ended")
    return text


async def verify(house: House, tenant: str, text: str) -> list[str]:
    """Check a receipt and that what it says still holds.

    Returns:
        What does not hold, in words; empty when everything does.

    Raises:
        Problem: INCORRECT when the receipt itself is not genuine.
    """
    seed = house.keyring.tenant(tenant).derived(receipts.SEED)
    receipt = receipts.read(text, seed)
    wipe(seed)
    owner, wrong = bytes.fromhex(receipt.subject), []
    ctx = operator(house, tenant)
    permit = ctx.decide(Permission.ERASURE_EXECUTE, "")
    row = house.keyring.table.get(tenant, Purpose.PATIENT, owner)
    if row is None or row[1]:
        wrong.append("the patient has a key")
    if ctx.store.reader.erased(tenant, owner) != ctx.store.mark(tenant, owner):
        wrong.append("the store does not know of the erasure: it is older, or was altered")
    bodies, tokens = ctx.store.reader.left_of(permit, owner)
    if bodies:
        wrong.append(f"{bodies} sealed records of the patient are in the store (nobody can open them without the key)")
    if tokens:
        wrong.append(f"{tokens} records of the patient are in the index")
    if any(epoch.number <= receipt.ended_epoch for epoch in house.keyring.table.epochs(tenant)):
        wrong.append("the epoch that has ended is in the key table: it is older, or was altered")
    await house.record(Unit(), ctx.actor, EventType.ERASURE_VERIFY, "; ".join(wrong) or "holds")
    return wrong


async def again(house: House, tenant: str) -> int:
    """Take out what a restored database has of patients whose keys were destroyed; gives how many patients.

    The key table remembers who was erased, so an old database cannot bring anybody back.
    """
    ctx = operator(house, tenant)
    store, count = ctx.store, 0
    for owner in house.keyring.table.destroyed(tenant, Purpose.PATIENT):
        if not isinstance(owner, bytes) or store.reader.erased(tenant, owner) == store.mark(tenant, owner):
            continue
        permit = ctx.decide(Permission.ERASURE_EXECUTE, "")
        since = store.reader.last_seq()
        seqs = store.reader.owned(permit, owner)
        unit = Unit()
        gone = Erase(tenant, owner, store.mark(tenant, owner), house.clock.now_ms(), seqs, since)
        unit.parts["records"] = RecordsPart(erases=[gone])
        forget(unit, Forget(tenant, owner))
        reason = f"again: the database is older than the erasure, {len(seqs)} versions"
        await ctx.commit(unit, ctx.event(EventType.ERASURE_EXECUTE, reason=reason))
        count += 1
    if count:
        await _compact(house)
    return count


# ── steps ────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def _take_rows(house: House, ctx: Context, erasure: Erasure, owner: bytes) -> None:
    tenant = ctx.actor.tenant
    permit = ctx.decide(Permission.ERASURE_EXECUTE, "")
    reader = ctx.store.reader
    since = reader.last_seq()
    seqs = reader.owned(permit, owner)
    gone = Erase(tenant, owner, ctx.store.mark(tenant, owner), house.clock.now_ms(), seqs, since)
    unit = Unit()
    unit.parts["records"] = RecordsPart(erases=[gone])
    forget(unit, Forget(tenant, owner))
    for user in house.users.all_users(tenant):
        if user.party == f"Patient/{erasure.patient}" and not user.disabled:
            house.users.set_disabled(unit, tenant, user.id, disabled=True)
    house.oauth.grants.end_patient(unit, tenant, erasure.patient)
    house.desk.keep(unit, tenant, owner, erasure)
    counted = ", ".join(f"{count} {type_}" for type_, count in Counter(erasure.records).most_common())
    entity = Entity(owner, "Patient", erasure.patient, 0, "D")
    event = ctx.event(EventType.ERASURE_EXECUTE, reason=f"{erasure.id}: {counted}", entities=(entity,))
    await ctx.commit(unit, event)


def _end_epoch(house: House, tenant: str) -> tuple[int, list[tuple[str, str]], str]:
    """The ended epoch, the destroyed versions of the provider's key, and what is to be done about copies."""
    keyring = house.keyring
    begin_epoch(keyring, tenant)
    rewrap(keyring, tenant)
    keyring.table.note_rotation(tenant, TENANT, house.clock.now_ms())
    ended = held(keyring, tenant)[0] - 1
    provider = keyring.provider
    copies = "Destroy old copies of keys.db: the key provider still opens them."
    if not (provider.capabilities.rotates and provider.capabilities.destroys):
        return ended, [], copies
    try:
        version = provider.rotate()
        rewrap_provided(keyring)
        keyring.table.note_rotation("", KMS, house.clock.now_ms())
        destroyed = destroy_former(provider, version)
    except Problem as problem:
        return ended, [], f"{copies} It did not destroy the former version of its key ({problem.kind.value})."
    return ended, destroyed, "" if provider.name != "local" else "Destroy old copies of the root key file."


async def _compact(house: House) -> None:
    """Merge the index, a few pages at a time between other commits, so that nothing of what was deleted stays in it."""
    step = Merge(_PAGES, first=True)
    while step.more:
        unit = Unit()
        unit.parts["records"] = RecordsPart(merge=step)
        await house.writer.submit(unit)
        step = Merge(_PAGES, first=False, more=step.more)


async def _permitted(house: House, actor: Actor, permission: Permission, event: EventType, patient: str) -> None:
    try:
        house.access.decide(actor, permission)
    except Problem as problem:
        await _say(house, actor, event, patient, problem.detail, refused=True)
        raise


async def _keep(house: House, actor: Actor, patient: str, erasure: Erasure, event: EventType, reason: str) -> None:
    owner = house.desk.owner(actor.tenant, patient)
    unit = Unit()
    house.desk.keep(unit, actor.tenant, owner, erasure)
    await _commit(house, unit, actor, event, patient, f"{erasure.id}: {reason}")


async def _say(
    house: House, actor: Actor, event: EventType, patient: str, reason: str, *, refused: bool = False
) -> None:
    await _commit(house, Unit(), actor, event, patient, reason, refused=refused)


async def _commit(
    house: House,
    unit: Unit,
    actor: Actor,
    event: EventType,
    patient: str,
    reason: str,
    *,
    refused: bool = False,
) -> None:
    ctx = Context(house.services, actor, uuid7())
    entity = Entity(house.desk.owner(actor.tenant, patient), "Patient", patient, 0, "R")
    outcome = Outcome.REFUSED if refused else Outcome.GRANTED
    await ctx.commit(unit, ctx.event(event, reason=reason, entities=(entity,), outcome=outcome))
