# SPDX-License-Identifier: Apache-2.0
"""Levels of assurance that an application asks for (`acr_values`, OpenID Connect Core 3.1.2.1; RFC 9470 section 4)."""

from __future__ import annotations

from collections.abc import Sequence

from salus.identity.factors.assurance import LEVELS

SUPPORTED = tuple(level for level in LEVELS if level)


def enough(acr: str, asked: Sequence[str]) -> bool:
    """Whether a person was recognised as surely as was asked for: one of the levels that are known is enough."""
    known = [LEVELS[level] for level in asked if level in LEVELS]
    return not known or LEVELS.get(acr, 0) >= min(known)


def wanted(asked: Sequence[str]) -> str:
    """The lowest level that would do; empty when any does."""
    known = [level for level in asked if level in SUPPORTED]
    return min(known, key=lambda level: LEVELS[level], default="")
