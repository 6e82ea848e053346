# SPDX-License-Identifier: Apache-2.0
"""Keys live in buffers that can be overwritten, and are overwritten when nobody needs them any more.

Python frees memory without clearing it, so a key in a `bytes` object may be found in the memory of the process
long after its last use. Keys are therefore held in `bytearray`s that their owner wipes. Libraries that only know
`bytes` (JSON, base64, `os.urandom`) leave objects that cannot be changed by Python code; `wipe` overwrites those
in place. Do that only to an object that was made a moment ago and that nobody else holds.

Copies inside OpenSSL (key schedules, MAC states) are cleared by OpenSSL when the Python object around them goes.
"""

from __future__ import annotations

import ctypes
import os

Secret = bytes | bytearray
"""A key; its owner wipes it."""

_BYTES_HEADER = bytes.__basicsize__ - 1  # CPython: the content follows the header; the last byte is the final NUL


def wipe(*secrets: Secret) -> None:
    """Overwrite keys with zeros, in place.

    Args:
        secrets: `bytearray`s; or `bytes` that were just made and have no other holder.
    """
    for secret in secrets:
        if isinstance(secret, bytearray):
            secret[:] = bytes(len(secret))
        elif len(secret) > 1:  # CPython shares the objects of length 0 and 1
            ctypes.memset(id(secret) + _BYTES_HEADER, 0, len(secret))


def random_key(size: int = 32) -> bytearray:
    """Draw a key from the kernel into a buffer that can be wiped."""
    drawn = os.urandom(size)
    key = bytearray(drawn)
    wipe(drawn)
    return key
