# SPDX-License-Identifier: Apache-2.0
"""What validation asks of a terminology, with an answer for where there is none: nobody knows."""

from __future__ import annotations


class Terms:
    """Knows no codes."""

    def member(self, value_set: str, system: str, code: str) -> bool | None:
        """Whether a code is in a value set; None when that is not known."""
        return None

    def wrong(self, system: str, code: str, display: str, version: str) -> str:
        """`unknown-code`, `wrong-display`, or "" when nothing is wrong or nobody knows."""
        return ""
