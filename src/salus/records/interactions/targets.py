# SPDX-License-Identifier: Apache-2.0
"""What references inside a transaction come to mean: other entries, or the one record that a condition matches.

https://hl7.org/fhir/R4/http.html#trules (conditional references)
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from salus.fhir.definitions import resource_types
from salus.kernel.errors import Issue, Kind, Problem
from salus.records.context import Context
from salus.records.finding import match_one

_TYPES = frozenset(resource_types())
_CONDITION = re.compile(r"([A-Z][A-Za-z]+)\?(.+)")


class Targets(dict[str, str]):
    """`Type/id` by what a reference says. Conditions are looked up when they are first met."""

    def __init__(self, ctx: Context, entries: Mapping[str, str]) -> None:
        super().__init__(entries)
        self._ctx = ctx

    def __bool__(self) -> bool:
        return True  # even without entries there may be conditions

    def __contains__(self, text: object) -> bool:
        return dict.__contains__(self, text) or (isinstance(text, str) and "?" in text and self._resolved(text))

    def _resolved(self, text: str) -> bool:
        condition = _CONDITION.fullmatch(text)
        if condition is None or condition[1] not in _TYPES:
            return False
        found, _ = match_one(self._ctx, condition[1], condition[2], "resource")
        if found is None:  # the same words for none and for one that is hidden
            words = "A conditional reference matches no record."
            raise Problem(Kind.INCORRECT, words, issues=(Issue("not-found", words, "resource"),))
        self[text] = f"{condition[1]}/{found.version.id}"
        return True
