# SPDX-License-Identifier: Apache-2.0
"""GET and HEAD entries of batch and transaction Bundles: read, vread and search.

https://hl7.org/fhir/R4/http.html#trules
"""

from __future__ import annotations

from salus.access.permissions import Permission
from salus.fhir.outcome import outcome
from salus.kernel.errors import Issue, Kind, Problem
from salus.records.conditions import pairs_of
from salus.records.context import Context
from salus.records.finding import read_query
from salus.records.interactions.answer import Answer
from salus.records.interactions.entry import STATUS, Entry, placed
from salus.records.interactions.read import read, vread
from salus.records.interactions.search import search
from salus.records.store.store import Version


def check_get(ctx: Context, entry: Entry) -> None:
    """Raise the Problem of a GET entry that is not allowed or not understood, before anything else is carried out."""
    if not entry.id:
        permit = ctx.decide(Permission.RECORD_SEARCH, entry.type)
        asked = pairs_of(entry.query, "request.url")
        if not any(name == "_page" for name, _ in asked):
            read_query(ctx, permit, asked)
        return
    ctx.decide(Permission.RECORD_VREAD if _version(entry) else Permission.RECORD_READ, entry.type)


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
    if not entry.id:
        return Answer("200 OK", body=await search(ctx, entry.type, pairs_of(entry.query, "request.url")))
    version = _version(entry)
    if version:
        return _read(entry, await vread(ctx, entry.type, entry.id, version))
    return _read(entry, await read(ctx, entry.type, entry.id))


def _version(entry: Entry) -> str:
    """The version that the address names, or nothing."""
    history, _, version = entry.tail.partition("/")
    if not entry.tail or (history == "_history" and version):
        return version
    text = "A Bundle may read, vread and search."
    raise Problem(Kind.INCORRECT, text, issues=(Issue("not-supported", text, "request.url"),))


def _read(entry: Entry, version: Version) -> Answer:
    etag = f'W/"{version.version}"'
    if _known(entry, version):
        return Answer("304 Not Modified", etag=etag)
    return Answer("200 OK", etag=etag, updated=version.updated, body=version.body)


def _known(entry: Entry, version: Version) -> bool:
    """Whether the client has this version already (RFC 9110 section 13.2.2: the ETag decides if there is one)."""
    if entry.if_none_match:
        named = {part.strip().removeprefix("W/") for part in entry.if_none_match.split(",")}
        return bool(named & {f'"{version.version}"', "*"})
    return entry.if_modified_since is not None and version.updated // 1000 <= entry.if_modified_since // 1000
