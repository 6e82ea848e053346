# SPDX-License-Identifier: Apache-2.0
"""SCIM on the wire: bodies in, resources and errors out (RFC 7644 sections 3.1, 3.12 and 8.1).

The library says what is wrong with a request in words that may repeat what was sent; ours never do. They say the kind
of error that the RFC has a name for, and the attribute if it is one that there is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import msgspec
from pydantic import ValidationError
from scim2_models import SCIMException

from salus.fhir import json
from salus.http.errors import problem_response
from salus.http.message import Header, Request, Response
from salus.http.scim_api.models import Group, SomeUser
from salus.kernel.errors import Issue, Kind, Problem

SCIM_JSON = b"application/scim+json; charset=utf-8"

_ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"
_LIMIT = 1024 * 1024  # bytes of a body
_HALF = re.compile(rb"\\\\u[dD][89a-fA-F]")
"""Half a character inside a filter or a path. JSON refuses its own; what stands in a filter is text to it."""

_MEDIA = {"application/scim+json", "application/json"}

WORDS: dict[str, str] = {
    "invalidFilter": "The filter cannot be read, or compares in a way that the attribute does not allow.",
    "tooMany": "This would give too much at once. Ask for less.",
    "uniqueness": "There is an account or a group of this name already.",
    "mutability": "An attribute is read-only, or may not be changed or left out.",
    "invalidSyntax": "The request does not have the form that SCIM gives it.",
    "invalidPath": "A path cannot be read, or names an attribute that there is not.",
    "noTarget": "A path fits nothing that is there.",
    "invalidValue": "A value is missing, or not of the kind that the attribute has.",
    "invalidVers": "This version of SCIM is not spoken here.",
    "sensitive": "This may not stand in an address. Send it in a body.",
}
"""What SCIM has a name for (RFC 7644 section 3.12, table 9)."""


async def payload(request: Request) -> dict[str, Any]:
    """The JSON object in a body.

    Raises:
        Problem: FORMAT, TOO_LARGE, or INCORRECT (`invalidSyntax`).
    """
    media = request.header(b"content-type").partition(";")[0].strip().lower()
    if media not in _MEDIA:
        raise Problem(Kind.FORMAT, "SCIM is sent as application/scim+json or application/json.")
    raw = b"".join([piece async for piece in request.pieces(_LIMIT)])
    if _HALF.search(raw):
        raise wrong("invalidValue")
    try:
        body: Any = json.decode(raw)
    except Problem:
        raise wrong("invalidSyntax") from None
    if not isinstance(body, dict):
        raise wrong("invalidSyntax")
    return body


def wrong(scim_type: str, place: str = "") -> Problem:
    """A request that is not as SCIM wants it; `scim_type` is one of `WORDS`."""
    words = WORDS[scim_type] + (f" It is about {place}." if place else "")
    return Problem(Kind.INCORRECT, words, scim_type, issues=(Issue(scim_type, words, place),))


@contextmanager
def understood() -> Iterator[None]:
    """Tell what the library refuses in our words.

    Raises:
        Problem: INCORRECT.
    """
    try:
        yield
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        scim_type = str(first.get("ctx", {}).get("scim_type", ""))
        raise wrong(scim_type if scim_type in WORDS else "invalidValue", _place(first["loc"])) from None
    except SCIMException as error:
        raise wrong(error.scim_type if error.scim_type in WORDS else "invalidValue") from None
    except (ValueError, TypeError, RecursionError):
        raise wrong("invalidValue") from None


def _place(loc: tuple[int | str, ...]) -> str:
    """The names in it that are ours; others are the sender's words."""
    return ".".join(part for part in loc if isinstance(part, str) and part in _names())


@cache
def _names() -> frozenset[str]:
    found = {"Operations", "path", "op", "filter", "sortBy", "startIndex", "count", "attributes", "excludedAttributes"}
    for model in (SomeUser, Group):
        for attribute in model.to_schema().attributes or ():
            found.add(str(attribute.name))
            found.update(str(each.name) for each in attribute.sub_attributes or ())
    return frozenset(found)


def answer(status: int, body: dict[str, Any], *headers: Header) -> Response:
    """A SCIM message or resource."""
    return Response(status, msgspec.json.encode(body), SCIM_JSON, headers=list(headers))


def scim_error(problem: Problem) -> Response:
    """A problem as a SCIM error, with the status and the headers that it has everywhere."""
    told = problem_response(problem)
    status = 400 if problem.kind is Kind.INVALID else told.status  # a rule about the content: SCIM says 400 for it
    body: dict[str, Any] = {"schemas": [_ERROR], "status": str(status), "detail": problem.public}
    named = [issue.code for issue in problem.issues if issue.code in WORDS]
    if named:
        body["scimType"] = named[0]
    elif problem.kind is Kind.INVALID:
        body["scimType"] = "invalidValue"
    return answer(status, body, *told.headers)
