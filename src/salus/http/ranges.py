# SPDX-License-Identifier: Apache-2.0
"""`Range` of a request (RFC 9110 section 14): one range of bytes.

Several ranges in one request are answered with the whole, as section 14.2 allows: they have served attacks more than
people.
"""

from __future__ import annotations

import re

from salus.kernel.errors import Issue, Kind, Problem

_ONE = re.compile(r"\s*bytes\s*=\s*(?:([0-9]{1,19})\s*-\s*([0-9]{0,19})|-\s*([0-9]{1,19}))\s*", re.IGNORECASE)


def asked(header: str, size: int) -> tuple[int, int] | None:
    """Which bytes are asked for.

    Args:
        header: value of `Range`, empty without one.
        size: of the content.

    Returns:
        Start and end (not included); None for the whole, which is also what a header means that cannot be read.

    Raises:
        ValueError: the range lies outside the content, which is told as 416.
    """
    found = _ONE.fullmatch(header)
    if found is None:
        return None
    first, last, suffix = found.groups()
    if suffix is not None:
        if not int(suffix) or not size:
            raise ValueError("nothing is asked for")
        return max(0, size - int(suffix)), size
    start = int(first)
    end = int(last) + 1 if last else size
    if end <= start and last:
        return None  # not a range (section 14.1.1), so not read
    if start >= size:
        raise ValueError("behind the end")
    return start, min(end, size)


def unsatisfiable() -> Problem:
    """The words of a 416."""
    text = "The range lies outside the content."
    return Problem(Kind.INCORRECT, text, issues=(Issue("value", text, "http.Range"),))
