# SPDX-License-Identifier: Apache-2.0
"""The bodies that `$graphql` takes: a query as text, GraphQL's JSON, or `Parameters`.

https://hl7.org/fhir/R4/graphql.html  https://graphql.github.io/graphql-over-http/draft/#sec-Request
"""

from __future__ import annotations

from typing import Any

from salus.fhir import json
from salus.http.formats import resource_of
from salus.http.message import text_of
from salus.http.negotiate import check_content
from salus.http.routes import Call
from salus.kernel.errors import Issue, Kind, Problem

_TEXT = "application/graphql"


async def graphql_body(call: Call) -> dict[str, Any] | None:
    """The body as `Parameters`; None when there is none and the query stands in the address.

    Raises:
        Problem: FORMAT; INCORRECT for JSON that is neither a GraphQL request nor `Parameters`.
    """
    raw = await call.request.body()
    if not raw:
        return None
    media = check_content(call.request, _TEXT)
    if media == _TEXT:
        return _parameters({"query": text_of(raw, "query")})
    sent = await resource_of(raw, media)
    if "resourceType" in sent:
        return sent
    variables = sent.get("variables")
    if unknown := sent.keys() - {"query", "operationName", "variables", "extensions"}:
        raise _wrong(f"{len(unknown)} members of the request are not known.", "query")
    if not isinstance(sent.get("query"), str) or not isinstance(variables, dict | None):
        raise _wrong("A GraphQL request has a text `query` and an object `variables`.", "query")
    named = sent.get("operationName")
    return _parameters(
        {
            "query": sent["query"],
            "operationName": named,
            "variables": json.encode(variables).decode() if variables else None,
        }
    )


def _parameters(values: dict[str, Any]) -> dict[str, Any]:
    given = [{"name": name, "valueString": value} for name, value in values.items() if value is not None]
    return {"resourceType": "Parameters", "parameter": given}


def _wrong(text: str, place: str) -> Problem:
    return Problem(Kind.INCORRECT, text, issues=(Issue("structure", text, place),))
