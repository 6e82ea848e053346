# SPDX-License-Identifier: Apache-2.0
"""The embedded store as the interactions see it: find, open, seal.

Needs a `Permit` to find anything, opens only what a permit found, and applies the permit's element mask while opening.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from hmac import compare_digest
from typing import Any

import msgspec

from salus.access.facts import SURROGATE, Facts
from salus.access.permissions import Permission
from salus.access.permit import Permit
from salus.audit.event import Action, Entity
from salus.crypto.blind_index import BlindIndex
from salus.crypto.keyring import Keyring, TenantKeys
from salus.fhir import json
from salus.kernel.clock import instant
from salus.kernel.db import Connection
from salus.kernel.errors import Kind, Problem
from salus.records.store import codec
from salus.records.store.content import Opening, Place, Sealing
from salus.records.store.contents import Contents
from salus.records.store.covering import Covering
from salus.records.store.defined import State
from salus.records.store.read import OPEN_SPAN, Reader, Span, facts_of
from salus.records.store.registries import Registries
from salus.records.store.schema import Row
from salus.records.store.together import Together
from salus.records.store.write import Change

SUBSETTED = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"}


class Version(msgspec.Struct, frozen=True):
    """One version of a record, opened.

    Attributes:
        body: the resource as compact JSON, masked as the permit demands; empty for a deletion.
    """

    type: str
    id: str
    version: int
    updated: int
    deleted: bool
    method: str
    body: bytes


class Store:
    """One process' view of the embedded store.

    Args:
        base: FHIR base address of a tenant.
        again: opens another connection to the same records.
    """

    def __init__(
        self, db: Connection, keyring: Keyring, base: Callable[[str], str], again: Callable[[], Connection]
    ) -> None:
        self.reader = Reader(db, self)
        self._keyring = keyring
        self._together = Together(self.reader, self.rid)
        self.registries = Registries(db, self.keys)
        self._covering = Covering(self.keys, self.registries, base)
        self.contents = Contents(db)
        self._base = base
        self._again = again
        self._aside: tuple[Connection, Store] | None = None

    def aside(self) -> Store:
        """The same records over a connection of its own, for reading that lets others in between.

        Raises:
            Problem: UNAVAILABLE when it cannot be opened, because its key is away.
        """
        if self._aside is None:
            connection = self._again()
            self._aside = connection, Store(connection, self._keyring, self._base, self._again)
        return self._aside[1]

    def close(self) -> None:
        """Let go of that connection; the first one belongs to who opened it."""
        if self._aside is not None:
            self._aside[0].close()
            self._aside = None

    def keys(self, tenant: str) -> TenantKeys:
        """The keys of a tenant, for surrogates, tokens and sealing."""
        return self._keyring.tenant(tenant)

    def warming(self, tenant: str) -> Future[None] | None:
        """What to wait for before the keys of a tenant can be used; None when they are at hand."""
        return self._keyring.warming(tenant)

    def index(self, tenant: str) -> BlindIndex:
        """The blind index that searches of a tenant ask now."""
        return self.keys(tenant).index(self.registries.of(tenant)[0].key)

    def indexes(self, tenant: str, now: State) -> list[BlindIndex]:
        """The blind indexes that a record is to be found in, in this state of the tenant's index."""
        keys = self.keys(tenant)
        return [keys.index(number) for number in (now.key, now.beside) if number]

    def has_tenant(self, tenant: str) -> bool:
        """Whether there is such a tenant."""
        return tenant in self._keyring.tenants()

    def rid(self, tenant: str, type_: str, id_: str) -> bytes:
        """The surrogate under which a record lies: ids never stand in a row."""
        return self.keys(tenant).surrogate("record", f"{type_}/{id_}")

    def mark(self, tenant: str, owner: bytes) -> bytes:
        """What proves that a patient was erased, and not only that somebody emptied rows."""
        mac = self.keys(tenant).mac("erased").copy()
        mac.update(owner)
        return mac.finalize()

    # ── find ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def newest(self, permit: Permit, id_: str) -> Row | None:
        """The newest version of `permit.type`/`id_` (a deletion included), or None when absent or hidden."""
        return self.reader.newest(permit, self.rid(permit.actor.tenant, permit.type, id_))

    def newest_soon(self, permit: Permit, id_: str) -> asyncio.Future[Row | None]:
        """The same as `newest`, found together with what other requests want."""
        return self._together.newest(permit, id_)

    def version(self, permit: Permit, id_: str, version: int) -> Row | None:
        """One version, or None when absent or hidden."""
        return self.reader.version(permit, self.rid(permit.actor.tenant, permit.type, id_), version)

    def history(
        self, permit: Permit, id_: str | None, *, before: int | None, since: int | None, at: Span = OPEN_SPAN
    ) -> Iterator[Row]:
        """Versions of one record, or of the type when `id_` is None; newest first."""
        rid = None if id_ is None else self.rid(permit.actor.tenant, permit.type, id_)
        return self.reader.history(permit, rid=rid, before=before, since=since, at=at)

    def taken(self, permit: Permit, id_: str) -> bool:
        """Whether an id is in use, by a record that the actor may see or not; for whoever wants to make it theirs."""
        return self.reader.taken(permit.actor.tenant, self.rid(permit.actor.tenant, permit.type, id_))

    # ── judge ────────────────────────────────────────────────────────────────────────────────────────────────────

    def covers(self, permit: Permit, facts: Facts, resource: dict[str, Any]) -> bool:
        """Whether a permit covers a record by its facts and its content; before a change ask for both images."""
        return permit.allows(facts) and self._covering.holds(permit, facts, resource)

    def within(self, permit: Permit, row: Row) -> bool:
        """Whether the content of a row lies within a permit with `extents`; not when its patient was erased."""
        try:
            plain = self._plain(permit.actor.tenant, row)
        except Problem as problem:
            if problem.kind is not Kind.GONE:
                raise
            return False
        return self._covering.holds(permit, facts_of(row), json.decode(plain))

    def narrowing(self, permit: Permit) -> tuple[str, bool]:
        """What the index can say of a permit with `extents`, see `Covering.narrowing`."""
        return self._covering.narrowing(permit)

    # ── open ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def open(self, permit: Permit, row: Row) -> Version:
        """Open a row that this permit found, masked as the permit demands.

        Raises:
            Problem: FAULT when the row was tampered with, GONE when its patient was erased.
        """
        return self._version(permit, row, self._plain(permit.actor.tenant, row))

    def open_with_content(self, permit: Permit, row: Row) -> tuple[Version, dict[str, Any]]:
        """Open a row and decode it, without the mask, so that a search can judge it; raises as `open`."""
        plain = self._plain(permit.actor.tenant, row)
        return self._version(permit, row, plain), json.decode(plain)

    def intact(self, permit: Permit, row: Row) -> bool:
        """Whether a row is what its sealed content says, or was emptied by an erasure; for whoever may verify."""
        _may_verify(permit)
        try:
            resource = json.decode(self._plain(permit.actor.tenant, row))
        except Problem as problem:
            if problem.kind is Kind.UNAVAILABLE:
                raise
            return problem.kind is Kind.GONE
        if row.deleted:
            return row.method == "DELETE"
        meta = resource.get("meta", {})
        said = (meta.get("versionId"), meta.get("lastUpdated"))
        return said == (str(row.version), instant(row.updated)) and row.method != "DELETE"

    def _version(self, permit: Permit, row: Row, plain: bytes) -> Version:
        id_ = _id_of(plain, row.type)
        if row.deleted:
            plain = b""
        elif permit.masked:
            hidden = permit.mask(facts_of(row))
            if hidden:
                plain = json.encode(_masked(json.decode(plain), hidden))
        return Version(row.type, id_, row.version, row.updated, bool(row.deleted), row.method, plain)

    def _plain(self, tenant: str, row: Row) -> bytes:
        keys = self.keys(tenant)
        if not row.body and compare_digest(self.reader.erased(tenant, row.owners), self.mark(tenant, row.owners)):
            raise Problem(Kind.GONE, "This record was erased.", "its patient was erased")
        key = keys.opening_key(_key_owner(row.owners), row.type, row.body)
        facts = (row.owners, row.author, row.labels, row.sensitivity, row.rank)
        return codec.open_body(key, row.body, codec.context(tenant, row.rid, row.type, row.version, row.deleted, facts))

    def open_content(self, permit: Permit, rid: bytes, owners: bytes, name: bytes) -> Opening | None:
        """Open the head of a record's content; None when the record never had one of this name.

        Raises:
            Problem: FAULT when it was changed or lies under another's key; GONE when its patient was erased.
        """
        tenant = permit.actor.tenant
        heads = self.contents.head(permit, rid, name)
        if heads is None:
            return None
        owner = _key_owner(owners)
        key = self.keys(tenant).opening_key(owner, permit.type, heads[0])
        return Opening(key, Place(tenant, owner or b"", rid, name), *heads)

    def chunks_of(self, permit: Permit, rid: bytes, owners: bytes, name: bytes) -> int | None:
        """How many chunks a content has by its head, None when that does not open; for whoever may verify."""
        _may_verify(permit)
        tenant, owner = permit.actor.tenant, _key_owner(owners)
        heads = self.contents.head(permit, rid, name)
        if heads is None:
            return None
        try:
            key = self.keys(tenant).opening_key(owner, "Binary", heads[0])
            return Opening(key, Place(tenant, owner or b"", rid, name), *heads).last + 1
        except Problem as problem:
            if problem.kind is Kind.UNAVAILABLE:
                raise
            return None

    # ── seal ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def seal(
        self,
        tenant: str,
        *,
        type_: str,
        id_: str,
        packed: bytes,
        facts: Facts,
        terms: str,
        version: int,
        base: int | None,
        method: str,
        updated: int,
        indexed: int,
        deleted: bool = False,
    ) -> Change:
        """Make the row of a new version.

        Args:
            packed: the resource, complete with id and meta, as `codec.packed` gives it; for a deletion only
                resourceType and id.
            facts: what access will judge the row by.
            terms: blind tokens, separated by spaces.
            base: the version it follows, see `Change`.
            indexed: stamp of the definitions that the tokens were made with.
        """
        keys = self.keys(tenant)
        rid = keys.surrogate("record", f"{type_}/{id_}")
        key = keys.record_key(_key_owner(facts.owners), type_, create=True)
        flag = int(deleted)
        stamp = (facts.owners, facts.author, facts.labels, facts.sensitivity, facts.rank)
        body = key.seal(packed, codec.context(tenant, rid, type_, version, flag, stamp))
        return Change(tenant, rid, type_, version, base, flag, method, updated, *stamp, body, terms, indexed)

    def place(self, tenant: str, rid: bytes, owners: bytes, name: bytes) -> Place:
        """Where a new content of a record will lie."""
        return Place(tenant, _key_owner(owners) or b"", rid, name)

    def seal_head(self, sealing: Sealing, type_: str, size: int, sha256: bytes) -> bytes:
        """Seal the head of a content whose chunks are sealed; its record's key must be there."""
        place = sealing.place
        return sealing.head(self.keys(place.tenant).record_key(place.owner or None, type_), size, sha256)


def entities(owners: bytes, type_: str, id_: str, version: int, action: Action) -> tuple[Entity, ...]:
    """What the audit log says about a touched record: one entity for each patient concerned, or one without."""
    if len(owners) <= SURROGATE:
        return (Entity(owners, type_, id_, version, action),)
    return tuple(
        Entity(owners[at : at + SURROGATE], type_, id_, version, action) for at in range(0, len(owners), SURROGATE)
    )


def _may_verify(permit: Permit) -> None:
    if permit.permission is not Permission.AUDIT_VERIFY:
        raise Problem(Kind.FAULT, "The permit is for something else.", str(permit.permission))


def _key_owner(owners: bytes) -> bytes | None:
    """The patient under whose key a record lies: exactly one owner, else none (the type's key is used)."""
    return owners if len(owners) == SURROGATE else None


def _id_of(plain: bytes, type_: str) -> str:
    start = len(type_) + 25  # {"resourceType":"<type>","id":"   as `Version` bodies are always written
    return plain[start : plain.index(b'"', start)].decode()


def _masked(resource: dict[str, Any], hidden: frozenset[str]) -> dict[str, Any]:
    """Drop elements, the narrative with them, and say so (https://hl7.org/fhir/R4/resource.html#simple-tags)."""
    kept = {
        name: value
        for name, value in resource.items()
        if name.lstrip("_") not in hidden and name not in {"text", "contained"}
    }
    meta = dict(kept.get("meta", {}))
    meta["tag"] = [*meta.get("tag", ()), SUBSETTED]
    kept["meta"] = meta
    return kept
