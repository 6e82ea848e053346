# SPDX-License-Identifier: Apache-2.0
"""What each primitive type of R4 may look like, as JSON Schema and in words.

The regular expressions follow https://hl7.org/fhir/R4/datatypes.html#primitive with these corrections: a
day must exist in its month and year; base64 must be padded properly; a `uri` is not empty; texts may not
hold control characters, which R4 forbids in words but not in its expression. They are linear (no
look-around, no back-references), so that no input can make them slow.
"""

from __future__ import annotations

from typing import Any, Final

Schema = dict[str, Any]

_YEAR: Final = r"(?:000[1-9]|00[1-9][0-9]|0[1-9][0-9]{2}|[1-9][0-9]{3})"
_LEAP_YEAR: Final = r"(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:0[48]|[2468][048]|[13579][26])00)"
_DAY: Final = (
    rf"(?:{_YEAR}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)"
    rf"|02-(?:0[1-9]|1[0-9]|2[0-8]))|{_LEAP_YEAR}-02-29)"
)
_TIME: Final = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60)(?:\.[0-9]+)?"
_ZONE: Final = r"(?:Z|[+-](?:(?:0[0-9]|1[0-3]):[0-5][0-9]|14:00))"
_PARTIAL: Final = rf"{_YEAR}(?:-(?:0[1-9]|1[0-2]))?"
_OID: Final = r"urn:oid:[0-2](?:\.(?:0|[1-9][0-9]*))+"
_UUID: Final = r"urn:uuid:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_B64: Final = r"[A-Za-z0-9+/][ \t\r\n]*"
# R4: "Strings SHALL NOT exceed 1MB (1024*1024 characters) in size" and no code point below 32 but 9, 10 and 13.
_TEXT: Final[Schema] = {
    "type": "string",
    "minLength": 1,
    "maxLength": 1048576,
    "pattern": r"^[^\x00-\x08\x0b\x0c\x0e-\x1f]+$",
}
_LARGEST_INT: Final = 2**31 - 1
# Not FHIR's bounds: wide enough for any measurement, and for HL7's own test of extremes, yet within binary
# floating point and small enough that arithmetic cannot become costly.
LARGEST_EXPONENT: Final = 300
MOST_DIGITS: Final = 64


_IDENTIFYING: Final = [
    {"not": {"pattern": r"^(?:urn:(?:oid|uuid):|oid:|uuid:)"}},
    {"pattern": f"^(?:{_OID}|{_UUID.replace('0-9a-f', '0-9a-fA-F')})$"},
]
ABSOLUTE: Final[Schema] = {
    "type": "string",
    "pattern": r"^[A-Za-z][A-Za-z0-9+.\-]*:\S+$",
    "anyOf": _IDENTIFYING,
}
"""An absolute URI, where a relative one would name nothing: systems of codes and identifiers, `fullUrl`."""


CONTENT_TYPE: Final[Schema] = {
    "type": "string",
    "pattern": r"^[A-Za-z0-9!#$&^_.+\-]+/[A-Za-z0-9!#$&^_.+*\-]+(?:\s*;\s*[^\s=;]+=(?:[^\s\";]+|\"[^\"]*\"))*;?$",
}
"""A media type (https://www.rfc-editor.org/rfc/rfc6838), with parameters perhaps."""
LANGUAGE: Final[Schema] = {"type": "string", "pattern": r"^[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*$"}
"""A language tag by its form (https://www.rfc-editor.org/rfc/rfc5646)."""


def _uri() -> Schema:
    """Not empty, no spaces; an OID or UUID must be one, and must be written as a URN."""
    return {**_pattern(r"\S+"), "anyOf": _IDENTIFYING}


def _pattern(expression: str) -> Schema:
    return {"type": "string", "pattern": f"^(?:{expression})$"}


SCHEMAS: Final[dict[str, Schema]] = {
    "base64Binary": {
        "type": "string",
        "minLength": 1,
        "pattern": rf"^[ \t\r\n]*(?:(?:{_B64}){{4}})*(?:(?:{_B64}){{2}}(?:=[ \t\r\n]*=|{_B64}=)[ \t\r\n]*)?$",
    },
    "boolean": {"type": "boolean"},
    "canonical": _pattern(r"\S+"),
    "code": _pattern(r"\S+(?:\s\S+)*"),
    "date": _pattern(f"{_PARTIAL}|{_DAY}"),
    "dateTime": _pattern(f"{_PARTIAL}|{_DAY}(?:T{_TIME}{_ZONE})?"),
    "decimal": {"type": "number"},
    "id": _pattern(r"[A-Za-z0-9\-.]{1,64}"),
    "instant": _pattern(f"{_DAY}T{_TIME}{_ZONE}"),
    "integer": {"type": "integer", "minimum": -(2**31), "maximum": _LARGEST_INT},
    "markdown": _TEXT,
    "oid": _pattern(_OID),
    "positiveInt": {"type": "integer", "minimum": 1, "maximum": _LARGEST_INT},
    "string": _TEXT,
    "time": _pattern(_TIME),
    "unsignedInt": {"type": "integer", "minimum": 0, "maximum": _LARGEST_INT},
    "uri": _uri(),
    "url": _uri(),
    "uuid": _pattern(_UUID),
    "xhtml": {"type": "string", "minLength": 1},
}

# What a person needs to know to correct the value; the sentence starts with the place.
WORDS: Final[dict[str, str]] = {
    "base64Binary": "must be base64 text with proper padding",
    "boolean": "must be true or false, without quotes",
    "canonical": "must be a canonical URL: not empty and without spaces",
    "code": "must be a code: not empty, no space at either end, none doubled",
    "date": "must be a real date written YYYY, YYYY-MM or YYYY-MM-DD",
    "dateTime": "must be a real date written YYYY, YYYY-MM, YYYY-MM-DD or YYYY-MM-DDThh:mm:ss and time zone",
    "decimal": "must be a number, without quotes",
    "id": "must be 1 to 64 letters, digits, hyphens and dots",
    "instant": "must be a real moment written YYYY-MM-DDThh:mm:ss with a time zone",
    "integer": "must be a whole number from -2147483648 to 2147483647, without quotes",
    "markdown": "must be text: not empty, at most 1 MB, no control characters",
    "oid": "must be an OID written urn:oid:1.2.3",
    "positiveInt": "must be a whole number from 1 to 2147483647, without quotes",
    "string": "must be text: not empty, at most 1 MB, no control characters",
    "time": "must be a time of day written hh:mm:ss",
    "unsignedInt": "must be a whole number from 0 to 2147483647, without quotes",
    "uri": "must be a URI: not empty, without spaces, and an OID or UUID written urn:oid:1.2.3 or urn:uuid:…",
    "url": "must be a URL: not empty, without spaces, and an OID or UUID written urn:oid:1.2.3 or urn:uuid:…",
    "uuid": "must be a UUID written urn:uuid: and lower-case hexadecimal digits",
    "xhtml": "must be XHTML text that starts with a div element",
}


def reference_pattern(targets: tuple[str, ...]) -> str:
    """Regular expression for `Reference.reference` of an element that may point to these types.

    A relative reference must name one of the types; `#id`, absolute URLs and URNs are not judged by type,
    because what they point to is not known from their text
    (https://hl7.org/fhir/R4/references.html#literal). `Type?query` is the conditional reference of
    transactions (https://hl7.org/fhir/R4/http.html#trules).

    Args:
        targets: concrete resource types, not empty.
    """
    relative = rf"(?:{'|'.join(targets)})(?:/[A-Za-z0-9\-.]{{1,64}}(?:/_history/[A-Za-z0-9\-.]{{1,64}})?|\?\S+)"
    return rf"^(?:#[A-Za-z0-9\-.]{{0,64}}|{relative}|https?://\S+|urn:[a-z0-9\-]+:\S+)$"
