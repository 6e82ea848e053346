# SPDX-License-Identifier: Apache-2.0
"""What can be wrong with a patch, in words that never repeat it.

A patch that cannot be read is INCORRECT (400), one that does not fit the resource is INVALID (422), as RFC 5789
section 2.2 tells "malformed" from "unprocessable".
"""

from __future__ import annotations

from salus.kernel.errors import Issue, Kind, Problem


def malformed(text: str, place: str) -> Problem:
    """The patch itself cannot be understood."""
    return Problem(Kind.INCORRECT, "The patch cannot be read.", issues=(Issue("invalid", text, place),))


def does_not_fit(text: str, place: str) -> Problem:
    """The patch is well formed, but not for this resource."""
    return Problem(Kind.INVALID, "The patch does not fit the resource.", issues=(Issue("processing", text, place),))


def too_much(text: str) -> Problem:
    """The patch would cost more than any honest one."""
    return Problem(Kind.TOO_COSTLY, text)
