# SPDX-License-Identifier: Apache-2.0
"""Vital signs and what the nurse asks: blood pressure, pulse, weight, height, temperature, pain, smoking.

Follows the R4 vital signs profile: category, LOINC code, UCUM unit, blood pressure as one panel with two
components (https://hl7.org/fhir/R4/observation-vitalsigns.html). Which are taken depends on age and on what
the visit is about.
"""

from __future__ import annotations

from typing import NamedTuple

from salus.synthetic.body import Body
from salus.synthetic.chart import Chart, Sitting, staff_reference
from salus.synthetic.clinic import NURSE
from salus.synthetic.terms import (
    LOINC,
    SNOMED,
    Resource,
    Term,
    concept,
    decimal,
    quantity,
    reference,
    terminology,
)


class Sign(NamedTuple):
    """A vital sign: codes, name for the note, unit in words and in UCUM, decimal places."""

    terms: tuple[Term, ...]
    name: str
    unit: str
    ucum: str
    places: int


def _loinc(code: str, display: str) -> Term:
    return Term(LOINC, code, display)


HEART_RATE = Sign((_loinc("8867-4", "Heart rate"),), "pulse", "beats/minute", "/min", 0)
BREATHS = Sign((_loinc("9279-1", "Respiratory rate"),), "breaths", "breaths/minute", "/min", 0)
TEMPERATURE = Sign((_loinc("8310-5", "Body temperature"),), "temperature", "degrees C", "Cel", 1)
WEIGHT = Sign((_loinc("29463-7", "Body weight"),), "weight", "kg", "kg", 1)
HEIGHT = Sign((_loinc("8302-2", "Body height"),), "height", "cm", "cm", 1)
BODY_MASS = Sign((_loinc("39156-5", "Body mass index (BMI) [Ratio]"),), "BMI", "kg/m2", "kg/m2", 1)
OXYGEN = Sign(
    (
        _loinc("2708-6", "Oxygen saturation in Arterial blood"),
        _loinc("59408-5", "Oxygen saturation in Arterial blood by Pulse oximetry"),
    ),
    "oxygen saturation",
    "%",
    "%",
    0,
)
PAIN = Sign(
    (_loinc("72514-3", "Pain severity - 0-10 verbal numeric rating [Score] - Reported"),),
    "pain",
    "of 10",
    "{score}",
    0,
)
DEPRESSION_SCORE = Sign(
    (_loinc("44261-6", "Patient Health Questionnaire 9 item (PHQ-9) total score [Reported]"),),
    "PHQ-9",
    "points",
    "{score}",
    0,
)
FETAL_HEART = Sign((_loinc("55283-6", "Fetal Heart rate"),), "fetal heart", "beats/minute", "/min", 0)

_PRESSURE = _loinc("85354-9", "Blood pressure panel with all children optional")
_SYSTOLIC = _loinc("8480-6", "Systolic blood pressure")
_DIASTOLIC = _loinc("8462-4", "Diastolic blood pressure")
_TOBACCO = _loinc("72166-2", "Tobacco smoking status")
_SMOKING = {
    "never": Term(SNOMED, "266919005", "Never smoked tobacco"),
    "former": Term(SNOMED, "8517006", "Ex-smoker"),
    "current": Term(SNOMED, "449868002", "Smokes tobacco daily"),
}
_VITAL = terminology("observation-category", "vital-signs", "Vital Signs")
_SURVEY = terminology("observation-category", "survey", "Survey")
_SOCIAL = terminology("observation-category", "social-history", "Social History")
_LUNG_DISEASES = frozenset({"asthma", "copd", "bronchitis"})


def _observe(chart: Chart, sitting: Sitting, category: Term, content: Resource) -> None:
    at = sitting.at(4)
    chart.add(
        "Observation",
        {
            "status": "final",
            "category": [concept(category)],
            **content,
            "encounter": reference(sitting.encounter),
            "effectiveDateTime": at,
            "issued": at,
            "performer": [staff_reference(NURSE)],
        },
    )


def _record(chart: Chart, sitting: Sitting, sign: Sign, value: float, category: Term = _VITAL) -> None:
    value = round(value, sign.places)
    content = {
        "code": concept(*sign.terms),
        "valueQuantity": quantity(value, sign.places, sign.unit, sign.ucum),
    }
    _observe(chart, sitting, category, content)
    chart.latest[sign.terms[0].code] = value
    sitting.readings.append(f"{sign.name} {decimal(value, sign.places)} {sign.unit}")


def _record_pressure(chart: Chart, sitting: Sitting, systolic: float, diastolic: float) -> None:
    content = {
        "code": concept(_PRESSURE),
        "component": [
            {"code": concept(_SYSTOLIC), "valueQuantity": quantity(systolic, 0, "mmHg", "mm[Hg]")},
            {"code": concept(_DIASTOLIC), "valueQuantity": quantity(diastolic, 0, "mmHg", "mm[Hg]")},
        ],
    }
    _observe(chart, sitting, _VITAL, content)
    chart.latest[_SYSTOLIC.code] = round(systolic)
    sitting.readings.append(f"blood pressure {round(systolic)}/{round(diastolic)} mmHg")


def take_vitals(chart: Chart, sitting: Sitting, body: Body) -> None:
    """Write the Observations that a nurse takes at the start of a visit, and quote them for the note."""
    visit = sitting.visit
    age = chart.person.age(visit.on)
    fever = visit.feverish
    keys = {course.disease.key for course in visit.courses}
    if age >= 3:
        _record_pressure(chart, sitting, *body.pressure(visit.on))
    _record(chart, sitting, HEART_RATE, body.heart_rate(visit.on, fever=fever))
    if visit.kind == "acute":
        _record(chart, sitting, TEMPERATURE, body.temperature(fever=fever))
        _record(chart, sitting, BREATHS, body.breaths(visit.on, fever=fever))
        _record(chart, sitting, PAIN, body.pain(visit), _SURVEY)
    if visit.kind != "delivery":
        _measure(chart, sitting, body, age)
    if keys & _LUNG_DISEASES or age >= 65:
        _record(chart, sitting, OXYGEN, body.oxygen(visit.on))
    if "migraine" in keys and visit.kind != "acute":
        _record(chart, sitting, PAIN, body.pain(visit), _SURVEY)
    if age >= 12 and ("depression" in keys or visit.kind in {"check-up", "postnatal"}):
        _record(chart, sitting, DEPRESSION_SCORE, body.depression_score(visit.on), _SURVEY)
    if visit.kind.startswith("prenatal") and body.pregnant_days(visit.on) > 80:
        _record(chart, sitting, FETAL_HEART, 138 + body.pregnant_days(visit.on) % 11)
    if age >= 18 and (visit.kind == "check-up" or "copd" in keys):
        _record_smoking(chart, sitting)


def _measure(chart: Chart, sitting: Sitting, body: Body, age: float) -> None:
    """Weight always; height of children each time, of adults once; body mass index from two years."""
    weight = round(body.weight(sitting.visit.on), WEIGHT.places)
    _record(chart, sitting, WEIGHT, weight)
    if sitting.visit.kind == "acute":
        return
    height = round(body.height(sitting.visit.on), HEIGHT.places)
    if age < 18 or HEIGHT.terms[0].code not in chart.latest:
        _record(chart, sitting, HEIGHT, height)
    if age >= 2 and not body.pregnant_days(sitting.visit.on):
        _record(chart, sitting, BODY_MASS, weight / (height / 100) ** 2)


def _record_smoking(chart: Chart, sitting: Sitting) -> None:
    status = _SMOKING[chart.person.smoking]
    content = {"code": concept(_TOBACCO), "valueCodeableConcept": concept(status)}
    _observe(chart, sitting, _SOCIAL, content)
    sitting.readings.append(f"tobacco: {status.display.lower()}")
