# SPDX-License-Identifier: Apache-2.0
"""Opens the page-encrypted files of an installation under the keys of its keyring."""

from __future__ import annotations

from pathlib import Path

from salus.crypto.keyring import Keyring
from salus.crypto.wiping import wipe
from salus.kernel.db import Connection, open_database


def opened(path: Path, keyring: Keyring, purpose: str) -> Connection:
    """Open a database file; the page key is wiped afterwards, whatever happened.

    Args:
        path: the file; made when it is missing.
        purpose: which page key, see `Keyring.page_key`.

    Raises:
        Problem: UNAVAILABLE when the key is away, or the file cannot be opened with it.
    """
    key = keyring.page_key(purpose)
    try:
        return open_database(path, key)
    finally:
        if key is not None:  # None only where `bench/` measures without page encryption
            wipe(key)
