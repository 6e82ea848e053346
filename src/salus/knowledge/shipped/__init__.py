# SPDX-License-Identifier: Apache-2.0
"""What comes with Salus: the terminology of FHIR R4, and US Core 6.1.0 (`ORIGIN.md` says from where).

A file holds an index and blocks of about a hundred resources. The index is read on first use (a few milliseconds), a
block when one of its resources is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache, lru_cache
from importlib import resources
from typing import Any

import msgspec
import zstandard

Resource = dict[str, Any]

FILES = ("r4.msgpack", "us_core.msgpack")


class _File(msgspec.Struct):
    index: list[tuple[str, str, str, int, int]]
    blocks: list[bytes]


class Shipped:
    """The resources of one file.

    Attributes:
        keys: type, url, version and place of each resource.
    """

    def __init__(self, name: str) -> None:
        packed = resources.files(__package__).joinpath(name).read_bytes()
        file = msgspec.msgpack.decode(packed, type=_File)
        self._blocks = file.blocks
        self._open = lru_cache(maxsize=12)(self._opened)
        self.keys = {(type_, url): (version, block, place) for type_, url, version, block, place in file.index}

    def find(self, type_: str, url: str, version: str = "") -> Resource | None:
        """A resource by type, url and version; any version when none is named."""
        found = self.keys.get((type_, url))
        if found is None or (version and version != found[0]):
            return None
        resource: Resource = self._open(found[1])[found[2]]
        return resource

    def all(self, type_: str) -> Iterator[tuple[str, str]]:
        """Url and version of each resource of a type."""
        return ((url, known[0]) for (of, url), known in self.keys.items() if of == type_)

    def _opened(self, block: int) -> list[Resource]:
        raw = zstandard.ZstdDecompressor().decompress(self._blocks[block])
        opened: list[Resource] = msgspec.msgpack.decode(raw)
        return opened


@cache
def shipped() -> tuple[Shipped, ...]:
    """All files, opened once per process."""
    return tuple(Shipped(name) for name in FILES)
