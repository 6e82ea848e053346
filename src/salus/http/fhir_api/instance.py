# SPDX-License-Identifier: Apache-2.0
"""One record: read, vread, update, delete.  https://hl7.org/fhir/R4/http.html"""

from __future__ import annotations

from typing import Any

from salus.fhir import json
from salus.fhir.definitions import resource_types
from salus.http.message import FHIR_JSON, Header, Response
from salus.http.negotiate import Preferences, check_accept, check_content, etag, not_modified, shown
from salus.http.routes import Call
from salus.kernel.clock import http_date
from salus.kernel.errors import Kind, Problem
from salus.records.interactions import delete as deleting
from salus.records.interactions import read as reading
from salus.records.interactions import update as updating
from salus.records.interactions.entry import parse_etag
from salus.records.store.store import Version

_TYPES = frozenset(resource_types())


def type_of(call: Call) -> str:
    """The resource type in the address.

    Raises:
        Problem: NOT_FOUND for a name that R4 does not have.
    """
    type_ = call.path["type"]
    if type_ not in _TYPES:
        raise Problem(Kind.NOT_FOUND, "FHIR R4 has no resource type of this name.", "unknown type")
    return type_


async def resource_of(call: Call) -> dict[str, Any]:
    """The resource in the body, strictly decoded."""
    check_content(call.request)
    return json.decode(await call.request.body())


def version_headers(version: Version) -> list[Header]:
    """ETag and Last-Modified of a version."""
    return [(b"etag", etag(version.version)), (b"last-modified", http_date(version.updated).encode())]


def written(call: Call, version: Version, *, made: bool) -> Response:
    """The answer to a create or update, as `Prefer: return` asks (https://hl7.org/fhir/R4/http.html#ops)."""
    headers = version_headers(version)
    place = f"{call.context.base}/{version.type}/{version.id}/_history/{version.version}"
    headers.append((b"location", place.encode()))
    body = shown(Preferences.of(call.request), version.body)
    return Response(201 if made else 200, body, FHIR_JSON, headers)


def if_match(call: Call) -> int | None:
    """The version in `If-Match`, if there is one."""
    header = call.request.header(b"if-match")
    return parse_etag(header, "http.If-Match") if header else None


async def read(call: Call) -> Response:
    """GET /fhir/{type}/{id}."""
    check_accept(call.request)
    version = await reading.read(call.context, type_of(call), call.path["id"])
    return _conditional(call, version)


async def vread(call: Call) -> Response:
    """GET /fhir/{type}/{id}/_history/{vid}."""
    check_accept(call.request)
    version = await reading.vread(call.context, type_of(call), call.path["id"], call.path["vid"])
    return _conditional(call, version)


def _conditional(call: Call, version: Version) -> Response:
    known = call.request.headers.get(b"if-none-match")
    if known is not None:  # compared weakly, as RFC 9110 section 13.1.2 says
        named = {part.strip().removeprefix(b"W/") for part in known.split(b",")}
        if named & {etag(version.version).removeprefix(b"W/"), b"*"}:
            return not_modified(version.version)
    return Response(200, version.body, FHIR_JSON, version_headers(version))


async def update(call: Call) -> Response:
    """PUT /fhir/{type}/{id}."""
    check_accept(call.request)
    resource = await resource_of(call)
    version, made = await updating.update(call.context, type_of(call), call.path["id"], resource, if_match(call))
    return written(call, version, made=made)


async def delete(call: Call) -> Response:
    """DELETE /fhir/{type}/{id}."""
    version = await deleting.delete(call.context, type_of(call), call.path["id"], if_match(call))
    return Response(204, headers=[(b"etag", etag(version.version))] if version else [])
