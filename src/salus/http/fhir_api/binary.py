# SPDX-License-Identifier: Apache-2.0
"""Binary: content of any type, as it is.  https://hl7.org/fhir/R4/binary.html#rest

A body in a media type of FHIR is a resource; every other body is content. Reads give the content unless FHIR is asked
for. Nothing that somebody uploaded is ever shown by a browser in the name of this server: contents are attachments, of
the type that was declared, in a sandbox.
"""

from __future__ import annotations

import base64
import re
from collections.abc import AsyncIterator
from typing import Any

from salus.access.permissions import Permission
from salus.http import ranges
from salus.http.errors import problem_response
from salus.http.fhir_api import instance, type_level
from salus.http.fhir_api.instance import unchanged, update_expects, version_headers, written
from salus.http.message import FHIR_JSON, Header, Request, Response
from salus.http.negotiate import asks_for_fhir, check_accept, is_fhir
from salus.http.routes import Call
from salus.kernel.clock import parse_http_date
from salus.kernel.errors import Issue, Kind, Problem
from salus.records.interactions import create as creating
from salus.records.interactions import read as reading
from salus.records.interactions import update as updating
from salus.records.interactions import upload
from salus.records.interactions.content import DEFAULT_TYPE, Content, content_of
from salus.records.security_context import BINARY
from salus.records.store.content import CHUNK
from salus.records.store.store import Version

_WORD = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"
_MEDIA = re.compile(rf'{_WORD}/{_WORD}(?: ?; ?{_WORD}=(?:{_WORD}|"[\x20!#-\[\]-~]*"))*')  # RFC 9110 section 8.3.1
_ATTACHED: tuple[Header, ...] = (
    (b"content-disposition", b"attachment"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'; sandbox"),
    (b"accept-ranges", b"bytes"),
)


async def create(call: Call) -> Response:
    """POST /fhir/Binary."""
    if await _is_resource(call.request):
        return await type_level.create(_of_all(call))
    _accept(call.request)
    if call.request.header(b"if-none-exist"):
        text = "If-None-Exist goes with a Binary in FHIR's own formats only."
        raise Problem(Kind.INCORRECT, text, issues=(Issue("not-supported", text, "http.If-None-Exist"),))
    resource, whole, pieces = await _content_in(call)
    if whole:
        version, _ = await creating.create(call.context, BINARY, resource)
    else:
        version = await upload.create(call.context, resource, pieces)
    return written(call, version, made=True)


async def update(call: Call) -> Response:
    """PUT /fhir/Binary/{id}."""
    if await _is_resource(call.request):
        return await instance.update(_of_all(call))
    _accept(call.request)
    id_ = call.path["id"]
    resource, whole, pieces = await _content_in(call)
    resource = {"resourceType": BINARY, "id": id_, **resource}
    if whole:
        version, made = await updating.update(call.context, BINARY, id_, resource, update_expects(call))
    else:
        version, made = await upload.update(call.context, id_, resource, pieces, update_expects(call))
    return written(call, version, made=made)


async def read(call: Call) -> Response:
    """GET /fhir/Binary/{id}."""
    _accept(call.request)
    version = await reading.read(call.context, BINARY, call.path["id"])
    return await _shown(call, version, Permission.RECORD_READ)


async def vread(call: Call) -> Response:
    """GET /fhir/Binary/{id}/_history/{vid}."""
    _accept(call.request)
    version = await reading.vread(call.context, BINARY, call.path["id"], call.path["vid"])
    return await _shown(call, version, Permission.RECORD_VREAD)


def _of_all(call: Call) -> Call:
    """The call as the routes of all types know it."""
    call.path["type"] = BINARY
    return call


# ── in ───────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def _is_resource(request: Request) -> bool:
    """Whether the body is a resource: by its type, or, under a type of JSON or XML in general, by how it begins."""
    kind = is_fhir(request.header(b"content-type"))
    if kind != "perhaps":
        return kind == "yes"
    start = (await request.start(512)).lstrip(b"\xef\xbb\xbf \t\r\n")
    return (
        re.match(rb'\{\s*"resourceType"\s*:\s*"|<(?:\?xml[^>]*>\s*<)?[A-Z]\w* [^>]*http://hl7\.org/fhir', start)
        is not None
    )


async def _content_in(call: Call) -> tuple[dict[str, Any], bool, AsyncIterator[bytes]]:
    """The Binary as the headers tell it; with its content if that is small.

    Returns:
        The resource, whether it is complete, and the pieces of its content if it is not.

    Raises:
        Problem: FORMAT without a usable media type; TOO_LARGE; INCORRECT.
    """
    request = call.request
    resource: dict[str, Any] = {"resourceType": BINARY, "contentType": _media(request)}
    context = request.header(b"x-security-context").strip()
    if context:
        resource["securityContext"] = {"reference": context}
    pieces = _regrouped(request.pieces(call.context.services.limits.content_bytes))
    first = await anext(pieces, b"")
    if len(first) == CHUNK:
        return resource, False, _again(first, pieces)
    if first:
        resource["data"] = base64.b64encode(first).decode()
    return resource, True, pieces


def _media(request: Request) -> str:
    declared = " ".join(request.header(b"content-type").split())
    if not declared:
        return DEFAULT_TYPE
    if len(declared) > 200 or _MEDIA.fullmatch(declared) is None:
        text = "Content-Type must be a media type, such as image/png."
        raise Problem(Kind.FORMAT, text, issues=(Issue("value", text, "http.Content-Type"),))
    return declared


async def _regrouped(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Pieces as they came from the network, made `CHUNK` long; the last may be shorter."""
    waiting = bytearray()
    async for piece in pieces:
        waiting += piece
        while len(waiting) >= CHUNK:
            yield bytes(waiting[:CHUNK])
            del waiting[:CHUNK]
    if waiting:
        yield bytes(waiting)


async def _again(first: bytes, others: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for piece in others:
        yield piece


# ── out ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _accept(request: Request) -> None:
    """Settle the form of a resource in the answer; any other type that is asked for is the content's business."""
    if asks_for_fhir(request):
        check_accept(request)


async def _shown(call: Call, version: Version, permission: Permission) -> Response:
    request = call.request
    fhir = asks_for_fhir(request)
    headers = version_headers(version)
    headers.append((b"vary", b"accept"))
    same = unchanged(request, version)
    if same is not None:
        return same
    content = content_of(call.context, version, permission)
    if fhir:
        small = content.size <= call.context.services.limits.body_bytes
        body = await content.resource() if content.apart and small else version.body
        return Response(200, body, FHIR_JSON, headers)
    headers += [*_ATTACHED, (b"repr-digest", b"sha-256=:" + base64.b64encode(content.sha256) + b":")]
    return _raw(request, content, version, headers)


def _raw(request: Request, content: Content, version: Version, headers: list[Header]) -> Response:
    try:
        part = ranges.asked(request.header(b"range"), content.size) if _range_holds(request, version) else None
    except ValueError:
        response = problem_response(ranges.unsatisfiable())
        response.status = 416
        response.headers.append((b"content-range", b"bytes */%d" % content.size))
        return response
    start, end = part or (0, content.size)
    if part is not None:
        headers.append((b"content-range", b"bytes %d-%d/%d" % (start, end - 1, content.size)))
    media = content.media if _MEDIA.fullmatch(content.media) else DEFAULT_TYPE
    status = 200 if part is None else 206
    stream = content.part(start, end) if end > start else None
    return Response(status, b"", media.encode(), headers, stream=stream, length=end - start)


def _range_holds(request: Request, version: Version) -> bool:
    """`If-Range` (RFC 9110 section 13.1.5): our ETags are weak, so only the very date of the version holds."""
    condition = request.header(b"if-range")
    return not condition or parse_http_date(condition) == version.updated // 1000
