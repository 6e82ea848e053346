# SPDX-License-Identifier: Apache-2.0
"""How many records one request may open over all the searches that it is made of."""

from __future__ import annotations

from salus.kernel.errors import Kind, Problem


class Ration:
    """What is left of a number of records; operations that search many times share one among their searches."""

    __slots__ = ("_left",)

    def __init__(self, records: int) -> None:
        self._left = records

    def take(self) -> None:
        """Count one record. Raises Problem(TOO_COSTLY) when nothing is left."""
        self._left -= 1
        if self._left < 0:
            raise Problem(Kind.TOO_COSTLY, "The request would have to open too many records; ask for less at once.")
