# SPDX-License-Identifier: Apache-2.0
"""Regular expressions of value set filters, matched in time that grows with the text and never explodes.

A filter comes from outside, and Python's own `re` can be made to work for hours by a short pattern; RE2 cannot. What it
does not read (back references, looking around) is refused. A pattern must fit the whole text
(https://hl7.org/fhir/R4/valueset-filter-operator.html, `regex`).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from salus.kernel.errors import Kind, Problem

_MAX_PATTERN = 500
_MEMORY = 1 << 20  # bytes that a compiled pattern may take


class Pattern:
    """A compiled pattern; `fits` tells whether it matches the whole of a text."""

    def __init__(self, text: str) -> None:
        """Raises Problem(INVALID) for what is no pattern, or none that is read here."""
        import re2  # loaded when the first pattern is used

        options = re2.Options()
        options.log_errors = False
        options.max_mem = _MEMORY
        try:
            self._compiled: Any = re2.compile(text, options) if len(text) <= _MAX_PATTERN else None
        except re2.error:
            self._compiled = None
        if self._compiled is None:
            raise Problem(Kind.INVALID, "A regular expression in the value set cannot be read here.")

    def fits(self, text: str) -> bool:
        """Whether the whole text matches."""
        return self._compiled.fullmatch(text) is not None


@lru_cache(maxsize=256)
def pattern(text: str) -> Pattern:
    """The compiled pattern, remembered; raises Problem as `Pattern` does."""
    return Pattern(text)
