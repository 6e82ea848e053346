# SPDX-License-Identifier: Apache-2.0
"""Random bytes for nonces and identifiers, drawn from the kernel in blocks.

One system call for many nonces: `os.urandom` for each of them costs a read more than sealing its audit entry. The block
lies in memory until it is used, so keys and tokens are never made of it; those draw from the kernel directly. A forked
child starts with an empty block: two processes never share bytes.
"""

from __future__ import annotations

import os
from threading import Lock

_BLOCK = 8192

_lock = Lock()
_block = b""
_used = 0


def nonce_bytes(count: int) -> bytes:
    """Give `count` (at most 64) random bytes that were never given before. Safe between threads and across forks."""
    global _block, _used  # noqa: PLW0603  one block for the process is the point
    with _lock:
        start = _used
        if start + count > len(_block):
            _block, start = os.urandom(_BLOCK), 0
        _used = start + count
        return _block[start : start + count]


def _forget() -> None:
    global _block, _used, _lock
    _block, _used, _lock = b"", 0, Lock()


os.register_at_fork(after_in_child=_forget)
