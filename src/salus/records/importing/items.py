# SPDX-License-Identifier: Apache-2.0
"""From a document to its resources, each with its place, and to the parts in which they are kept.

A resource without an id gets one that follows from the document, so that reading the document again (after an
interruption, or because a line was mended) names the same records and never makes doubles.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from salus.fhir import json
from salus.fhir.references import rewrite
from salus.kernel.errors import Kind, Problem
from salus.records.importing.sources import DAMAGED, Document, damaged

PART = 200  # resources in one commit
MAX_LINE = 64 * 1024 * 1024

_HAS_ID = re.compile(rb'\s*\{\s*"resourceType"\s*:\s*"\w+"\s*,\s*"id"\s*:')  # how nearly every line begins

Surrogate = Callable[[str, str], bytes]


@dataclass(slots=True)
class Item:
    """What stands at one place.

    Attributes:
        place: line of an NDJSON file, FHIRPath in a Bundle, or nothing.
        resource: None for an empty line, or when there is a problem.
        named: the id was made here; whatever lies under it came from this very content.
        mark: what was read of an NDJSON file up to and with this item, as a digest.
    """

    place: str
    resource: dict[str, Any] | None
    problem: Problem | None = None
    named: bool = False
    mark: bytes = b""

    @property
    def name(self) -> tuple[str, str] | None:
        """Type and id."""
        resource = self.resource or {}
        type_, id_ = resource.get("resourceType"), resource.get("id")
        return (type_, id_) if isinstance(type_, str) and isinstance(id_, str) else None


def parts(items: Iterator[Item]) -> Iterator[list[Item]]:
    """Cut into parts of at most 200, in each of which a record stands once: its next version needs the one before.

    What stands before damage is given, then the damage is told.
    """
    part: list[Item] = []
    names: set[tuple[str, str]] = set()
    try:
        for item in items:
            name = item.name
            if len(part) == PART or name in names:
                yield part
                part, names = [], set()
            part.append(item)
            if name is not None:
                names.add(name)
    except Problem:
        if part:
            yield part
        raise
    if part:
        yield part


class Lines:
    """The lines of an NDJSON document.

    Attributes:
        mark: digest of what was read so far.
    """

    def __init__(self, document: Document, surrogate: Surrogate) -> None:
        self._document = document
        self._surrogate = surrogate
        self._digest = hashlib.sha256()
        self._seen: Counter[bytes] = Counter()  # lines without an id: the same line twice means two records
        self._number = 0

    @property
    def mark(self) -> bytes:
        """Digest of what was read so far."""
        return self._surrogate("import", self._digest.hexdigest())

    def first(self) -> str:
        """A digest of the first line, by which a file is known whatever its name; winds back."""
        try:
            line = self._document.stream.readline(MAX_LINE)
            self._document.stream.seek(0)
        except DAMAGED:
            raise damaged() from None
        return hashlib.sha256(line).hexdigest()

    def skip(self, count: int) -> bool:
        """Pass over lines; false when there are fewer."""
        for line in self._raw():
            self._note(line)
            if _HAS_ID.match(line) is None and _lacks_id(line):
                self._id_of(line)
            if self._number == count:
                return True
        return False

    def rewind(self) -> None:
        """Start over."""
        self._document.stream.seek(0)
        self._digest = hashlib.sha256()
        self._seen.clear()
        self._number = 0

    def items(self) -> Iterator[Item]:
        """The lines from here on; raises Problem where the file breaks off."""
        for line in self._raw():
            self._note(line)
            item = Item(f"line {self._number}", None)
            if line.strip():
                try:
                    item.resource = json.decode(line)
                except Problem as problem:
                    item.problem = problem
            if item.resource is not None and "id" not in item.resource:
                item.named = True
                item.resource["id"] = self._id_of(line)
            item.mark = self.mark
            yield item

    def _raw(self) -> Iterator[bytes]:
        while True:
            try:
                line = self._document.stream.readline(MAX_LINE + 1)
            except DAMAGED:
                raise damaged() from None
            if len(line) > MAX_LINE:  # few bytes may unpack to more than the machine has
                raise Problem(Kind.TOO_LARGE, f"Line {self._number + 1} has more than {MAX_LINE >> 20} MiB.")
            if not line:
                return
            yield line

    def _note(self, line: bytes) -> None:
        self._number += 1
        self._digest.update(line if line.endswith(b"\n") else line + b"\n")  # so that lines may be added later

    def _id_of(self, line: bytes) -> str:
        content = hashlib.sha256(line.strip()).digest()
        self._seen[content] += 1
        return made_id(self._surrogate, f"{content.hex()}/{self._seen[content]}")


def _lacks_id(line: bytes) -> bool:
    try:
        return "id" not in json.decode(line)
    except Problem:
        return False


def of_bundle(bundle: dict[str, Any], digest: str, surrogate: Surrogate) -> Iterator[Item]:
    """Resources of a collection, batch or other Bundle; those without an id get one, so that others can refer to it."""
    entries = bundle.get("entry", [])
    if not isinstance(entries, list):
        raise Problem(Kind.INCORRECT, "The Bundle cannot be read: entry must be an array.")
    mapping: dict[str, str] = {}
    named: set[int] = set()
    for index, entry in enumerate(entries):
        resource = entry.get("resource") if isinstance(entry, dict) else None
        if isinstance(resource, dict):
            if "id" not in resource:
                named.add(index)
                resource["id"] = made_id(surrogate, f"{digest}/{index}")
            full_url = entry.get("fullUrl")
            if isinstance(full_url, str):
                mapping[full_url] = f"{resource.get('resourceType')}/{resource['id']}"
    for index, entry in enumerate(entries):
        place = f"Bundle.entry[{index}]"
        resource = entry.get("resource") if isinstance(entry, dict) else None
        if not isinstance(resource, dict):
            yield Item(place, None, Problem(Kind.INCORRECT, "The entry has no resource."))
            continue
        rewrite(resource, mapping)
        yield Item(place, resource, named=index in named)


def made_id(surrogate: Surrogate, content: str) -> str:
    """An id that follows from content, but only with the tenant's key: UUID version 8 (RFC 9562 section 5.8)."""
    value = int.from_bytes(surrogate("import-id", content))
    value = value & ~(0xF << 76) | (0x8 << 76)
    value = value & ~(0x3 << 62) | (0x2 << 62)
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
