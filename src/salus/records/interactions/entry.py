# SPDX-License-Identifier: Apache-2.0
"""Entries of transaction and batch Bundles: reading the requests.

https://hl7.org/fhir/R4/bundle.html  https://hl7.org/fhir/R4/http.html#transaction
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from salus.fhir import json
from salus.fhir.definitions import resource_types
from salus.fhir.outcome import ISSUE_TYPES
from salus.fhir.search.dates import interval
from salus.kernel.errors import Issue, Kind, Problem
from salus.records.preconditions import ABSENT, ANY

_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"}
_READING = {"GET", "HEAD"}
_TYPES = frozenset(resource_types())
STATUS = {
    Kind.FORBIDDEN: "403 Forbidden",
    Kind.NOT_FOUND: "404 Not Found",
    Kind.GONE: "410 Gone",
    Kind.CONFLICT: "409 Conflict",
    Kind.PRECONDITION: "412 Precondition Failed",
    Kind.INVALID: "422 Unprocessable Entity",
    Kind.INCORRECT: "400 Bad Request",
    Kind.TOO_COSTLY: "400 Bad Request",
}
"""How an entry tells what concerns it alone; what is not here concerns the server, and fails the Bundle."""
_IN_A_BUNDLE = {
    "http.url": "request.url",
    "http.If-Match": "request.ifMatch",
    "http.If-None-Match": "request.ifNoneMatch",
    "http.If-None-Exist": "request.ifNoneExist",
}
"""Where a Bundle says what a request of its own says in its address and headers."""
_ETAG = re.compile(r'(?:W/)?"?(\d{1,9})"?')


@dataclass(slots=True)
class Entry:
    """One request of a Bundle.

    Attributes:
        index: position in the Bundle.
        id: from the address; assigned by a transaction for new records.
        query: the search part of a conditional address or of a GET.
        tail: what follows the id in the address of a GET (`_history`, `_history/3`).
        if_match: what a change expects to find, as `preconditions` says it.
        if_none_match: ETags that the client has already, as text, for a read.
        if_modified_since: in milliseconds, for a read.
        operation: name of the operation that the address calls, without `$`.
        text: the resource as JSON when it is not decoded yet; `resource` is None then.
        whole: the Bundle that it is from.
    """

    index: int
    method: str
    type: str
    id: str
    query: str
    tail: str
    full_url: str
    resource: dict[str, Any] | None
    if_match: int | None
    if_none_exist: str
    if_none_match: str = ""
    if_modified_since: int | None = None
    operation: str = ""
    text: bytes = b""
    whole: bytes = b""

    def brought(self) -> dict[str, Any] | None:
        """The resource; what came as text is decoded at each call.

        Raises:
            Problem: INCORRECT when it cannot be read.
        """
        if not self.text:
            return self.resource
        try:
            return json.decode(self.text)
        except Problem:
            json.decode(self.whole)  # which says at which line of the Bundle
            raise

    @property
    def reads(self) -> bool:
        """Whether the entry changes nothing."""
        return self.method in _READING


class Fresh:
    """Gives the entries of a Bundle, decoded anew for every attempt but the first.

    Args:
        sent: the decoded Bundle.
        raw: the same as JSON bytes, should it be needed again.
        limit, base: as `entries_of` takes them.
        texts: for each entry its resource as JSON, when `sent` is without them (`salus.fhir.json.decode_apart`).
    """

    def __init__(
        self, sent: dict[str, Any], raw: bytes, limit: int, base: str = "", texts: Sequence[bytes] | None = None
    ) -> None:
        self._sent: dict[str, Any] | None = sent
        self._raw = raw
        self._limit = limit
        self._base = base
        self._texts = texts

    def __call__(self) -> list[Entry]:
        """Entries that nobody has written into yet."""
        sent = self._sent
        if self._texts is not None and sent is not None:  # nobody writes into what is decoded again each time
            entries = entries_of(sent, self._limit, self._base, self._texts)
            for entry in entries:
                entry.whole = self._raw
            return entries
        self._sent = None
        return entries_of(sent if sent is not None else json.decode(self._raw), self._limit, self._base)


def entries_of(bundle: dict[str, Any], limit: int, base: str = "", texts: Sequence[bytes] | None = None) -> list[Entry]:
    """Read the requests of a decoded transaction.

    Args:
        limit: the largest number of entries that is taken.
        base: own base address; a request may spell its address in full.
        texts: for each entry its resource as JSON, when the Bundle is without them.

    Raises:
        Problem: INCORRECT with the place of the entry that cannot be read; TOO_LARGE above the limit.
    """
    items = _items(bundle, limit)
    if texts is None:
        return [_entry(index, item, base) for index, item in enumerate(items)]
    return [_entry(index, item, base, text) for index, (item, text) in enumerate(zip(items, texts, strict=True))]


def entries_apart(bundle: dict[str, Any], limit: int, base: str = "") -> list[Entry | Problem]:
    """Read the requests of a decoded batch: an entry that cannot be read stands as its Problem."""
    found: list[Entry | Problem] = []
    for index, item in enumerate(_items(bundle, limit)):
        try:
            found.append(_entry(index, item, base))
        except Problem as problem:
            found.append(problem)
    return found


def _items(bundle: dict[str, Any], limit: int) -> list[Any]:
    raw = bundle.get("entry", [])
    if not isinstance(raw, list):
        raise _unreadable("Bundle.entry", "entry must be an array")
    if len(raw) > limit:
        raise Problem(Kind.TOO_LARGE, f"A Bundle may have {limit} entries.")
    return raw


def _entry(index: int, item: Any, base: str, text: bytes = b"") -> Entry:
    place = f"Bundle.entry[{index}]"
    if not isinstance(item, dict):
        raise _unreadable(place, "an entry must be an object")
    request = item.get("request")
    if not isinstance(request, dict):
        raise _unreadable(f"{place}.request", "an entry needs a request")
    method, url = request.get("method"), request.get("url")
    if not isinstance(method, str) or method not in _METHODS:
        raise _unreadable(f"{place}.request.method", "the method must be GET, HEAD, POST, PUT, PATCH or DELETE")
    if not isinstance(url, str):
        raise _unreadable(f"{place}.request.url", "the request needs an address")
    address, operation, query = _operation(url.removeprefix(base) if base else url)
    type_, id_, tail = _split(address, place, on_system=bool(operation or (query and method in _READING)))
    resource = None if text else item.get("resource")
    if resource is not None and not isinstance(resource, dict):
        raise _unreadable(f"{place}.resource", "a resource must be an object")
    if method == "POST" and id_ and not operation:
        raise _unreadable(f"{place}.request.url", "POST goes to a type, without an id")
    if method == "POST" and query and not operation:
        raise _unreadable(f"{place}.request.url", "POST takes its condition in ifNoneExist")
    if method in {"PUT", "PATCH", "DELETE"} and not (id_ or query) and not operation:
        raise _unreadable(f"{place}.request.url", f"{method} needs an id or a condition")
    if tail and method not in _READING:
        raise _unreadable(f"{place}.request.url", f"{method} goes to a record, never to one of its versions")
    if id_ and query and method not in _READING and not operation:
        raise _unreadable(f"{place}.request.url", f"{method} takes an id or a condition, not both")
    return Entry(
        index=index,
        method=method,
        type=type_,
        id=id_,
        query=query,
        tail=tail,
        full_url=_text(item, "fullUrl", place),
        resource=resource,
        if_match=_expected(request, method, place),
        if_none_exist=_text(request, "ifNoneExist", f"{place}.request").lstrip("?"),
        if_none_match=_text(request, "ifNoneMatch", f"{place}.request"),
        if_modified_since=_moment(_text(request, "ifModifiedSince", f"{place}.request"), place),
        operation=operation,
        text=text,
    )


def _operation(url: str) -> tuple[str, str, str]:
    """Address without query and operation, name of the operation without `$`, and the query."""
    path, _, query = url.lstrip("/").partition("?")
    address, _, last = path.rpartition("/")
    return (address, last[1:], query) if last.startswith("$") else (path, "", query)


def _split(path: str, place: str, *, on_system: bool) -> tuple[str, str, str]:
    parts = path.split("/")
    if parts == [""] and on_system:
        return "", "", ""
    if parts[0] not in _TYPES:
        raise _unreadable(f"{place}.request.url", "the address must start with a resource type")
    return parts[0], parts[1] if len(parts) > 1 else "", "/".join(parts[2:])


def _text(item: dict[str, Any], name: str, place: str) -> str:
    value = item.get(name, "")
    if not isinstance(value, str):
        raise _unreadable(f"{place}.{name}", f"{name} must be text")
    return value


def _expected(request: dict[str, Any], method: str, place: str) -> int | None:
    """What a change expects to find, as `preconditions` says it."""
    match = _text(request, "ifMatch", f"{place}.request")
    none = _text(request, "ifNoneMatch", f"{place}.request") if method == "PUT" else ""
    return expected(match, none, f"{place}.request.ifMatch", f"{place}.request.ifNoneMatch")


def expected(match: str, none: str, place_of_match: str, place_of_none: str) -> int | None:
    """Read `If-Match` and the `If-None-Match` of an update.

    Returns:
        What `preconditions.check` takes.

    Raises:
        Problem: INCORRECT with the place.
    """
    if not none:
        return parse_etag(match, place_of_match) if match else None
    if match:
        raise _unreadable(place_of_none, "If-Match and If-None-Match contradict each other")
    if none.strip() != "*":
        raise _unreadable(place_of_none, "an update is made conditional on absence by * alone")
    return ABSENT


def _moment(text: str, place: str) -> int | None:
    """Milliseconds of an instant (https://hl7.org/fhir/R4/bundle-definitions.html#Bundle.entry.request.ifModifiedSince)."""
    if not text:
        return None
    found = interval(text)
    if found is None or found[0] is None or "T" not in text:
        raise _unreadable(f"{place}.request.ifModifiedSince", "a moment is written as 2026-01-31T08:00:00Z")
    return found[0]


def parse_etag(etag: str, place: str) -> int:
    """Read the version out of `W/"3"` (https://hl7.org/fhir/R4/http.html#concurrency); `*` is any version."""
    if etag.strip() == "*":
        return ANY
    match = _ETAG.fullmatch(etag.strip())
    if match is None:
        raise _unreadable(place, 'a version is named as W/"3"')
    return int(match[1])


def _unreadable(place: str, text: str) -> Problem:
    words = f"The Bundle cannot be read: {text}." if place.startswith("Bundle") else f"{text[0].upper()}{text[1:]}."
    return Problem(Kind.INCORRECT, words, issues=(Issue("value", words, place),))


class placed:  # noqa: N801  reads as the verb that it is: `with placed(entry):`
    """Tell problems of one entry with their place in the Bundle."""

    __slots__ = ("_index",)

    def __init__(self, entry: Entry) -> None:
        self._index = entry.index

    def __enter__(self) -> None:
        """Nothing happens while all is well."""

    def __exit__(self, _kind: object, problem: BaseException | None, _trace: object) -> None:
        """Raise a `Problem` again, with the entry before each place."""
        if not isinstance(problem, Problem):
            return
        prefix = f"Bundle.entry[{self._index}]"
        issues = problem.issues or (Issue(ISSUE_TYPES[problem.kind], problem.public),)
        raise Problem(
            problem.kind,
            problem.public,
            problem.detail,
            issues=tuple(Issue(i.code, i.text, _join(prefix, i.place)) for i in issues),
            retry_after=problem.retry_after,
        ) from None


def _join(prefix: str, place: str) -> str:
    if not place:
        return prefix
    if place.startswith("Bundle.entry["):
        return place
    if place[0].isupper():  # `Patient.name[0]` becomes `Bundle.entry[3].resource.name[0]`
        _, dot, rest = place.partition(".")
        return f"{prefix}.resource{dot}{rest}"
    return f"{prefix}.{_IN_A_BUNDLE.get(place, place)}"
