# SPDX-License-Identifier: Apache-2.0
"""GET and HEAD entries of batch and transaction Bundles: read, vread and search.

https://hl7.org/fhir/R4/http.html#trules
"""

from __future__ import annotations

from salus.access.permissions import Permission
from salus.fhir.definitions import resource_types
from salus.fhir.outcome import outcome
from salus.fhir.search.clauses import Query
from salus.kernel.errors import Issue, Kind, Problem
from salus.records import partial
from salus.records.conditions import pairs_of
from salus.records.context import Context
from salus.records.interactions.answer import Answer
from salus.records.interactions.entry import STATUS, Entry, placed
from salus.records.interactions.read import read, vread
from salus.records.interactions.search import search, search_compartment, search_system
from salus.records.scope import ALL_TYPES, Scope, compartment_scope, parts_of, permits_of, system_scope, type_scope
from salus.records.store.store import Version

_INNER = {*resource_types(), ALL_TYPES}
"""What may follow the id in the address of a compartment."""


def check_get(ctx: Context, entry: Entry) -> None:
    """Raise the Problem of a GET entry that is not allowed or not understood, before anything else is carried out."""
    scope, asked = _searched(entry)
    if scope is not None:
        permits = permits_of(ctx, scope)
        if not any(name == "_page" for name, _ in asked):
            parts_of(ctx, scope, permits, asked, lenient=False)
        return
    ctx.decide(Permission.RECORD_VREAD if _version(entry) else Permission.RECORD_READ, entry.type)


def _searched(entry: Entry) -> tuple[Scope | None, list[tuple[str, str]]]:
    """Where an entry searches and what it asks; None when it reads a record."""
    if entry.id and entry.tail not in _INNER:
        return None, []
    asked = pairs_of(entry.query, "request.url")
    if not entry.type:
        return system_scope(asked)
    return (compartment_scope(entry.type, entry.id, entry.tail) if entry.id else type_scope(entry.type)), asked


async def get_in_bundle(ctx: Context, entry: Entry) -> Answer:
    """Answer one GET entry; what is absent, deleted or refused is told there, not by failing the Bundle."""
    try:
        with placed(entry):
            found = await _get(ctx, entry)
    except Problem as problem:
        status = STATUS.get(problem.kind)
        if status is None:
            raise
        return Answer(status, outcome=outcome(problem))
    if entry.method == "HEAD":  # https://hl7.org/fhir/R4/http.html#head
        found.body = b""
    return found


async def _get(ctx: Context, entry: Entry) -> Answer:
    if _searched(entry)[0] is not None:
        return Answer("200 OK", body=await _search(ctx, entry, pairs_of(entry.query, "request.url")))
    asked = partial.wanted(entry.type, pairs_of(entry.query, "request.url")) if entry.query else None
    version = _version(entry)
    if version:
        return _read(entry, await vread(ctx, entry.type, entry.id, version), asked)
    return _read(entry, await read(ctx, entry.type, entry.id), asked)


async def _search(ctx: Context, entry: Entry, asked: list[tuple[str, str]]) -> bytes:
    if not entry.type:
        return await search_system(ctx, asked)
    if entry.id:
        return await search_compartment(ctx, (entry.type, entry.id), entry.tail, asked)
    return await search(ctx, entry.type, asked)


def _version(entry: Entry) -> str:
    """The version that the address names, or nothing."""
    history, _, version = entry.tail.partition("/")
    special = entry.id[:1] == "_"  # never an id: the history of a type
    if not special and (not entry.tail or (history == "_history" and version)):
        return version
    text = "A Bundle may read, vread and search."
    raise Problem(Kind.INCORRECT, text, issues=(Issue("not-supported", text, "request.url"),))


def _read(entry: Entry, version: Version, asked: Query | None) -> Answer:
    etag = f'W/"{version.version}"'
    if _known(entry, version):
        return Answer("304 Not Modified", etag=etag)
    return Answer("200 OK", etag=etag, updated=version.updated, body=partial.shown(asked, version.body))


def _known(entry: Entry, version: Version) -> bool:
    """Whether the client has this version already (RFC 9110 section 13.2.2: the ETag decides if there is one)."""
    if entry.if_none_match:
        named = {part.strip().removeprefix("W/") for part in entry.if_none_match.split(",")}
        return bool(named & {f'"{version.version}"', "*"})
    return entry.if_modified_since is not None and version.updated // 1000 <= entry.if_modified_since // 1000
