# SPDX-License-Identifier: Apache-2.0
"""Searches: on a type, in a compartment, over several types.  https://hl7.org/fhir/R4/http.html#search

By POST the parameters travel in the body, so that no proxy writes them down.
"""

from __future__ import annotations

from salus.http.fhir_api.instance import type_of
from salus.http.message import FHIR_JSON, Response, pairs, text_of
from salus.http.negotiate import Preferences, check_accept
from salus.http.routes import Call
from salus.kernel.errors import Issue, Kind, Problem
from salus.records.interactions import search as searching
from salus.records.scope import ALL_TYPES

_FORM = "application/x-www-form-urlencoded"

Pairs = list[tuple[str, str]]


async def of_type(call: Call) -> Response:
    """GET /fhir/{type}?… and POST /fhir/{type}/_search."""
    return _page(await searching.search(call.context, type_of(call), await _asked(call), lenient=_lenient(call)))


async def of_system(call: Call) -> Response:
    """GET /fhir?… and POST /fhir/_search."""
    return _page(await searching.search_system(call.context, await _asked(call), lenient=_lenient(call)))


async def of_compartment(call: Call) -> Response:
    """GET /fhir/{type}/{id}/{inner}?… and POST /fhir/{type}/{id}/{inner}/_search; `inner` is a type or `*`."""
    asked = await _asked(call)
    owner = (type_of(call), call.path["id"])
    type_ = call.path.get("inner", ALL_TYPES)
    found = await searching.search_compartment(call.context, owner, type_, asked, lenient=_lenient(call))
    return _page(found)


async def _asked(call: Call) -> Pairs:
    check_accept(call.request)
    asked = call.request.query
    if call.request.method != "POST":
        return asked
    body = await call.request.body()
    declared = call.request.header(b"content-type").partition(";")[0].strip().lower()
    if body.strip() and declared != _FORM:  # all of it may stand in the address
        text = f"The parameters of a search by POST are sent as {_FORM}."
        raise Problem(Kind.FORMAT, text, issues=(Issue("not-supported", text, "http.Content-Type"),))
    sent = pairs(text_of(body, "query"), "query")
    call.request.form_parameters = sent
    check_accept(call.request)  # again: `_format` may stand in the body as well
    return [*asked, *sent]


def _lenient(call: Call) -> bool:
    return Preferences.of(call.request).lenient


def _page(bundle: bytes) -> Response:
    return Response(200, bundle, FHIR_JSON)
