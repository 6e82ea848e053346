# SPDX-License-Identifier: Apache-2.0
"""Vaccines by age: the childhood schedule, and what adults are offered.

A dose is given at the first visit on or after the day it is due. Doses due before the record begins were
given elsewhere and are not in it. The schedule follows the CDC's in outline
(https://www.cdc.gov/vaccines/hcp/imz-schedules/); codes: CVX.
"""

from __future__ import annotations

from random import Random
from typing import NamedTuple

from salus.synthetic.chart import Chart, Sitting, staff_reference
from salus.synthetic.clinic import NURSE
from salus.synthetic.history import Visit
from salus.synthetic.terms import (
    CVX,
    MAIN_SITE,
    SNOMED,
    Term,
    concept,
    quantity,
    reference,
)


class Vaccine(NamedTuple):
    """A vaccine: CVX code, months of age at which its doses are due, latest age in years, price in cents."""

    term: Term
    due: tuple[int, ...]
    until: float
    cents: int
    millilitres: float = 0.5


_CHILD = (
    Vaccine(Term(CVX, "08", "Hep B, adolescent or pediatric"), (2, 6), 3, 4100),
    Vaccine(Term(CVX, "119", "rotavirus, monovalent"), (2, 4), 0.65, 12800, 1.0),
    Vaccine(Term(CVX, "20", "DTaP"), (2, 4, 6, 15, 48), 7, 5200),
    Vaccine(Term(CVX, "49", "Hib (PRP-OMP)"), (2, 4, 12), 5, 5600),
    Vaccine(Term(CVX, "133", "Pneumococcal conjugate PCV 13"), (2, 4, 6, 12), 5, 21900),
    Vaccine(Term(CVX, "10", "IPV"), (2, 4, 6, 48), 7, 4800),
    Vaccine(Term(CVX, "03", "MMR"), (12, 48), 12, 9400),
    Vaccine(Term(CVX, "21", "varicella"), (12, 48), 12, 15600),
    Vaccine(Term(CVX, "83", "Hep A, ped/adol, 2 dose"), (12, 18), 4, 4700),
    Vaccine(Term(CVX, "115", "Tdap"), (132,), 18, 5500),
    Vaccine(Term(CVX, "165", "HPV9"), (132, 144), 18, 28900),
    Vaccine(Term(CVX, "114", "meningococcal MCV4P"), (132, 192), 18, 17400),
)
_INFLUENZA = Vaccine(Term(CVX, "140", "Influenza, seasonal, injectable, preservative free"), (), 120, 3200)
_ADULT = (
    Vaccine(Term(CVX, "113", "Td (adult) preservative free"), (300, 420, 540, 660, 780, 900), 100, 4400),
    Vaccine(Term(CVX, "187", "zoster recombinant"), (600, 606), 100, 21500),
    Vaccine(Term(CVX, "33", "pneumococcal polysaccharide vaccine, 23 valent"), (780,), 100, 13900),
)
_MUSCLE = Term(SNOMED, "78421000", "Intramuscular route")
_MOUTH = Term(SNOMED, "26643006", "Oral route")


class Schedule:
    """Which doses a person still has to get; asked once per visit, in order of date."""

    def __init__(self, first: Visit, chart: Chart) -> None:
        self._next: dict[Term, int] = {}
        self._chart = chart
        months = chart.person.age(first.on) * 12
        if months > 3:
            for vaccine in (*_CHILD, *_ADULT):
                self._next[vaccine.term] = sum(1 for due in vaccine.due if due < months - 6)

    def due(self, visit: Visit, random: Random) -> list[tuple[Vaccine, int]]:
        """Vaccines to give at a visit with the number of the dose; at most one dose of each."""
        age = self._chart.person.age(visit.on)
        if visit.kind not in {"well-child", "check-up", "follow-up"}:
            return []
        given = []
        for vaccine in _CHILD if age < 18 else _ADULT:
            number = self._next.get(vaccine.term, 0)
            if number < len(vaccine.due) and vaccine.due[number] / 12 <= age < vaccine.until:
                self._next[vaccine.term] = number + 1
                given.append((vaccine, number + 1))
        if age > 0.5 and visit.on.month in {9, 10, 11, 12, 1, 2} and random.random() < 0.8:
            given.append((_INFLUENZA, 1))
        return given


def vaccinate(chart: Chart, sitting: Sitting, schedule: Schedule, random: Random) -> None:
    """Write the Immunizations of a visit (https://hl7.org/fhir/R4/immunization.html)."""
    for vaccine, number in schedule.due(sitting.visit, random):
        mouth = vaccine.term.code == "119"
        expires = sitting.visit.on.year + 1
        chart.add(
            "Immunization",
            {
                "status": "completed",
                "vaccineCode": concept(vaccine.term),
                "encounter": reference(sitting.encounter),
                "occurrenceDateTime": sitting.at(10),
                "primarySource": True,
                "location": reference(MAIN_SITE),
                "lotNumber": f"SYN{random.randrange(10_000):04d}",
                "expirationDate": f"{expires}-06-30",
                "route": concept(_MOUTH if mouth else _MUSCLE),
                "doseQuantity": quantity(vaccine.millilitres, 1, "mL", "mL"),
                "performer": [{"actor": staff_reference(NURSE)}],
                "protocolApplied": [{"doseNumberPositiveInt": number}],
            },
        )
        sitting.services.append((vaccine.term, vaccine.cents))
        sitting.orders.append(f"Vaccine given: {vaccine.term.display}, dose {number}.")
