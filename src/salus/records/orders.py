# SPDX-License-Identifier: Apache-2.0
"""Orders that sorted searches have worked out, for their further pages: numbers of rows, and nothing else."""

from __future__ import annotations

from array import array
from collections import OrderedDict
from collections.abc import Sequence

_KEPT = 64  # orders; with the largest number of matches about 10 MB


class Orders:
    """Orders of recent searches: for each the row numbers, as they stood when the search began."""

    def __init__(self) -> None:
        self._known: OrderedDict[object, array[int]] = OrderedDict()

    def get(self, key: object) -> array[int] | None:
        """An order, if it is still here."""
        found = self._known.get(key)
        if found is not None:
            self._known.move_to_end(key)
        return found

    def keep(self, key: object, order: Sequence[int]) -> None:
        """Remember an order, and forget the one that was asked for longest ago."""
        self._known[key] = array("q", order)
        while len(self._known) > _KEPT:
            self._known.popitem(last=False)
