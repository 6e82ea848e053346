# SPDX-License-Identifier: Apache-2.0
"""One record: read, vread, update, patch, delete.  https://hl7.org/fhir/R4/http.html"""

from __future__ import annotations

from collections.abc import Sequence

from salus.fhir import json
from salus.fhir.definitions import resource_types
from salus.fhir.patch import JSON_PATCH, MERGE_PATCH, Patch, of_json, of_merge, of_parameters
from salus.fhir.search.clauses import Query
from salus.http.formats import resource_in, resource_of
from salus.http.message import FHIR_JSON, Header, Request, Response
from salus.http.negotiate import Preferences, check_accept, check_content, etag, is_fhir, not_modified
from salus.http.routes import Call
from salus.kernel.clock import http_date, parse_http_date
from salus.kernel.errors import Kind, Problem
from salus.records import partial
from salus.records.interactions import delete as deleting
from salus.records.interactions import patch as patching
from salus.records.interactions import read as reading
from salus.records.interactions import update as updating
from salus.records.interactions.answer import told, told_deleted
from salus.records.interactions.entry import expected, parse_etag
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


async def patch_of(call: Call) -> Patch:
    """The patch in the body, by its media type; JSON that is not said to be of FHIR is told by what it holds.

    Some clients (fhirpy) send the elements to change as `application/json`, which can only be meant as a merge patch.
    """
    media = check_content(call.request, JSON_PATCH, MERGE_PATCH)
    raw = await call.request.body()
    if media == JSON_PATCH:
        return of_json(raw)
    if media == MERGE_PATCH:
        return of_merge(json.decode_any(raw))
    resource = await resource_of(raw, media)
    plain = media == "json" and is_fhir(call.request.header(b"content-type")) != "yes"
    return of_merge(resource) if plain and resource.get("resourceType") != "Parameters" else of_parameters(resource)


def version_headers(version: Version) -> list[Header]:
    """ETag and Last-Modified of a version."""
    return [(b"etag", etag(version.version)), (b"last-modified", http_date(version.updated).encode())]


def written(call: Call, version: Version, *, made: bool) -> Response:
    """The answer to a create or update, as `Prefer: return` asks (https://hl7.org/fhir/R4/http.html#ops)."""
    headers = version_headers(version)
    place = f"{call.context.base}/{version.type}/{version.id}/_history/{version.version}"
    headers.append((b"location", place.encode()))
    status = 201 if made else 200
    returns = Preferences.of(call.request).returns
    if returns == "OperationOutcome":
        body = json.encode(told(version, made=made))
    else:
        body = b"" if returns == "minimal" else version.body
    return Response(status, body, FHIR_JSON, headers)


def deleted(call: Call, versions: Sequence[Version]) -> Response:
    """The answer to a delete: nothing, or the OperationOutcome that `Prefer` asks for."""
    headers = [(b"etag", etag(versions[0].version))] if len(versions) == 1 else []
    if Preferences.of(call.request).returns == "OperationOutcome":
        return Response(200, json.encode(told_deleted(len(versions))), FHIR_JSON, headers)
    return Response(204, headers=headers)


def if_match(call: Call) -> int | None:
    """The version in `If-Match`, if there is one."""
    header = call.request.header(b"if-match")
    return parse_etag(header, "http.If-Match") if header else None


def update_expects(call: Call) -> int | None:
    """What an update expects to find: `If-Match`, or `If-None-Match: *` for nothing."""
    match, none = call.request.header(b"if-match"), call.request.header(b"if-none-match")
    return expected(match, none, "http.If-Match", "http.If-None-Match")


async def read(call: Call) -> Response:
    """GET /fhir/{type}/{id}."""
    check_accept(call.request)
    type_, asked = type_of(call), _part_asked(call)
    version = await reading.read(call.context, type_, call.path["id"])
    return _conditional(call, version, asked)


async def vread(call: Call) -> Response:
    """GET /fhir/{type}/{id}/_history/{vid}."""
    check_accept(call.request)
    type_, asked = type_of(call), _part_asked(call)
    version = await reading.vread(call.context, type_, call.path["id"], call.path["vid"])
    return _conditional(call, version, asked)


def _part_asked(call: Call) -> Query | None:
    request = call.request
    return partial.wanted(call.path["type"], request.query) if request.raw_query else None


def unchanged(request: Request, version: Version) -> Response | None:
    """304 when the client has this version already."""
    known = request.headers.get(b"if-none-match")
    if known is not None:  # compared weakly, as RFC 9110 section 13.1.2 says
        named = {part.strip().removeprefix(b"W/") for part in known.split(b",")}
        if named & {etag(version.version).removeprefix(b"W/"), b"*"}:
            return not_modified(version.version)
    else:  # the ETag decides alone when there is one (RFC 9110 section 13.2.2)
        since = parse_http_date(request.header(b"if-modified-since"))
        if since is not None and version.updated // 1000 <= since:
            return not_modified(version.version)
    return None


def _conditional(call: Call, version: Version, asked: Query | None) -> Response:
    same = unchanged(call.request, version)
    return same or Response(200, partial.shown(asked, version.body), FHIR_JSON, version_headers(version))


async def update(call: Call) -> Response:
    """PUT /fhir/{type}/{id}."""
    check_accept(call.request)
    resource = await resource_in(call.request)
    version, made = await updating.update(call.context, type_of(call), call.path["id"], resource, update_expects(call))
    return written(call, version, made=made)


async def patch(call: Call) -> Response:
    """PATCH /fhir/{type}/{id}."""
    check_accept(call.request)
    change = await patch_of(call)
    version = await patching.patch(call.context, type_of(call), call.path["id"], change, if_match(call))
    return written(call, version, made=False)


async def delete(call: Call) -> Response:
    """DELETE /fhir/{type}/{id}."""
    check_accept(call.request)
    version = await deleting.delete(call.context, type_of(call), call.path["id"], if_match(call))
    return deleted(call, [version] if version else [])
