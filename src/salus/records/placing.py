# SPDX-License-Identifier: Apache-2.0
"""What pages are made of: types ready to be answered, hits in their places, the stretch that a page takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from salus.access.permit import Permit
from salus.records.candidates import Hit
from salus.records.store.index import Plan


@dataclass(frozen=True, slots=True)
class Planned:
    """One type of a search, ready to be answered."""

    permit: Permit
    how: Plan


@dataclass(slots=True)
class Placed:
    """A hit and where it stands.

    Attributes:
        at: `seq` of its row when the search began.
        rows: index rows of its content at that moment, for sorting.
    """

    hit: Hit | None
    at: int
    type: str
    rows: list[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Span:
    """Which part of the order a page takes.

    Attributes:
        start: newest row when the search began.
        before: the page begins behind the row with this `seq`; None for the first page.
        wanted: so many hits at most.
        content: decode the hits.
        resumed: something was written since the search began.
    """

    start: int
    before: int | None
    wanted: int
    content: bool
    resumed: bool
