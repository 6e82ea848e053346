# SPDX-License-Identifier: Apache-2.0
"""How an event becomes the bytes of a log entry, and back.

    entry = msgpack [1, at_ms, type, outcome, body, [[owner, part], ...]]
    body  = sealed under the tenant's key `audit-body`: actor and application, request, address, reason, query,
            records of no patient
    part  = sealed under the audit key of that patient: query, which records and versions

Time, type and outcome stay readable inside the page-encrypted database, so that the log can be filtered
without opening it; the seals bind them. Which patient is concerned shows only as a surrogate.

Where the query goes: it may hold names, numbers or ids of patients. When the event concerns exactly one
patient it is sealed in that patient's part and dies with that patient's audit key. When it concerns none or
several, it belongs to nobody alone and is sealed in the body, under the tenant's key; destroying one
patient's audit key does not reach it. The actor is in the body even when the actor is a patient: who acted
must stay known as long as the log is kept.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from salus.audit.event import Action, Entity, Event, EventType, Outcome
from salus.crypto.envelope import SealingKey
from salus.crypto.keyring import TenantKeys
from salus.kernel.actor import Actor
from salus.kernel.errors import Kind, Problem

OWNER_BYTES = 16
BODY = "audit-body"  # purpose of the tenant's sealing key

_VERSION = 1
_BODY_SEAL = "salus/audit/body"
_PART_SEAL = "salus/audit/part"

_Record = tuple[str, str, int, Action]


class _Header(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True, gc=False):
    version: int
    at_ms: int
    type: EventType
    outcome: Outcome
    body: bytes
    parts: tuple[tuple[bytes, bytes], ...]


class _Body(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True, gc=False):
    id: str
    kind: str
    roles: tuple[str, ...]
    purpose: str
    party: str
    session: str
    scopes: tuple[str, ...]
    request: str
    address: str
    reason: str
    query: str
    records: tuple[_Record, ...]
    client: str = ""  # entries of former versions have none


class _Part(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True, gc=False):
    query: str
    records: tuple[_Record, ...]


_encode: Callable[[object], bytes] = msgspec.msgpack.Encoder().encode
_decode_header = msgspec.msgpack.Decoder(_Header).decode
_decode_body = msgspec.msgpack.Decoder(_Body).decode
_decode_part = msgspec.msgpack.Decoder(_Part).decode


class Entry(msgspec.Struct, frozen=True):
    """An entry as it was read back.

    Attributes:
        event: what happened; lacks the records (and the query) of the patients in `unreadable`.
        unreadable: surrogates of the patients whose part does not open because their audit key was destroyed.
    """

    event: Event
    unreadable: tuple[bytes, ...] = ()


class Outline(msgspec.Struct, frozen=True):
    """What an entry shows without any key: time (ms since the epoch), type, outcome, patient surrogates."""

    at_ms: int
    type: EventType
    outcome: Outcome
    owners: tuple[bytes, ...]


def seal_entry(event: Event, keys: TenantKeys, body_key: SealingKey) -> bytes:
    """Seal an event.

    Args:
        event: what happened.
        keys: keys of the tenant `event.actor.tenant`.
        body_key: `keys.sealer(BODY)`, kept by the caller.

    Returns:
        The bytes that are hashed as a leaf of the tree; about 300 bytes with one patient.

    Raises:
        Problem: FAULT when a surrogate is not 16 bytes long.
    """
    actor = event.actor
    tenant, at_ms, type_, outcome = actor.tenant, event.at_ms, event.type, event.outcome
    free: list[_Record] = []
    owned: dict[bytes, list[_Record]] = {}
    for entity in event.entities:
        record = (entity.type, entity.id, entity.version, entity.action)
        owner = entity.owner
        if not owner:
            free.append(record)
        elif len(owner) != OWNER_BYTES:
            raise Problem(Kind.FAULT, "An audit entry could not be made.", "a surrogate has the wrong length")
        elif owner in owned:
            owned[owner].append(record)
        else:
            owned[owner] = [record]
    query_here, query_there = (event.query, "") if len(owned) != 1 else ("", event.query)
    body = (
        actor.id, actor.kind, actor.roles, actor.purpose, actor.party, actor.session, actor.scopes,
        event.request, event.address, event.reason, query_here, free, actor.client,
    )  # fmt: skip
    parts = [
        (
            owner,
            keys.audit_key(owner).seal(
                _encode((query_there, records)), (_PART_SEAL, tenant, owner, at_ms, type_, outcome)
            ),
        )
        for owner, records in owned.items()
    ]
    sealed = body_key.seal(_encode(body), (_BODY_SEAL, tenant, at_ms, type_, outcome))
    return _encode((_VERSION, at_ms, type_, outcome, sealed, parts))


def outline(data: bytes) -> Outline:
    """Read what an entry shows without keys.

    Raises:
        Problem: FAULT when the bytes are no entry of a version that this program knows.
    """
    header = _header(data)
    return Outline(header.at_ms, header.type, header.outcome, tuple(owner for owner, _ in header.parts))


def open_entry(data: bytes, keys: TenantKeys) -> Entry:
    """Open an entry as far as the keys reach.

    Args:
        data: the bytes of `seal_entry`.
        keys: keys of the tenant whose log it is.

    Raises:
        Problem: FAULT when the bytes are no entry, or its body does not open: it was tampered with.
    """
    header = _header(data)
    tenant, at_ms, type_, outcome = keys.name, header.at_ms, header.type, header.outcome
    opened = keys.sealer(BODY).open(header.body, (_BODY_SEAL, tenant, at_ms, type_, outcome))
    try:
        body = _decode_body(opened)
    except msgspec.MsgspecError:
        raise _malformed() from None
    entities = [Entity(b"", *record) for record in body.records]
    query = body.query
    unreadable: list[bytes] = []
    for owner, sealed in header.parts:
        try:
            part = _decode_part(keys.audit_key(owner).open(sealed, (_PART_SEAL, tenant, owner, at_ms, type_, outcome)))
        except (Problem, msgspec.MsgspecError):
            unreadable.append(owner)
            continue
        query = query or part.query
        entities += [Entity(owner, *record) for record in part.records]
    actor = Actor(
        tenant,
        body.id,
        body.kind,
        body.roles,
        body.purpose,
        body.party,
        body.session,
        body.scopes,
        client=body.client,
    )
    event = Event(
        type_, outcome, actor, at_ms, body.request, body.address, body.reason, query, tuple(entities)
    )  # fmt: skip
    return Entry(event, tuple(unreadable))


def _header(data: bytes) -> _Header:
    try:
        header = _decode_header(data)
    except msgspec.MsgspecError:
        raise _malformed() from None
    if header.version != _VERSION:
        raise _malformed()
    return header


def _malformed() -> Problem:
    return Problem(Kind.FAULT, "An audit entry cannot be read.", "not an entry of a known version")
