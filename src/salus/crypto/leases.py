# SPDX-License-Identifier: Apache-2.0
"""How long an unwrapped key may be used without asking its provider again.

Before the soft limit ends, the key is asked for anew. While the provider is away the held key goes on being used until
the hard limit; then it is wiped, and whatever needs it is refused until the provider answers.
"""

from __future__ import annotations

import random
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")

_EARLIEST, _LATEST = 0.7, 0.9  # parts of the soft limit; spread, so that processes do not ask all at once


class Limits(NamedTuple):
    """In seconds."""

    soft: float = 300.0
    hard: float = 3600.0


class Lease(Generic[T]):
    """An unwrapped key and its limits, in elapsed seconds.

    Attributes:
        value: the key, or keys made from it.
        renew_at: when the provider is asked again.
        ends_at: from then on the key must not be used.
    """

    __slots__ = ("ends_at", "renew_at", "value")

    def __init__(self, value: T, asked_at: float, limits: Limits) -> None:
        """Start a lease.

        Args:
            asked_at: when the provider was asked; the answer may have taken its time.
        """
        self.value = value
        self.renew(asked_at, limits)

    def renew(self, asked_at: float, limits: Limits) -> None:
        """The provider gave the same key out again."""
        self.renew_at = asked_at + limits.soft * random.uniform(_EARLIEST, _LATEST)  # noqa: S311  spread, no secret
        self.ends_at = asked_at + limits.hard
