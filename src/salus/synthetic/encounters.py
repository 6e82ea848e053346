# SPDX-License-Identifier: Apache-2.0
"""Encounters, and the Conditions that are first recorded at them.

Every diagnosis of an encounter points to a Condition of the same chart, and a Condition points to the
encounter at which it was found. Check-ups in which nothing is wrong carry the reason alone.
"""

from __future__ import annotations

from random import Random
from typing import NamedTuple

from salus.synthetic.chart import Chart, Sitting, staff_reference
from salus.synthetic.conditions import condition_fields, condition_reference
from salus.synthetic.history import Visit
from salus.synthetic.terms import (
    ACT_CODE,
    ICD10,
    MAIN_SITE,
    ORGANIZATION,
    SNOMED,
    Term,
    coding,
    concept,
    moment,
    reference,
    terminology,
)


class Kind(NamedTuple):
    """What a kind of visit means: its code, words for the note, reason for the bill, length and price."""

    term: Term
    title: str
    reason: Term
    minutes: int
    cents: int


_CHECK_UP = Term(ICD10, "Z00.00", "Encounter for general adult medical examination without abnormal findings")
_WELL_CHILD = Term(ICD10, "Z00.129", "Encounter for routine child health examination without abnormal findings")
_SUPERVISION = Term(
    ICD10, "Z34.90", "Encounter for supervision of normal pregnancy, unspecified, unspecified trimester"
)

KINDS: dict[str, Kind] = {
    "well-child": Kind(Term(SNOMED, "410620009", "Well child visit"), "Well child visit", _WELL_CHILD, 30, 14500),
    "check-up": Kind(
        Term(SNOMED, "162673000", "General examination of patient"), "Annual check-up", _CHECK_UP, 40, 18500
    ),
    "follow-up": Kind(Term(SNOMED, "390906007", "Follow-up encounter"), "Follow-up visit", _CHECK_UP, 20, 11800),
    "acute": Kind(
        Term(SNOMED, "185345009", "Encounter for symptom"), "Visit for an acute problem", _CHECK_UP, 20, 12600
    ),
    "prenatal-initial": Kind(
        Term(SNOMED, "424441002", "Prenatal initial visit"), "First prenatal visit", _SUPERVISION, 45, 21000
    ),
    "prenatal": Kind(Term(SNOMED, "424619006", "Prenatal visit"), "Prenatal visit", _SUPERVISION, 25, 13200),
    "delivery": Kind(
        Term(SNOMED, "183460006", "Obstetric emergency hospital admission"),
        "Admission for birth",
        _SUPERVISION,
        840,
        640000,
    ),
    "postnatal": Kind(Term(SNOMED, "169762003", "Postnatal visit"), "Postnatal visit", _SUPERVISION, 30, 14200),
}
"""Kinds of visit by the name used in `history`."""

_AMBULATORY = Term(ACT_CODE, "AMB", "ambulatory")
_INPATIENT = Term(ACT_CODE, "IMP", "inpatient encounter")
_ATTENDER = terminology("v3-ParticipationType", "ATND", "attender")
_USE = terminology("diagnosis-role", "AD", "Admission diagnosis")


def open_encounter(chart: Chart, visit: Visit, random: Random) -> Sitting:
    """Write the Encounter of a visit and the Conditions found at it; returns the sitting to be filled.

    https://hl7.org/fhir/R4/encounter.html
    """
    kind = KINDS[visit.kind]
    start = 90 if visit.kind == "delivery" else 8 * 60 + random.randrange(0, 32) * 15
    resource = {
        "status": "finished",
        "class": coding(_INPATIENT if visit.kind == "delivery" else _AMBULATORY),
        "type": [concept(kind.term)],
        "participant": [
            {"type": [concept(_ATTENDER)], "individual": staff_reference(visit.clinician)},
        ],
        "period": {"start": moment(visit.on, start), "end": moment(visit.on, start + kind.minutes)},
        "location": [{"location": reference(MAIN_SITE), "status": "completed"}],
        "serviceProvider": reference(ORGANIZATION, "Salus Demo Clinic"),
    }
    encounter = chart.add("Encounter", resource)
    sitting = Sitting(visit, encounter, chart.resources[-1], start, kind.minutes)
    sitting.services.append((kind.term, kind.cents))
    for course in visit.courses:
        if not course.reference:
            fields = condition_fields(course, chart.today)
            fields["encounter"] = reference(encounter)
            fields["recorder"] = staff_reference(visit.clinician)
            course.reference = chart.add("Condition", fields)
    if visit.courses:
        sitting.resource["diagnosis"] = [
            {"condition": condition_reference(course), "rank": rank}
            for rank, course in enumerate(visit.courses, start=1)
        ]
        if visit.kind == "delivery":
            sitting.resource["diagnosis"][0]["use"] = concept(_USE)
    if visit.courses:
        sitting.resource["reasonReference"] = [condition_reference(visit.courses[0])]
    else:
        sitting.resource["reasonCode"] = [concept(kind.reason)]
    return sitting
