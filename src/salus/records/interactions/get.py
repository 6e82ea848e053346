# SPDX-License-Identifier: Apache-2.0
"""GET entries of batch and transaction Bundles: read, vread and search.  https://hl7.org/fhir/R4/http.html#trules"""

from __future__ import annotations

from salus.access.permissions import Permission
from salus.fhir.outcome import outcome
from salus.kernel.errors import Issue, Kind, Problem
from salus.records.conditions import pairs_of
from salus.records.context import Context
from salus.records.finding import read_query
from salus.records.interactions.entry import STATUS, Answer, Entry, placed
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
            return await _get(ctx, entry)
    except Problem as problem:
        status = STATUS.get(problem.kind)
        if status is None:
            raise
        return Answer(status, outcome=outcome(problem))


async def _get(ctx: Context, entry: Entry) -> Answer:
    if not entry.id:
        return Answer("200 OK", body=await search(ctx, entry.type, pairs_of(entry.query, "request.url")))
    version = _version(entry)
    if version:
        return _read(await vread(ctx, entry.type, entry.id, version))
    return _read(await read(ctx, entry.type, entry.id))


def _version(entry: Entry) -> str:
    """The version that the address names, or nothing."""
    history, _, version = entry.tail.partition("/")
    if not entry.tail or (history == "_history" and version):
        return version
    text = "A Bundle may read, vread and search."
    raise Problem(Kind.INCORRECT, text, issues=(Issue("not-supported", text, "request.url"),))


def _read(version: Version) -> Answer:
    return Answer("200 OK", etag=f'W/"{version.version}"', updated=version.updated, body=version.body)
