# SPDX-License-Identifier: Apache-2.0
"""From JSON bytes to the sealed body of a row, and back.

Compress, pad, seal: compressing first is what saves space, padding (Padmé) keeps lengths from telling much, and the
authenticated context nails the body to its tenant, record, version and facts, so that no row can be edited, moved or
relabelled without being noticed. Each record is compressed alone, with a dictionary that was trained on invented
records only: no record's text ever helps to compress another's.
"""

from __future__ import annotations

import threading
from importlib import resources

import zstandard

from salus.crypto.envelope import SealingKey
from salus.crypto.padding import pad, unpad

_FORMAT = "salus.record.1"
_DICTIONARY = zstandard.ZstdCompressionDict(resources.files(__package__).joinpath("dictionary.zstd").read_bytes())
_LEVEL = 3
_MAX_BODY = 256 * 1024 * 1024


class _PerThread(threading.local):
    """A compressor is not safe between threads, and dear to make."""

    def __init__(self) -> None:
        self.compress = zstandard.ZstdCompressor(level=_LEVEL, dict_data=_DICTIONARY, write_checksum=False).compress
        self.decompress = zstandard.ZstdDecompressor(dict_data=_DICTIONARY, max_window_size=_MAX_BODY).decompress


_mine = _PerThread()

Context = tuple[bytes | str | int, ...]


def context(
    tenant: str,
    rid: bytes,
    type_: str,
    version: int,
    deleted: int,
    facts: tuple[bytes, bytes, bytes, bytes, int],
) -> Context:
    """The authenticated data of a body: whatever of the row must not change under it."""
    return (_FORMAT, tenant, rid, type_, version, deleted, *facts)


def packed(plain: bytes) -> bytes:
    """Compress and pad the JSON of one record version, ready to be sealed."""
    return pad(_mine.compress(plain))


def open_body(key: SealingKey, sealed: bytes, bound_to: Context) -> bytes:
    """Open what was packed and sealed.

    Raises:
        Problem: FAULT when the body, or anything it is bound to, was changed.
    """
    return _mine.decompress(unpad(key.open(sealed, bound_to)))
