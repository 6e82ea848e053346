# SPDX-License-Identifier: Apache-2.0
"""Rules of single data types that read more than one element: sizes of attachments, order of periods."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

from salus.fhir.fhirpath.quantity import compare, of_fhir
from salus.fhir.validate.period import in_order

_URIS: Final = "urn:ietf:rfc:3986"
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:\S")

# Code within markdown, where a tag is only text, and what is a tag elsewhere: neither an address nor escaped.
_CODE: Final = re.compile(r"```.*?(?:```|\Z)|`[^`]*`", re.DOTALL)
_TAG: Final = re.compile(r"(?<!\\)<(?:!--|/?[A-Za-z][A-Za-z0-9-]*(?:\s[^<>]*)?/?>)")

Json = dict[str, Any]
# Code, further step of the place, words.
Fault = tuple[str, str, str]


def attachment(node: Json) -> list[Fault]:
    """Size and hash of an attachment that carries its data (https://hl7.org/fhir/R4/datatypes.html#Attachment)."""
    data, size, stated = node.get("data"), node.get("size"), node.get("hash")
    if type(data) is not str or (size is None and stated is None):
        return []
    try:
        raw = base64.b64decode(data, validate=False)
    except (binascii.Error, ValueError):
        return []  # said as a broken format
    faults = []
    if type(size) is int and size != len(raw):
        faults.append(("invalid", ".size", "is not the number of bytes that the data has"))
    if type(stated) is str:
        # R4 asks for SHA-1 here; it says which content this is and protects nothing.
        digest = hashlib.sha1(raw, usedforsecurity=False).digest()
        if stated not in (base64.b64encode(digest).decode(), digest.hex()):
            faults.append(("invalid", ".hash", "is not the SHA-1 of the data"))
    return faults


def holds_html(text: str) -> bool:
    """Whether markdown has HTML in it (https://hl7.org/fhir/R4/datatypes.html#markdown)."""
    return "<" in text and _TAG.search(_CODE.sub("", text)) is not None


def unlike_its_system(node: Json) -> bool:
    """Whether an identifier in the system of URIs is none (https://hl7.org/fhir/R4/datatypes.html#Identifier)."""
    value = node.get("value")
    return node.get("system") == _URIS and type(value) is str and _SCHEME.match(value) is None


def period(node: Json) -> list[Fault]:
    """per-1 (https://hl7.org/fhir/R4/datatypes.html#Period)."""
    start, end = node.get("start"), node.get("end")
    if type(start) is str and type(end) is str and in_order(start, end) is not True:
        return [("invariant", "", "must end after it starts, and both times must be comparable (per-1)")]
    return []


def count(node: Json) -> list[Fault]:
    """The rest of cnt-3: a count is written as a whole number (https://hl7.org/fhir/R4/datatypes.html#Count)."""
    if isinstance(node.get("value"), Decimal):
        return [("invariant", ".value", "must be written without a decimal point (cnt-3)")]
    return []


def extent(node: Json) -> list[Fault]:
    """rng-2: the lower end of a Range is not above the upper one (https://hl7.org/fhir/R4/datatypes.html#Range).

    Ends in different units are compared by UCUM; where that gives no answer, the rule is not fulfilled, as in HL7's
    validator.
    """
    low, high = of_fhir(node.get("low")), of_fhir(node.get("high"))
    if low is None or high is None:
        return []
    found = compare(low, high)
    if found is None or found > 0:
        return [("invariant", "", "must have a lower end that is not above the upper one, in comparable units (rng-2)")]
    return []


RULES: Final[dict[str, Callable[[Json], list[Fault]]]] = {
    "Attachment": attachment,
    "Period": period,
    "Count": count,
    "Range": extent,
}
