# SPDX-License-Identifier: Apache-2.0
"""Formats and preferences (https://hl7.org/fhir/R4/http.html#mime-type, #ops).

What is asked for is settled once for a request, by `wanted`; the answer is brought into that form on its way out
(`salus.http.formats`), so that routes need not think of it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote

from salus.http.message import Form, Request, Response
from salus.kernel.errors import Issue, Kind, Problem

_JSON = {"application/fhir+json", "application/json", "json", "text/json", "application/json+fhir"}
_XML = {"application/fhir+xml", "application/xml", "xml", "text/xml", "application/xml+fhir"}
_ANY = {"*/*", "application/*", "text/*", "*"}
_PLAIN = {*_JSON, "*/*", "application/*", ""}  # headers that can be read without taking them apart
_VERSIONS = {"4.0", "4.0.0", "4.0.1"}
_PREFER = re.compile(r'\s*([A-Za-z-]+)\s*=\s*"?([A-Za-z-]+)"?\s*(?:[,;]|$)')
_PARAMETER = re.compile(r';\s*([A-Za-z-]+)\s*=\s*(?:"([^"]*)"|([^;,"\s]*))')
_QUALITY = re.compile(r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?")  # RFC 9110 section 12.4.2


COMPACT = Form()


def wanted(request: Request) -> Form:
    """The form that the client asks for; `_format` wins over `Accept`.

    Raises:
        Problem: FORMAT, told as 406, with what is spoken here; INCORRECT for `_pretty` that is neither true nor false.
    """
    query = request.raw_query
    pretty = b"_pretty" in query and _pretty(request)
    if b"_format" in query or request.form_parameters:  # a quick look, for the many requests that have neither
        asked = _parameter(request, "_format")
        if asked is not None:
            xml, version = _read(asked.replace(" ", "+"), "query._format")  # `+` arrives as a space in a query
            return Form(xml, pretty, version)
    accept = request.header(b"accept")
    if accept in _PLAIN:
        return Form(pretty=True) if pretty else COMPACT
    xml, version = _best(accept)
    return Form(xml, pretty, version)


def carried(request: Request) -> str:
    """`_format` and `_pretty` of the query, for links to further pages; nothing when neither is there."""
    query = request.raw_query
    if not query or (b"_format" not in query and b"_pretty" not in query):
        return ""
    asked = [(name, _parameter(request, name)) for name in ("_format", "_pretty")]
    return "".join(f"&{name}={quote(value)}" for name, value in asked if value is not None)


def check_accept(request: Request) -> None:
    """Refuse a format that is not spoken here, before anything is done; raises as `wanted`."""
    request.form = wanted(request)


def _pretty(request: Request) -> bool:
    asked = _parameter(request, "_pretty")
    if asked not in {None, "true", "false"}:
        text = "_pretty must be true or false."
        raise Problem(Kind.INCORRECT, text, issues=(Issue("value", text, "query._pretty"),))
    return asked == "true"


def _parameter(request: Request, name: str) -> str | None:
    pairs = [*request.form_parameters, *request.query]
    return next((value for known, value in pairs if known == name), None)


def _read(media: str, place: str) -> tuple[bool, str]:
    """Whether a media type is XML (else it is JSON), and its FHIR version; refuses all others."""
    bare = media.partition(";")[0].strip().lower()
    version = _parameters(media).get("fhirversion", "")
    if (bare not in _JSON and bare not in _XML) or (version and version not in _VERSIONS):
        raise _unspoken(place)
    return bare in _XML, version


def _best(accept: str) -> tuple[bool, str]:
    """The format that an `Accept` header prefers (RFC 9110 section 12.5.1); JSON where it does not care."""
    best: tuple[float, bool, str] | None = None
    for part in accept.split(","):
        bare = part.partition(";")[0].strip().lower()
        parameters = _parameters(part)
        quality = parameters.get("q", "1")
        weight = float(quality) if _QUALITY.fullmatch(quality) else 0.0
        version = parameters.get("fhirversion", "")
        known = bare in _JSON or bare in _XML or bare in _ANY or not bare
        if not known or not weight or (version and version not in _VERSIONS):
            continue
        if best is None or weight > best[0]:
            best = (weight, bare in _XML, version)
    if best is None:
        raise _unspoken("http.Accept")
    return best[1], best[2]


def _parameters(media: str) -> dict[str, str]:
    return {name.lower(): quoted or plain for name, quoted, plain in _PARAMETER.findall(media)}


def is_fhir(declared: str) -> str:
    """Whether a media type is one of FHIR: `yes`, `no`, or `perhaps` for JSON and XML in general."""
    media = declared.partition(";")[0].strip().lower()
    if media not in _JSON and media not in _XML:
        return "no"
    return "yes" if "fhir" in media else "perhaps"


def asks_for_fhir(request: Request) -> bool:
    """Whether a Binary is wanted as a resource (https://hl7.org/fhir/R4/binary.html#rest).

    It is with `_format`, with a type of FHIR among those accepted, and when nothing but JSON or XML is accepted.
    """
    if b"_format" in request.raw_query and _parameter(request, "_format") is not None:
        return True
    named = [part for part in request.header(b"accept").split(",") if _weighs(part)]
    kinds = {is_fhir(part) for part in named}
    return "yes" in kinds or kinds == {"perhaps"}


def _weighs(part: str) -> bool:
    quality = _parameters(part).get("q", "1")
    return not _QUALITY.fullmatch(quality) or float(quality) > 0


def check_content(request: Request, *extra: str) -> str:
    """Refuse a body that is neither JSON nor XML of FHIR nor one of `extra`.

    Returns:
        `json`, `xml`, or the one of `extra`.

    Raises:
        Problem: FORMAT.
    """
    declared = request.header(b"content-type")
    media = declared.partition(";")[0].strip().lower()
    if ";" in declared:
        parameters = _parameters(declared)
        charset, version = parameters.get("charset", "").lower(), parameters.get("fhirversion", "")
        if charset not in {"", "utf-8", "utf8"} or (version and version not in _VERSIONS):
            raise _unspoken("http.Content-Type")
    if media in _JSON:
        return "json"
    if media in _XML:
        return "xml"
    if media not in extra:
        raise _unspoken("http.Content-Type", *extra)
    return media


def _unspoken(place: str, *extra: str) -> Problem:
    media = " and ".join(dict.fromkeys(("application/fhir+json", "application/fhir+xml", *extra)))
    text = f"This server speaks {media} of FHIR 4.0 in UTF-8."
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


def etag(version: int) -> bytes:
    """A weak ETag of a version (https://hl7.org/fhir/R4/http.html#versions)."""
    return b'W/"%d"' % version


def not_modified(version: int) -> Response:
    """304 for a client that has this version already."""
    return Response(304, headers=[(b"etag", etag(version))])
