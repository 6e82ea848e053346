# SPDX-License-Identifier: Apache-2.0
"""A read of a part of a record: `_summary` and `_elements` (https://hl7.org/fhir/R4/http.html#parameters)."""

from __future__ import annotations

from collections.abc import Sequence

from salus.fhir import json
from salus.fhir.search.clauses import Query
from salus.fhir.search.query import parse
from salus.kernel.errors import Issue, Kind, Problem
from salus.records.searchset import part

_NAMES = ("_summary", "_elements")


def wanted(type_: str, asked: Sequence[tuple[str, str]]) -> Query | None:
    """What a read asks for; None for the whole record.

    Args:
        asked: the parameters of the address; others than the two are passed over.

    Raises:
        Problem: INCORRECT with the place.
    """
    pairs = [(name, text) for name, text in asked if name in _NAMES]
    if not pairs:
        return None
    query = parse(type_, pairs)
    if query.summary == "count":
        text = "`_summary` count is for searches."
        raise Problem(Kind.INCORRECT, text, issues=(Issue("invalid", text, "query._summary"),))
    return query


def shown(query: Query | None, body: bytes) -> bytes:
    """The part of a record that was asked for, tagged SUBSETTED; all of it where nothing was asked."""
    return body if query is None else part(query, json.decode(body), matched=True) or body
