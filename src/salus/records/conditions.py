# SPDX-License-Identifier: Apache-2.0
"""Conditions as they stand in addresses and references: `identifier=x|1&active=true`."""

from __future__ import annotations

from urllib.parse import parse_qsl

from salus.kernel.errors import Issue, Kind, Problem

_MAX = 100


def pairs_of(condition: str, place: str) -> list[tuple[str, str]]:
    """Take a condition apart, percent-decoded.

    Raises:
        Problem: INCORRECT when it is not UTF-8 or has more than 100 parameters.
    """
    try:
        return parse_qsl(condition, keep_blank_values=True, errors="strict", max_num_fields=_MAX)
    except ValueError:
        text = "The condition cannot be read."
        raise Problem(Kind.INCORRECT, text, issues=(Issue("value", text, place),)) from None
