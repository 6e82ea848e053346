# SPDX-License-Identifier: Apache-2.0
"""GET entries of batch and transaction Bundles: read, vread and search.  https://hl7.org/fhir/R4/http.html#trules"""

from __future__ import annotations

from salus.fhir.outcome import outcome
from salus.kernel.errors import Issue, Kind, Problem
from salus.records.conditions import pairs_of
from salus.records.context import Context
from salus.records.interactions.entry import Answer, Entry, placed
from salus.records.interactions.read import read, vread
from salus.records.interactions.search import search
from salus.records.store.store import Version

_STATUS = {Kind.NOT_FOUND: "404 Not Found", Kind.GONE: "410 Gone", Kind.FORBIDDEN: "403 Forbidden"}


async def get_in_bundle(ctx: Context, entry: Entry) -> Answer:
    """Answer one GET entry; what is absent, deleted or refused is told in the entry, not by failing the Bundle."""
    try:
        with placed(entry):
            return await _get(ctx, entry)
    except Problem as problem:
        status = _STATUS.get(problem.kind)
        if status is None:
            raise
        return Answer(status, outcome=outcome(problem))


async def _get(ctx: Context, entry: Entry) -> Answer:
    if not entry.id:
        return Answer("200 OK", body=await search(ctx, entry.type, pairs_of(entry.query, "request.url")))
    if not entry.tail:
        return _read(await read(ctx, entry.type, entry.id))
    history, _, version = entry.tail.partition("/")
    if history == "_history" and version:
        return _read(await vread(ctx, entry.type, entry.id, version))
    text = "A Bundle may read, vread and search."
    raise Problem(Kind.INCORRECT, text, issues=(Issue("not-supported", text, "request.url"),))


def _read(version: Version) -> Answer:
    return Answer("200 OK", etag=f'W/"{version.version}"', updated=version.updated, body=version.body)
