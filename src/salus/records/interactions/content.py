# SPDX-License-Identifier: Apache-2.0
"""The content of a Binary that was read: whole, in part, or within its resource."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable
from typing import Any

from salus.access.permissions import Permission
from salus.access.permit import Permit
from salus.fhir import json
from salus.kernel.breath import Breath
from salus.kernel.errors import Kind, Problem
from salus.records.attached import Attached, attached, inline, with_data
from salus.records.context import Context
from salus.records.security_context import BINARY
from salus.records.store.content import CHUNK, Opening
from salus.records.store.store import Version
from salus.records.wording import absent

DEFAULT_TYPE = "application/octet-stream"


class Content:
    """What a version of a Binary holds; made by `content_of`.

    Attributes:
        media: `contentType` of the record.
        size: bytes.
        sha256: of the content.
    """

    def __init__(
        self,
        ctx: Context,
        permit: Permit,
        resource: dict[str, Any],
        opening: Opening | None,
        name: bytes,
        again: Callable[[], Opening | None],
    ) -> None:
        self.media: str = resource.get("contentType", DEFAULT_TYPE)
        self._ctx = ctx
        self._permit = permit
        self._resource = resource
        self._opening = opening
        self._again = again
        self._name = name
        self._data = b"" if opening is not None else inline(resource)
        self.size = opening.size if opening is not None else len(self._data)
        self.sha256 = opening.sha256 if opening is not None else hashlib.sha256(self._data).digest()

    @property
    def apart(self) -> bool:
        """Whether it lies in chunks."""
        return self._opening is not None

    async def part(self, start: int, end: int) -> AsyncIterator[bytes]:
        """Give bytes from `start` up to, not with, `end`; the whole is held against its hash.

        Raises:
            Problem: FAULT when a chunk is missing or was changed. What was given until then is genuine.
        """
        if self._opening is None:
            yield self._data[start:end]
            return
        digest = hashlib.sha256() if (start, end) == (0, self.size) else None
        breath = Breath()
        for number in range(start // CHUNK, (end - 1) // CHUNK + 1):
            piece = self._chunk(self._opening, number)
            if digest is not None:
                digest.update(piece)
                if number == self._opening.last and digest.digest() != self.sha256:
                    raise Problem(Kind.FAULT, "A stored content failed its integrity check.", "another hash")
            at = number * CHUNK
            yield piece[max(start - at, 0) : end - at]
            await breath.pause()

    async def resource(self) -> bytes:
        """The Binary as JSON with the content as `data`."""
        pieces = [piece async for piece in self.part(0, self.size)]
        return with_data(self._resource, pieces)

    def _chunk(self, opening: Opening, number: int) -> bytes:
        sealed = self._ctx.store.contents.chunk(self._permit, self._name, number)
        if not opening.knows(sealed):  # the patient's key, and with it this content's, is being replaced
            self._opening = opening = self._again() or opening
            sealed = self._ctx.store.contents.chunk(self._permit, self._name, number)
        return opening.chunk(number, sealed)


def content_of(ctx: Context, version: Version, permission: Permission) -> Content:
    """The content of a version that the actor has read under a permission; their mask has been applied to it.

    Raises:
        Problem: FAULT when it is missing or was changed.
    """
    permit = ctx.decide(permission, BINARY)
    resource = json.decode(version.body)
    named = attached(resource)

    def again() -> Opening | None:
        return _opening(ctx, permit, version, named)

    return Content(ctx, permit, resource, again(), named.name if named else b"", again)


def _opening(ctx: Context, permit: Permit, version: Version, named: Attached | None) -> Opening | None:
    if named is None:
        return None
    row = ctx.store.version(permit, version.id, version.version)
    if row is None:
        raise absent()
    opening = ctx.store.open_content(permit, row.rid, row.owners, named.name)
    if opening is None or (opening.size, opening.sha256) != (named.size, named.sha256):
        raise Problem(Kind.FAULT, "A stored content failed its integrity check.", "not the one that the record names")
    return opening
