# SPDX-License-Identifier: Apache-2.0
"""From agreements to a score and a grade, after Fellegi and Sunter (1969), "A theory for record linkage".

Each agreement weighs log2(m/u): how much more often it is seen between two records of one person (m) than between
records of two persons (u). The weights below are set from m and u that fit a clinic of some ten thousand patients; the
prior says that before anything is compared one pair in 8192 is the same person. The score is the probability that
follows. "Certain" is never a matter of the score alone: a rule that a person can check must hold as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from salus.fhir.matching.fields import COMPARE

Grade = Literal["certain", "probable", "possible", "certainly-not"]
"""https://hl7.org/fhir/R4/valueset-match-grade.html"""

PRIOR = -13.0
"""log2 of the odds before anything is compared."""

WEIGHTS: dict[str, dict[str, float]] = {
    "identifier": {"same": 19.0, "different": -5.0},
    "family": {"same": 7.5, "sounds alike": 5.0, "similar": 2.0, "different": -3.5},
    "given": {"same": 5.5, "sounds alike": 4.0, "similar": 1.5, "initial": 2.0, "different": -4.0},
    "birthDate": {"same": 14.0, "one digit": 6.5, "swapped": 8.0, "month": 5.0, "year": 2.0, "different": -6.0},
    "gender": {"same": 1.0, "different": -4.5},
    "telecom": {"mail": 9.0, "phone": 6.0, "different": -0.5},
    "address": {"street": 7.0, "place": 1.5, "different": -1.0},
    "multipleBirth": {"different": -14.0},
}
"""Bits by field and agreement."""

PROBABLE, POSSIBLE = 0.9, 0.05
"""Least scores of these grades."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the comparison came to.

    Attributes:
        evidence: (field, agreement, weight) of every field that both say something about.
    """

    score: float
    grade: Grade
    evidence: tuple[tuple[str, str, float], ...]

    @property
    def words(self) -> str:
        """The evidence for a person; it names no value of either record."""
        said = [f"{field} {agreement} ({weight:+.1f})" for field, agreement, weight in self.evidence]
        return f"{self.grade}, score {self.score:.4f}: {', '.join(said)}; prior {PRIOR:+.1f}."


def judge(asked: dict[str, Any], candidate: dict[str, Any]) -> Verdict:
    """Compare a described patient with a known one."""
    agreements = {field: found for field, compare in COMPARE.items() if (found := compare(asked, candidate))}
    evidence = tuple((field, found, WEIGHTS[field][found]) for field, found in agreements.items())
    total = PRIOR + sum(weight for _, _, weight in evidence)
    score = 1 / (1 + 2 ** min(max(-total, -60.0), 60.0))
    return Verdict(score, _grade(score, agreements), evidence)


def _grade(score: float, agreements: dict[str, str]) -> Grade:
    if score >= PROBABLE:
        return "certain" if _certain(agreements) else "probable"
    return "possible" if score >= POSSIBLE else "certainly-not"


def _certain(agreements: dict[str, str]) -> bool:
    """The deterministic rule.

    The same number of the same system and the same birth date, and a name that is at least similar; or the same name,
    birth date and gender and the same mail, phone or street. Nothing may contradict it.
    """
    name = {agreements.get("family"), agreements.get("given")}
    if "different" in {agreements.get(field) for field in ("identifier", "birthDate", "gender", "multipleBirth")}:
        return False
    if agreements.get("birthDate") != "same":
        return False
    if agreements.get("identifier") == "same":
        return not name & {"different", None}
    reached = agreements.get("telecom") in {"mail", "phone"} or agreements.get("address") == "street"
    return name == {"same"} and agreements.get("gender") == "same" and reached
