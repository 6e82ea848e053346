# SPDX-License-Identifier: Apache-2.0
"""What validation asks about codes, and who answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from salus.fhir.terminology.protocol import Cause, Coding, Terminology
from salus.fhir.ucum import scale
from salus.fhir.validate.codeforms import may_exist

UCUM: Final = "http://unitsofmeasure.org"
_WRONG: Final = {Cause.UNKNOWN_CODE: "unknown-code", Cause.WRONG_DISPLAY: "wrong-display"}


class Terms:
    """Knows units, and of other codes only which cannot exist."""

    def member(self, value_set: str, system: str, code: str) -> bool | None:
        """Whether a code is in a value set; None when that is not known."""
        return None

    def wrong(self, system: str, code: str, display: str, version: str) -> str:
        """`unknown-code`, `unknown-unit`, `wrong-display`, or "" when nothing is wrong or nobody knows."""
        if system == UCUM:
            return "unknown-unit" if scale(code) is None else ""
        return "" if may_exist(system, code) else "unknown-code"


class Asked(Terms):
    """Asks a terminology.

    Args:
        terminology: gives the one that is in force now.
    """

    def __init__(self, terminology: Callable[[], Terminology]) -> None:
        self._terminology = terminology

    def member(self, value_set: str, system: str, code: str) -> bool | None:
        """As `Terms.member`."""
        return self._terminology().member_of(value_set, system, code)

    def wrong(self, system: str, code: str, display: str, version: str) -> str:
        """As `Terms.wrong`."""
        if system == UCUM:
            return super().wrong(system, code, display, version)
        verdict = self._terminology().validate_in_system(Coding(system, code, display, version))
        if verdict.result is True:
            return ""
        said = _WRONG.get(verdict.cause, "") if verdict.result is False else ""
        return said or super().wrong(system, code, display, version)
