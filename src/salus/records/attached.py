# SPDX-License-Identifier: Apache-2.0
"""How a Binary names a content that is kept beside it.

Small contents are `data`, as FHIR has it. A large one lies in chunks; in place of `data` the resource then has an
extension on that element with the content's name, size and SHA-256. It may be sent back as it is: the content stays.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Any

from salus.access.permit import Permit
from salus.fhir import json
from salus.kernel.errors import Issue, Kind, Problem
from salus.records.context import Context

EXTENSION = "urn:salus:content"


@dataclass(frozen=True, slots=True)
class Attached:
    """What a Binary says about its content."""

    name: bytes
    size: int
    sha256: bytes

    def element(self) -> dict[str, Any]:
        """The value of `Binary._data`."""
        parts = [
            {"url": "name", "valueId": self.name.hex()},
            {"url": "size", "valueDecimal": self.size},
            {"url": "sha256", "valueBase64Binary": base64.b64encode(self.sha256).decode()},
        ]
        return {"extension": [{"url": EXTENSION, "extension": parts}]}


def attached(resource: dict[str, Any]) -> Attached | None:
    """What a Binary says about a content in chunks, None when it has none.

    Raises:
        Problem: INVALID when the extension is not as this server writes it.
    """
    if "data" in resource:
        return None
    for extension in (resource.get("_data") or {}).get("extension", ()):
        if extension.get("url") == EXTENSION:
            try:
                parts = {part["url"]: part for part in extension["extension"]}
                digest = base64.b64decode(parts["sha256"]["valueBase64Binary"])
                return Attached(bytes.fromhex(parts["name"]["valueId"]), int(parts["size"]["valueDecimal"]), digest)
            except (KeyError, ValueError, TypeError, ArithmeticError):
                raise _unknown() from None
    return None


def check_attached(ctx: Context, permit: Permit, resource: dict[str, Any], rid: bytes, owners: bytes) -> None:
    """Refuse a Binary that names a content which this record never had, or which lies under another patient's key.

    Raises:
        Problem: INVALID.
    """
    named = attached(resource)
    if named is None:
        return
    try:
        opening = ctx.store.open_content(permit, rid, owners, named.name)
    except Problem as problem:
        if problem.kind not in {Kind.FAULT, Kind.GONE}:
            raise
        raise _unknown() from None
    if opening is None or (opening.size, opening.sha256) != (named.size, named.sha256):
        raise _unknown()


def inline(resource: dict[str, Any]) -> bytes:
    """The content of a Binary that has it as `data`; empty without."""
    try:
        return base64.b64decode("".join(resource.get("data", "").split()), validate=True)
    except (binascii.Error, ValueError):
        raise Problem(Kind.FAULT, "The content cannot be read.", "data is not base64") from None


def with_data(resource: dict[str, Any], pieces: list[bytes]) -> bytes:
    """The resource as JSON, with the chunks of its content as `data`."""
    shown = {name: value for name, value in resource.items() if name != "_data"}
    text = b"".join(base64.b64encode(piece) for piece in pieces)  # CHUNK is divisible by three
    return json.encode(shown)[:-1] + b',"data":"' + text + b'"}'


def _unknown() -> Problem:
    text = "This names a content that the record does not have; send the content itself, or what was read, unchanged."
    return Problem(Kind.INVALID, text, issues=(Issue("value", text, "Binary.data"),))
