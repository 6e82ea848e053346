# SPDX-License-Identifier: Apache-2.0
"""Strict JSON in, compact JSON out, with decimals that stay exactly as they were written.

Rules: one object, UTF-8 without byte order mark, no duplicate names, no lone surrogates, no NaN or Infinity,
at most 200 levels (RFC 8259, RFC 7493; https://hl7.org/fhir/R4/json.html). Numbers with a fraction or an
exponent become `Decimal`, so that `1.10` keeps its precision; others become `int`
(https://hl7.org/fhir/R4/datatypes.html#decimal). What is stored is always the encoding of what was decoded,
never the client's bytes.

Whether a number or text is sensible for its element is decided by `salus.fhir.validate`.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from typing import Any, Final

import jiter
import msgspec

from salus.kernel.errors import Issue, Kind, Problem

_KINDS: Final = {list: "an array", str: "a string", bool: "a boolean", type(None): "null"}

_POSITION: Final = re.compile(r"line \d+ column \d+\Z")
# The parser's own words may quote the document, so they are mapped by their beginning to ours.
_CAUSES: Final = {
    "Detected duplicate key": "The same name occurs twice in one object",
    "recursion limit": "The nesting is deeper than 200 levels",
    "invalid unicode": "The text is not UTF-8",
    "number out of range": "A number has too many digits",
    "Internal error": "A number is too large or too small",
    "trailing characters": "Something follows the end of the document",
    "EOF": "The document ends too early",
}
_GAP: Final = re.compile(rb"[ \t\r\n]*,?[ \t\r\n]*")
_RESOURCE: Final = re.compile(rb'"resource"[ \t\r\n]*:[ \t\r\n]*')
_encoder: Final = msgspec.json.Encoder(decimal_format="number")


class _Entries(msgspec.Struct):
    entry: list[msgspec.Raw]


class _Bringing(msgspec.Struct):
    resource: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class _Resources(msgspec.Struct):
    entry: list[_Bringing]


_split: Final = msgspec.json.Decoder(_Entries).decode
_find: Final = msgspec.json.Decoder(_Resources).decode


def decode(raw: bytes) -> dict[str, Any]:
    """Parse one JSON object.

    Args:
        raw: UTF-8 text of the document.

    Returns:
        dict of str, int, Decimal, bool, None, list and dict.

    Raises:
        Problem: INCORRECT with one issue (`structure`) that gives line and column, never content.
    """
    value = decode_any(raw)
    if type(value) is not dict:
        text = f"A JSON object is expected at the top level, not {_KINDS.get(type(value), 'a number')}."
        raise Problem(Kind.INCORRECT, "The body is not a JSON object.", issues=(Issue("structure", text),))
    return value


def decode_in_steps(raw: bytes) -> Generator[None, None, dict[str, Any]]:
    """The same for a large Bundle, one step for each entry, so that other work can be done in between.

    Whatever is out of the ordinary is decoded in one piece, which also words what is wrong.

    Returns:
        As `decode`, which see for what is raised.
    """
    try:
        items = _split(raw).entry
        entries = []
        start = at = raw.index(b"[", raw.index(b'"entry"')) + 1
        for item in items:
            text = bytes(item)
            at = _gap(raw, at)
            if not raw.startswith(text, at):  # what was found first is another `entry`
                return decode(raw)
            at += len(text)
            entries.append(decode_any(text))
            yield
        bundle = decode(raw[:start] + raw[_gap(raw, at) :])
        if bundle["entry"] != []:  # as above, of the same content
            return decode(raw)
    except (msgspec.DecodeError, KeyError, ValueError, RecursionError, Problem):
        return decode(raw)
    bundle["entry"] = entries
    return bundle


def decode_apart(raw: bytes) -> tuple[dict[str, Any], list[bytes]] | None:
    """Decode a Bundle but for the resources in its entries, which are taken out as text.

    Whoever goes through a large Bundle entry by entry decodes each when its turn comes: it is then still in the
    processor's cache while it is worked on, and its memory is used again for the next.

    Returns:
        The Bundle, in which each resource stands as a number; and for each entry the text of its resource, empty
        without one. None for what is out of the ordinary, or not JSON: `decode` knows what is wrong with it.
    """
    try:
        entries = _find(raw).entry
        texts: list[bytes] = []
        rest: list[bytes] = []
        at = 0
        for number, entry in enumerate(entries):
            if isinstance(entry.resource, msgspec.UnsetType):
                texts.append(b"")
                continue
            text = bytes(entry.resource)
            member = _RESOURCE.search(raw, at)
            if member is None or not raw.startswith(text, member.end()):
                return None
            start = member.end()
            rest += (raw[at:start], b"%d" % number)
            at = start + len(text)
            texts.append(text)
        rest.append(raw[at:])
        bundle = decode(b"".join(rest))
        left = [entry.get("resource") for entry in bundle["entry"]]
    except (msgspec.DecodeError, ValueError, RecursionError, Problem):
        return None
    # Should a text have been found at another place, its resource still stands where it was.
    if left != [number if text else None for number, text in enumerate(texts)]:
        return None
    return (bundle, texts) if all(text[:1] in b"{" for text in texts) else None


def _gap(raw: bytes, at: int) -> int:
    """Where the next item of an array begins, or the array ends."""
    found = _GAP.match(raw, at)
    return found.end() if found else at


def decode_any(raw: bytes) -> Any:
    """Parse one JSON value of any kind, such as the array that is a JSON Patch; raises as `decode`."""
    try:
        return jiter.from_json(raw, allow_inf_nan=False, catch_duplicate_keys=True, float_mode="decimal")
    except ValueError as error:
        raise _refusal(str(error)) from None


def encode(resource: Any) -> bytes:
    """Write a value as compact UTF-8 JSON; decimals keep their digits.

    Args:
        resource: what `decode` returns, or any part of it.

    Raises:
        UnicodeEncodeError: a string holds a lone surrogate, which `decode` never lets in.
    """
    return _encoder.encode(resource)


def _refusal(said: str) -> Problem:
    position = _POSITION.search(said)
    cause = next((ours for theirs, ours in _CAUSES.items() if said.startswith(theirs)), "The syntax is broken")
    text = f"{cause}, at {position[0]}." if position else f"{cause}."
    return Problem(Kind.INCORRECT, "The body is not valid JSON.", issues=(Issue("structure", text),))
