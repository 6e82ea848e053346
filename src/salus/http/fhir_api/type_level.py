# SPDX-License-Identifier: Apache-2.0
"""All records of a type: create, search, conditional update, patch and delete.  https://hl7.org/fhir/R4/http.html"""

from __future__ import annotations

from salus.http.fhir_api.instance import deleted, if_match, patch_of, type_of, update_expects, written
from salus.http.formats import resource_in
from salus.http.message import Request, Response
from salus.http.negotiate import check_accept
from salus.http.routes import Call
from salus.kernel.errors import Issue, Kind, Problem
from salus.records.interactions import create as creating
from salus.records.interactions import delete as deleting
from salus.records.interactions import patch as patching
from salus.records.interactions import update as updating

_OF_THE_ANSWER = ("_format", "_pretty")


async def create(call: Call) -> Response:
    """POST /fhir/{type}, with `If-None-Exist` or search parameters."""
    check_accept(call.request)
    resource = await resource_in(call.request)
    version, made = await creating.create(call.context, type_of(call), resource, _only_if_absent(call.request))
    return written(call, version, made=made)


def _only_if_absent(request: Request) -> str:
    """Search parameters of `If-None-Exist`. Some clients (fhirpy) put them into the address; they mean the same."""
    named = request.header(b"if-none-exist").lstrip("?")
    if all(name in _OF_THE_ANSWER for name, _ in request.query):
        return named
    if named:
        text = "Put the parameters of a conditional create into If-None-Exist or into the address, not into both."
        raise Problem(Kind.INCORRECT, text, issues=(Issue("invalid", text, "http.If-None-Exist"),))
    return request.query_text


def _condition(request: Request) -> str:
    if not request.query_text:
        text = "Name the record by its id, or by search parameters."
        raise Problem(Kind.INCORRECT, text, issues=(Issue("required", text, "http.url"),))
    return request.query_text


async def conditional_update(call: Call) -> Response:
    """PUT /fhir/{type}?…"""
    check_accept(call.request)
    condition = _condition(call.request)
    resource = await resource_in(call.request)
    version, made = await updating.conditional_update(
        call.context, type_of(call), condition, resource, update_expects(call)
    )
    return written(call, version, made=made)


async def conditional_patch(call: Call) -> Response:
    """PATCH /fhir/{type}?…"""
    check_accept(call.request)
    condition = _condition(call.request)
    change = await patch_of(call)
    version = await patching.conditional_patch(call.context, type_of(call), condition, change, if_match(call))
    return written(call, version, made=False)


async def conditional_delete(call: Call) -> Response:
    """DELETE /fhir/{type}?…"""
    check_accept(call.request)
    versions = await deleting.conditional_delete(call.context, type_of(call), _condition(call.request), if_match(call))
    return deleted(call, versions)
