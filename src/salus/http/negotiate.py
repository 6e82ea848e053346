# SPDX-License-Identifier: Apache-2.0
"""Formats and preferences (https://hl7.org/fhir/R4/http.html#mime-type, #ops)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from salus.http.message import Request, Response
from salus.kernel.errors import Issue, Kind, Problem

_OURS = {"application/fhir+json", "application/json", "json", "text/json", "application/json+fhir"}
_ACCEPTED = {*_OURS, "*/*", "application/*", ""}
_PREFER = re.compile(r'\s*([A-Za-z-]+)\s*=\s*"?([A-Za-z-]+)"?\s*(?:[,;]|$)')


def check_accept(request: Request) -> None:
    """Refuse a format that is not JSON; `_format` wins over `Accept`.

    Raises:
        Problem: FORMAT, told as 406 would be: with what is spoken here.
    """
    if "format" in request.query_text:
        asked = next((value for name, value in request.query if name == "_format"), None)
        if asked is not None:
            if _bare(asked) not in _OURS:
                raise _unspoken("query._format")
            return
    accept = request.header(b"accept")
    if accept not in _ACCEPTED and not any(_bare(one) in _ACCEPTED for one in accept.split(",")):
        raise _unspoken("http.Accept")


def check_content(request: Request, *extra: str) -> str:
    """Refuse a body that is neither JSON nor one of `extra`; gives the media type.

    Raises:
        Problem: FORMAT.
    """
    declared = request.header(b"content-type")
    media, _, parameters = declared.partition(";")
    media = media.strip().lower()
    charset = parameters.partition("charset=")[2].strip(' "').lower()
    if (media not in _OURS and media not in extra) or charset not in {"", "utf-8", "utf8"}:
        raise _unspoken("http.Content-Type")
    return media


def _bare(media: str) -> str:
    return media.partition(";")[0].strip().lower().replace(" ", "+")  # `+` arrives as a space in a query


def _unspoken(place: str) -> Problem:
    text = "This server speaks application/fhir+json in UTF-8."
    return Problem(Kind.FORMAT, text, issues=(Issue("not-supported", text, place),))


@dataclass(frozen=True, slots=True)
class Preferences:
    """What the client asked for in `Prefer` (RFC 7240)."""

    returns: str = ""  # minimal, representation, OperationOutcome
    lenient: bool = False

    @classmethod
    def of(cls, request: Request) -> Preferences:
        """Read the header; words that are not known are passed over, as the RFC asks."""
        header = request.header(b"prefer")
        if not header:
            return _NONE
        asked = dict(_PREFER.findall(header))
        return cls(asked.get("return", ""), asked.get("handling") == "lenient")


_NONE = Preferences()


def shown(preferences: Preferences, body: bytes) -> bytes:
    """The body of an answer to a write: as it is, or nothing with `return=minimal`."""
    return b"" if preferences.returns == "minimal" else body


def etag(version: int) -> bytes:
    """A weak ETag of a version (https://hl7.org/fhir/R4/http.html#versions)."""
    return b'W/"%d"' % version


def not_modified(version: int) -> Response:
    """304 for a client that has this version already."""
    return Response(304, headers=[(b"etag", etag(version))])
