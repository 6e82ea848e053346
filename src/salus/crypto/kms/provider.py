# SPDX-License-Identifier: Apache-2.0
"""What Salus asks of a key provider (KMS).

A provider holds a key that never leaves it and wraps a handful of others: the page key of an installation and
the root key of each tenant. It is never called per record or per patient. The context is authenticated
together with the key, so that the root key of one tenant does not unwrap as that of another.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class KeyProvider(Protocol):
    """Wraps and unwraps keys. Every failure is a `Problem` of kind UNAVAILABLE: callers fail closed."""

    @property
    def name(self) -> str:
        """Short name for logs and reports, e.g. `local`."""
        ...

    def wrap(self, key: bytes, context: Mapping[str, str]) -> bytes:
        """Protect a key.

        Args:
            key: the bytes to wrap, usually 32.
            context: what the key is for, e.g. `{"tenant": "default", "purpose": "tenant-root"}`; not secret.

        Returns:
            An opaque blob for `unwrap`.

        Raises:
            Problem: UNAVAILABLE.
        """
        ...

    def unwrap(self, blob: bytes, context: Mapping[str, str]) -> bytes:
        """Give back a key that was wrapped with the same context.

        Raises:
            Problem: UNAVAILABLE when the provider is away, or this is not its blob or not this context.
        """
        ...

    def health(self) -> None:
        """Prove that wrapping and unwrapping work now.

        Raises:
            Problem: UNAVAILABLE.
        """
        ...
