# SPDX-License-Identifier: Apache-2.0
"""Writing Bundles (https://hl7.org/fhir/R4/bundle.html) as bytes.

Resources come as compact JSON and are put in as they are: a page of results is never decoded only to be
encoded again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from salus.fhir import json

_text = msgspec.json.encode  # of a string: quoted and escaped


class Link(msgspec.Struct, frozen=True):
    """One link of a Bundle: `self`, `next`."""

    relation: str
    url: str


def searchset(
    entries: Iterable[tuple[str, bytes, str]],
    links: Sequence[Link],
    total: int | None = None,
    outcome: dict[str, Any] | None = None,
) -> bytes:
    """Write a page of search results.

    Args:
        entries: (full address, resource as JSON, `match` or `include`).
        total: number of matches over all pages, when it is known.
        outcome: an OperationOutcome about the search itself, put last.
    """
    parts = [
        b'{"fullUrl":%b,"resource":%b,"search":{"mode":"%b"}}' % (_text(url), body, mode.encode())
        for url, body, mode in entries
    ]
    if outcome is not None:
        parts.append(b'{"resource":%b,"search":{"mode":"outcome"}}' % json.encode(outcome))
    return _bundle(b"searchset", links, parts, total)


def matches(
    entries: Iterable[tuple[str, bytes, dict[str, Any]]],
    links: Sequence[Link],
    total: int,
    outcome: dict[str, Any] | None = None,
) -> bytes:
    """Write search results that say more of themselves than their mode.

    Args:
        entries: (full address, resource as JSON, `entry.search`).
        outcome: an OperationOutcome about the results, put last.
    """
    parts = [
        b'{"fullUrl":%b,"resource":%b,"search":%b}' % (_text(url), body, json.encode(search))
        for url, body, search in entries
    ]
    if outcome is not None:
        parts.append(b'{"resource":%b,"search":{"mode":"outcome"}}' % json.encode(outcome))
    return _bundle(b"searchset", links, parts, total)


def history(entries: Iterable[dict[str, Any]], bodies: Sequence[bytes], links: Sequence[Link]) -> bytes:
    """Write a page of a history.

    Args:
        entries: for each version the entry without its resource.
        bodies: for each version the resource as JSON, empty for a deletion.
    """
    parts = [_with_resource(entry, body) for entry, body in zip(entries, bodies, strict=True)]
    return _bundle(b"history", links, parts, None)


def responses(kind: str, entries: Iterable[tuple[dict[str, Any], bytes]]) -> bytes:
    """Write the answer to a transaction or batch.

    Args:
        kind: `transaction-response` or `batch-response`.
        entries: for each request the entry without its resource, and the resource as JSON or nothing.
    """
    return _bundle(kind.encode(), (), [_with_resource(entry, body) for entry, body in entries], None)


def _with_resource(entry: dict[str, Any], body: bytes) -> bytes:
    rest = json.encode(entry)
    return b'{"resource":%b,%b' % (body, rest[1:]) if body else rest


def _bundle(kind: bytes, links: Sequence[Link], entries: list[bytes], total: int | None) -> bytes:
    out = [b'{"resourceType":"Bundle","type":"', kind, b'"']
    if total is not None:
        out.append(b',"total":%d' % total)
    if links:
        written = b",".join(b'{"relation":%b,"url":%b}' % (_text(link.relation), _text(link.url)) for link in links)
        out += [b',"link":[', written, b"]"]
    if entries:  # an empty array is not allowed in FHIR JSON
        out += [b',"entry":[', b",".join(entries), b"]"]
    out.append(b"}")
    return b"".join(out)
