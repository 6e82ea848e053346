# SPDX-License-Identifier: Apache-2.0
"""Whether a code exists in the system that it names (https://hl7.org/fhir/R4/terminologies.html#code).

Asked of terminology, and remembered: records repeat few codes very often. Nothing is said about a system that is not
here, or not here as a whole.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from salus.fhir.validate.finding import Severity

Json = dict[str, Any]
Fault = tuple[Severity, str, str]
# (system, code, display, version) -> "", "unknown-code", "unknown-unit" or "wrong-display".
Asking = Callable[[str, str, str, str], str]

_REMEMBERED: Final = 50_000
_UNKNOWN: Final = frozenset({"unknown-code", "unknown-unit"})


def _nothing(_system: str, _code: str, _display: str, _version: str) -> str:
    return ""


class Codes:
    """A memory of codes in front of a terminology.

    Args:
        asking: says what is wrong with a code: `unknown-code`, `unknown-unit`, `wrong-display`, or "" when nothing
            is or nobody knows.
        refuse: whether a code that does not exist is an error; else it is a warning.
    """

    def __init__(self, asking: Asking = _nothing, *, refuse: bool = False) -> None:
        self._asking = asking
        self._refuse = refuse
        self._good: set[tuple[str, str]] = set()

    def forget(self) -> None:
        """Start anew, because other code systems are there now."""
        self._good = set()

    def doubtful(self, pairs: list[tuple[str, str]]) -> bool:
        """Whether one of these (system, code) may be an error. What is fine costs one look-up."""
        if not self._refuse:
            return False
        good = self._good
        for pair in pairs:
            if pair not in good:
                if type(pair[0]) is not str or type(pair[1]) is not str or self._asking(*pair, "", "") in _UNKNOWN:
                    return True
                if len(good) >= _REMEMBERED:
                    good.clear()
                good.add(pair)
        return False

    def fault(self, coding: Json) -> Fault | None:
        """What is wrong with a Coding or Quantity, if its code system is known here."""
        system, code = coding.get("system"), coding.get("code")
        if type(system) is not str or type(code) is not str:
            return None
        display, version = coding.get("display"), coding.get("version")
        wrong = self._asking(
            system, code, display if type(display) is str else "", version if type(version) is str else ""
        )
        if "/ValueSet/" in system:
            severity = Severity.ERROR if self._refuse else Severity.WARNING
            return severity, "code-invalid", "names a value set where its code system belongs"
        if wrong in _UNKNOWN:
            severity = Severity.ERROR if self._refuse else Severity.WARNING
            units = wrong == "unknown-unit"
            words = "has a code that UCUM does not have" if units else "is not a code of the system that it names"
            return severity, "code-invalid", words
        if wrong == "wrong-display":
            return Severity.WARNING, "code-invalid", "has a display that is not the one of its code"
        return None
