# SPDX-License-Identifier: Apache-2.0
"""What a change expects to find: a version, any version, or nothing (RFC 9110 section 13.1).

One number says it through all layers: the version that `If-Match` names, or one of the two words below.
"""

from __future__ import annotations

from salus.kernel.errors import Issue, Kind, Problem
from salus.records.store.schema import Row
from salus.records.wording import stale

ANY = 0
"""`If-Match: *`: there is a record, in whatever version."""

ABSENT = -1
"""`If-None-Match: *`: there is no record, so that nothing is overwritten."""


def check(expected: int | None, row: Row | None) -> None:
    """Compare what is expected with the newest version that the actor may see.

    Args:
        expected: a version, ANY, ABSENT, or None when nothing is expected.
        row: a deletion has a version too, but is no record.

    Raises:
        Problem: PRECONDITION.
    """
    if expected is None:
        return
    there = row is not None and not row.deleted
    if expected == ABSENT:
        if there:
            raise _taken()
    elif row is None or (not there if expected == ANY else row.version != expected):
        raise stale()


def _taken() -> Problem:
    text = "There is such a record already, and If-None-Match asks that there is none."
    return Problem(Kind.PRECONDITION, text, issues=(Issue("duplicate", text, "http.If-None-Match"),))
