# SPDX-License-Identifier: Apache-2.0
"""Operations over HTTP: routes from the table, requests to calls, OperationDefinitions to read and search.

https://hl7.org/fhir/R4/operations.html#request
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from salus.fhir import bundle, json
from salus.fhir.bundle import Link
from salus.fhir.capability import PUBLISHED
from salus.fhir.operations.definition import Definition, Level, operation_definition
from salus.fhir.operations.search import matching
from salus.http.fhir_api.graphql import graphql_body
from salus.http.fhir_api.instance import type_of
from salus.http.formats import resource_of
from salus.http.message import FHIR_JSON, JSON, Header, Response, text_of
from salus.http.message import pairs as sent_pairs
from salus.http.negotiate import check_accept, check_content, etag
from salus.http.routes import Call, Handler, Route
from salus.kernel.errors import Kind, Problem
from salus.records.operations.operation import Operation, perform

_ALL = "record:*"
_TYPE = "OperationDefinition"
_FORM = "application/x-www-form-urlencoded"


def routes_of(operations: Sequence[Operation]) -> list[Route]:
    """A route for each way to call each operation; those for one type come before those for all."""
    found = [route for operation in operations for route in _routes(operation)]
    return sorted(found, key=lambda route: "{type}" in route.pattern)


def _routes(operation: Operation) -> Iterator[Route]:
    definition = operation.definition
    methods = ("GET", "POST") if definition.by_get else ("POST",)
    permission = operation.permission or _ALL
    handler = _handler(operation)
    for level in definition.levels:
        for pattern in _patterns(definition, level):
            for method in methods:
                yield Route(method, pattern, permission, handler, f"{definition.title}.")


def _patterns(definition: Definition, level: Level) -> list[str]:
    name = f"${definition.code}"
    if level == "system":
        return [f"/fhir/{name}"]
    types = definition.types or ("{type}",)
    return [f"/fhir/{type_}/{name}" if level == "type" else f"/fhir/{type_}/{{id}}/{name}" for type_ in types]


def _handler(operation: Operation) -> Handler:
    types = operation.definition.types

    async def handle(call: Call) -> Response:
        check_accept(call.request)
        segments = call.segments
        type_ = type_of(call) if "type" in call.path else segments[1] if segments[1] in types else ""
        safe = call.request.method in {"GET", "HEAD"}
        body = None if safe else await (graphql_body(call) if operation.plain else _body(call))
        id_ = call.path.get("id", "")
        result = await perform(call.context, operation, type_, id_, pairs=call.request.query, body=body, safe=safe)
        headers: list[Header] = [(b"etag", etag(result.version))] if result.version else []
        if result.location:
            headers.append((b"location", result.location.encode()))
        return Response(result.status, result.body, JSON if result.plain else FHIR_JSON, headers)

    return handle


async def _body(call: Call) -> dict[str, Any] | None:
    """The resource in the body; None when there is no body, as for an operation without parameters."""
    raw = await call.request.body()
    if not raw:
        return None
    return await resource_of(raw, check_content(call.request))


# ── OperationDefinition ──────────────────────────────────────────────────────────────────────────────────────────────


def list_definitions(operations: Sequence[Operation]) -> Handler:
    """GET /fhir/OperationDefinition, or POST to its _search. Needs no credential and is not audited, as metadata."""

    async def handle(call: Call) -> Response:
        check_accept(call.request)
        pairs = call.request.query
        if call.request.method == "POST":
            check_content(call.request, _FORM)
            pairs = [*pairs, *sent_pairs(text_of(await call.request.body(), "query"), "query")]
        base = call.context.base
        resources = [operation_definition(each.definition, base, PUBLISHED) for each in operations]
        found, applied = matching(resources, pairs, base)
        address = f"{base}/{_TYPE}"
        entries = [(f"{address}/{each['id']}", json.encode(each), "match") for each in found]
        links = [Link("self", f"{address}?{applied}" if applied else address)]
        return Response(200, bundle.searchset(entries, links, len(found)), FHIR_JSON)

    return handle


def read_definition(operations: Sequence[Operation]) -> Handler:
    """GET /fhir/OperationDefinition/{id}."""
    known = {each.definition.id: each.definition for each in operations}

    async def handle(call: Call) -> Response:
        check_accept(call.request)
        definition = known.get(call.path["id"])
        if definition is None:
            raise Problem(Kind.NOT_FOUND, "There is no such operation.")
        return Response(200, json.encode(operation_definition(definition, call.context.base, PUBLISHED)), FHIR_JSON)

    return handle
