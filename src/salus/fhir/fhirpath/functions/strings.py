# SPDX-License-Identifier: Apache-2.0
"""Texts (https://hl7.org/fhirpath/N1/#string-manipulation, and what later versions add to it)."""

from __future__ import annotations

import base64
import binascii
import html
import json
import re
from collections.abc import Callable
from typing import Any, Final

from salus.fhir.fhirpath import patterns
from salus.fhir.fhirpath.context import LONGEST_TEXT, Collection, Context, fault
from salus.fhir.fhirpath.convert import integer_of, system, text_of
from salus.fhir.fhirpath.functions.calling import Function, Input, eager
from salus.fhir.fhirpath.operators import EMPTY, FALSE, TRUE
from salus.kernel.errors import Kind, Problem

# An escape stays; a quotation mark that stands bare gets its escape, since nothing but the text can end here.
_BARE_QUOTE: Final = re.compile(r'(\\.)|"', re.DOTALL)


def _on_text(work: Callable[..., Any], least: int = 0, *, evaluation: bool = False) -> Function:
    """A function of a text and texts: empty when one of them is.

    Args:
        work: gets the texts.
        least: number of arguments.
        evaluation: whether `work` gets the evaluation first.
    """

    def run(items: Collection, ctx: Context, *arguments: Collection) -> Collection:
        text = text_of(items)
        others = [text_of(argument) for argument in arguments] if arguments else ()
        if text is None or None in others:
            return EMPTY
        ctx.text(text)
        made = work(ctx, text, *others) if evaluation else work(text, *others)
        if made is True:
            return TRUE
        if made is False:
            return FALSE
        if type(made) is str:
            ctx.text(made)
        return EMPTY if made is None else [made]

    return eager(run, least, asks=Input.VALUES)


def _substring(items: Collection, ctx: Context, start: Collection, length: Collection | None = None) -> Collection:
    text, begin = text_of(items), integer_of(start)
    if text is None or begin is None or not 0 <= begin < len(text):
        return EMPTY
    count = integer_of(length) if length is not None else None
    return [ctx.text(text[begin:] if count is None else text[begin : begin + max(0, count)])]


def _replace(text: str, pattern: str, substitution: str) -> str:
    _bounded((text.count(pattern) if pattern else len(text) + 1) * len(substitution) + len(text))
    return text.replace(pattern, substitution)


def _replace_matches(ctx: Context, text: str, pattern: str, substitution: str) -> str:
    _bounded(len(text) * max(1, len(substitution) // 16))
    return patterns.replace(ctx, text, pattern, substitution) if pattern else text


def _bounded(length: int) -> None:
    if length > 4 * LONGEST_TEXT:
        raise Problem(Kind.TOO_COSTLY, "The expression makes a text that is too long.")


def _to_chars(items: Collection, ctx: Context) -> Collection:
    text = text_of(items) or ""
    ctx.spend(len(text))
    return list(text)


def _split(items: Collection, ctx: Context, separator: Collection) -> Collection:
    text, mark = text_of(items), text_of(separator)
    if text is None or mark is None:
        return EMPTY
    parts = text.split(mark) if mark else list(text)
    ctx.spend(len(parts))
    return list(parts)


def _join(items: Collection, ctx: Context, separator: Collection | None = None) -> Collection:
    values = [value for value in map(system, items) if value is not None]
    if any(type(value) is not str for value in values):
        fault("`join()` takes strings")
    mark = (text_of(separator) or "") if separator is not None else ""
    _bounded(sum(map(len, values)) + len(mark) * len(values))
    return [ctx.text(mark.join(values))] if items else EMPTY


def _encode(text: str, form: str) -> str | None:
    raw = text.encode("utf-8", "surrogatepass")
    if form == "hex":
        return raw.hex()
    if form == "base64":
        return base64.b64encode(raw).decode()
    return base64.urlsafe_b64encode(raw).decode() if form == "urlbase64" else None


def _decode(text: str, form: str) -> str | None:
    try:
        if form == "hex":
            return bytes.fromhex(text).decode()
        if form == "base64":
            return base64.b64decode(text, validate=True).decode()
        return base64.b64decode(text, altchars=b"-_", validate=True).decode() if form == "urlbase64" else None
    except (ValueError, binascii.Error):
        return fault("the text is not encoded as it was said")


def _escape(text: str, form: str) -> str | None:
    if form == "html":
        return html.escape(text).replace("&#x27;", "&#39;")
    return json.dumps(text, ensure_ascii=False)[1:-1] if form == "json" else None


def _unescape(text: str, form: str) -> str | None:
    if form == "html":
        return html.unescape(text)
    if form != "json":
        return None
    quoted = _BARE_QUOTE.sub(lambda match: match[1] or '\\"', text)
    try:
        found = json.loads(f'"{quoted}"', strict=False)
    except ValueError:
        return fault("the text is not escaped as it was said")
    return found if type(found) is str else None


FUNCTIONS: Final[dict[str, Function]] = {
    "indexOf": _on_text(lambda text, part: text.find(part), 1),
    "lastIndexOf": _on_text(lambda text, part: text.rfind(part), 1),
    "substring": eager(_substring, 1, 2, asks=Input.VALUES),
    "startsWith": _on_text(lambda text, part: text.startswith(part), 1),
    "endsWith": _on_text(lambda text, part: text.endswith(part), 1),
    "contains": _on_text(lambda text, part: part in text, 1),
    "upper": _on_text(lambda text: text.upper()),
    "lower": _on_text(lambda text: text.lower()),
    "trim": _on_text(lambda text: text.strip()),
    "length": _on_text(len),
    "replace": _on_text(_replace, 2),
    "matches": _on_text(patterns.found, 1, evaluation=True),
    "matchesFull": _on_text(patterns.fits, 1, evaluation=True),
    "replaceMatches": _on_text(_replace_matches, 2, evaluation=True),
    "toChars": eager(_to_chars, 0, asks=Input.VALUES),
    "split": eager(_split, 1, asks=Input.VALUES),
    "join": eager(_join, 0, 1, asks=Input.VALUES),
    "encode": _on_text(_encode, 1),
    "decode": _on_text(_decode, 1),
    "escape": _on_text(_escape, 1),
    "unescape": _on_text(_unescape, 1),
}
