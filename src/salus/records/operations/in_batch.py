# SPDX-License-Identifier: Apache-2.0
"""Operations as entries of a batch: GET with a query, POST with a resource.  https://hl7.org/fhir/R4/operations.html

A transaction takes none: what an operation answers may depend on the order of the other entries, and a transaction has
an order of its own.
"""

from __future__ import annotations

from salus.kernel.errors import Issue, Kind, Problem
from salus.records.conditions import pairs_of
from salus.records.context import Context
from salus.records.interactions.answer import Answer
from salus.records.interactions.entry import Entry
from salus.records.operations.operation import perform
from salus.records.operations.table import named


async def operate(ctx: Context, entry: Entry) -> Answer:
    """Carry out the operation that an entry names, as if it had been sent alone.

    Raises:
        Problem: NOT_FOUND when there is no such operation there; METHOD; what the operation raises.
    """
    operation = named(entry.operation, entry.type, entry.id)
    if operation is None or operation.plain:
        raise Problem(Kind.NOT_FOUND, "There is no such operation at this address.", "no operation")
    by_get = operation.definition.by_get
    if entry.method != "POST" and (entry.method != "GET" or not by_get):
        text = f"This operation is called by {'GET or POST' if by_get else 'POST'}."
        raise Problem(Kind.INCORRECT, text, issues=(Issue("not-supported", text, "request.method"),))
    pairs = pairs_of(entry.query, "request.url")
    safe = entry.method == "GET"
    body = None if safe else entry.resource
    result = await perform(ctx, operation, entry.type, entry.id, pairs=pairs, body=body, safe=safe)
    etag = f'W/"{result.version}"' if result.version else ""
    return Answer("200 OK", result.location, etag, body=result.body)
