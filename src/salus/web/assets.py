# SPDX-License-Identifier: Apache-2.0
"""Styles, scripts and fonts: what `build_assets.py` left in `static/`, held in memory and given out under hashed names.

A name never has another content, so browsers and proxies may keep it for good; pages name the hash a second time
(`integrity`), and a browser refuses whatever does not fit.
"""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from pathlib import Path

import msgspec

from salus.http.message import Response
from salus.http.routes import Call
from salus.kernel.errors import Kind, Problem

STATIC = Path(__file__).parent / "static"

_TYPES = {
    "css": b"text/css; charset=utf-8",
    "js": b"text/javascript; charset=utf-8",
    "svg": b"image/svg+xml",
    "woff2": b"font/woff2",
}
_FOR_GOOD = (b"cache-control", b"public, max-age=31536000, immutable")


class _Built(msgspec.Struct, frozen=True):
    file: str
    integrity: str


class _Manifest(msgspec.Struct, frozen=True):
    stamp: str
    files: dict[str, _Built]


@dataclass(frozen=True, slots=True)
class _Held:
    content: bytes
    packed: bytes  # by gzip; empty where that gains nothing
    type: bytes


class Assets:
    """The built files of one installation.

    Args:
        folder: where they are; without them every page answers UNAVAILABLE, and the rest of Salus works.
    """

    def __init__(self, folder: Path = STATIC) -> None:
        self._files: dict[str, _Built] = {}
        self._held: dict[str, _Held] = {}
        try:
            manifest = msgspec.json.decode((folder / "manifest.json").read_bytes(), type=_Manifest)
            self._held = {built.file: _hold(folder / built.file) for built in manifest.files.values()}
            self._files = manifest.files
        except (OSError, msgspec.DecodeError):
            self._held = {}

    @property
    def built(self) -> bool:
        """Whether they are there."""
        return bool(self._files)

    def address(self, name: str) -> str:
        """Where a file is, by the name that it has in the sources.

        Raises:
            Problem: UNAVAILABLE when nothing was built.
        """
        return f"/static/{self._find(name).file}"

    def integrity(self, name: str) -> str:
        """What a page says of the content of a file (https://www.w3.org/TR/SRI/)."""
        return self._find(name).integrity

    def _find(self, name: str) -> _Built:
        try:
            return self._files[name]
        except KeyError:
            raise Problem(
                Kind.UNAVAILABLE,
                "The pages of this installation were not built.",
                "static files are missing: make assets",
            ) from None

    async def give(self, call: Call) -> Response:
        """GET /static/{file}.

        Raises:
            Problem: NOT_FOUND.
        """
        held = self._held.get(call.path["file"])
        if held is None:
            raise Problem(Kind.NOT_FOUND, "There is nothing at this address.")
        headers = [_FOR_GOOD, (b"vary", b"accept-encoding")]
        if held.packed and "gzip" in call.request.header(b"accept-encoding"):
            headers.append((b"content-encoding", b"gzip"))
            return Response(200, held.packed, held.type, headers)
        return Response(200, held.content, held.type, headers)


def _hold(path: Path) -> _Held:
    content = path.read_bytes()
    packed = b"" if path.suffix == ".woff2" else gzip.compress(content, mtime=0)
    return _Held(content, packed if len(packed) < len(content) else b"", _TYPES[path.suffix[1:]])
