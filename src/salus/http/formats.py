# SPDX-License-Identifier: Apache-2.0
"""Bodies in and out: XML and JSON to the decoded tree, and answers, which routes give as JSON, to what was asked for.

https://hl7.org/fhir/R4/http.html#mime-type  Large XML is read and written in slices, between which other requests run.
"""

from __future__ import annotations

from typing import Any

import msgspec

from salus.fhir import json, xml
from salus.http.message import FHIR_JSON, Form, Request, Response
from salus.http.negotiate import COMPACT, check_content, wanted
from salus.kernel.breath import Breath
from salus.kernel.errors import Problem

_LARGE = 256 * 1024  # bytes of JSON that are decoded in one piece, two milliseconds
_PIECE = 64 * 1024  # bytes of XML, about five milliseconds


async def resource_in(request: Request) -> dict[str, Any]:
    """The resource in a body, strictly decoded.

    Raises:
        Problem: FORMAT; INCORRECT with the place of what cannot be read.
    """
    media = check_content(request)
    return await resource_of(await request.body(), media)


async def resource_of(raw: bytes, media: str) -> dict[str, Any]:
    """Decode a body.

    Args:
        media: `json` or `xml`, as `check_content` says.
    """
    breath = Breath()
    if media != "xml":
        return await _decoded(raw, breath)
    reader = xml.Reader(raw)
    while reader.feed(_PIECE):
        await breath.pause()
    return reader.resource()


async def _decoded(raw: bytes, breath: Breath) -> dict[str, Any]:
    if len(raw) < _LARGE:
        return json.decode(raw)
    decoding = json.decode_in_steps(raw)
    while True:
        try:
            next(decoding)
        except StopIteration as done:
            decoded: dict[str, Any] = done.value
            return decoded
        if breath.due:
            await breath.pause()


async def bring_into_form(request: Request, response: Response) -> None:
    """Rewrite an answer in the form that the client asked for; most are asked for as they are."""
    if response.content_type is not FHIR_JSON or not response.body:
        return
    try:
        form = request.form or wanted(request)
    except Problem:  # which is what the answer says, in JSON
        return
    if form is COMPACT:
        return
    version = f"; fhirVersion={form.version}" if form.version else ""
    if form.xml:
        response.body = await _as_xml(response.body, form)
        response.content_type = f"application/fhir+xml; charset=utf-8{version}".encode()
    else:
        if form.pretty:
            response.body = msgspec.json.format(response.body, indent=2)
        response.content_type = FHIR_JSON + version.encode()


async def _as_xml(body: bytes, form: Form) -> bytes:
    breath = Breath()
    writing = xml.write(await _decoded(body, breath), pretty=form.pretty)
    while True:
        try:
            next(writing)
        except StopIteration as done:
            return bytes(done.value)
        await breath.pause()
