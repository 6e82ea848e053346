# SPDX-License-Identifier: Apache-2.0
"""Full-text expressions over blind tokens, judged without the index: for rows that are not in it yet."""

from __future__ import annotations

import re
from collections.abc import Iterator

_WORDS = re.compile(r"[0-9a-f]{16}|AND|OR|[()]")


def admits(expression: str, terms: str) -> bool:
    """Whether a record with these tokens would be a candidate.

    Args:
        expression: as `index.plan` makes it: AND and OR never stand beside each other without brackets. Empty admits
            every record.
        terms: tokens separated by spaces.
    """
    return _value(iter(_WORDS.findall(expression)), frozenset(terms.split()))


def _value(words: Iterator[str], held: frozenset[str]) -> bool:
    """The value of what stands before the closing bracket, or the end."""
    values: list[bool] = []
    either = False
    for word in words:
        if word == ")":
            break
        if word == "(":
            values.append(_value(words, held))
        elif word == "OR":
            either = True
        elif word != "AND":
            values.append(word in held)
    return any(values) if either else all(values)
