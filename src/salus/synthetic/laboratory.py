# SPDX-License-Identifier: Apache-2.0
"""Laboratory: panels ordered by age and disease, an Observation per result, a DiagnosticReport per panel.

Results carry UCUM units, reference range and interpretation (H, L, N), and the range fits the sex where sexes
differ. Codes are LOINC (https://loinc.org); ranges are the usual ones of adult laboratories in the United
States.
"""

from __future__ import annotations

from salus.synthetic.analytes import (
    A1C_ALONE,
    ALBUMIN_ALONE,
    BLOOD_COUNT,
    HDL,
    LDL,
    LIPIDS,
    METABOLIC,
    THYROTROPIN_ALONE,
    TRIGLYCERIDES,
    Analyte,
    Panel,
)
from salus.synthetic.body import Body
from salus.synthetic.chart import Chart, Sitting, staff_reference
from salus.synthetic.clinic import TECHNOLOGIST
from salus.synthetic.terms import (
    ORGANIZATION,
    Resource,
    concept,
    decimal,
    quantity,
    reference,
    terminology,
)

_LABORATORY = terminology("observation-category", "laboratory", "Laboratory")
_SECTION = terminology("v2-0074", "LAB", "Laboratory")
_HIGH = terminology("v3-ObservationInterpretation", "H", "High")
_LOW = terminology("v3-ObservationInterpretation", "L", "Low")
_NORMAL = terminology("v3-ObservationInterpretation", "N", "Normal")


def order_panels(sitting: Sitting, age: float) -> list[Panel]:
    """Choose what to measure at a visit; well children have a blood count now and then, a sprain none."""
    keys = {course.disease.key for course in sitting.visit.courses}
    kind = sitting.visit.kind
    if kind == "acute":
        return [BLOOD_COUNT] if "bronchitis" in keys and age >= 50 else []
    panels = []
    if kind == "well-child" and (0.9 < age < 1.2 or int(age) in {4, 8, 11, 15}):
        panels.append(BLOOD_COUNT)  # anaemia is looked for at one year and now and then later
    if kind in {"prenatal-initial", "prenatal", "postnatal"}:
        panels.append(BLOOD_COUNT)
    if kind == "check-up":
        panels.append(METABOLIC if age >= 35 else BLOOD_COUNT)
    if "diabetes" in keys:
        panels.append(A1C_ALONE)
    if "hyperlipidemia" in keys or (kind == "check-up" and age >= 40 and "diabetes" in keys):
        panels.append(LIPIDS)
    if "kidney" in keys:
        panels.append(ALBUMIN_ALONE)
        if METABOLIC not in panels:
            panels.append(METABOLIC)
    if "hypothyroidism" in keys:
        panels.append(THYROTROPIN_ALONE)
    return panels


def run_panels(chart: Chart, sitting: Sitting, body: Body) -> None:
    """Order, measure and report: Observations and one DiagnosticReport for each panel."""
    panels = order_panels(sitting, chart.person.age(sitting.visit.on))
    if not panels:
        return
    values = body.laboratory(sitting.visit)
    for analyte in (TRIGLYCERIDES, HDL, LDL):
        values[analyte.key] = float(round(values[analyte.key]))
    values["cholesterol"] = values["ldl"] + values["hdl"] + values["triglycerides"] / 5  # Friedewald, 1972
    for panel in panels:
        results = [_result(chart, sitting, each, values[each.key]) for each in panel.analytes]
        _report(chart, sitting, panel, results)
        sitting.services.append((panel.term, panel.cents))


def _limits(analyte: Analyte, sex: str, age: float) -> tuple[float | None, float | None]:
    if analyte.child is not None and age < 12:
        return analyte.child
    if analyte.female is not None and sex == "female":
        return analyte.female
    return analyte.low, analyte.high


def _result(chart: Chart, sitting: Sitting, analyte: Analyte, value: float) -> str:
    value = round(value, analyte.places)
    low, high = _limits(analyte, chart.person.sex, chart.person.age(sitting.visit.on))
    flag = _NORMAL
    if low is not None and value < low:
        flag = _LOW
    elif high is not None and value > high:
        flag = _HIGH
    limits: Resource = {}
    if low is not None:
        limits["low"] = quantity(low, analyte.places, analyte.unit, analyte.unit)
    if high is not None:
        limits["high"] = quantity(high, analyte.places, analyte.unit, analyte.unit)
    chart.latest[analyte.term.code] = value
    mark = "" if flag is _NORMAL else f" ({flag.display.lower()})"
    sitting.readings.append(f"{analyte.name} {decimal(value, analyte.places)} {analyte.unit}{mark}")
    return chart.add(
        "Observation",
        {
            "status": "final",
            "category": [concept(_LABORATORY)],
            "code": concept(analyte.term),
            "encounter": reference(sitting.encounter),
            "effectiveDateTime": sitting.at(12),
            "issued": sitting.at(200),
            "performer": [staff_reference(TECHNOLOGIST)],
            "valueQuantity": quantity(value, analyte.places, analyte.unit, analyte.unit),
            "interpretation": [concept(flag)],
            "referenceRange": [limits],
        },
    )


def _report(chart: Chart, sitting: Sitting, panel: Panel, results: list[str]) -> None:
    """Write the DiagnosticReport of a panel (https://hl7.org/fhir/R4/diagnosticreport.html)."""
    chart.add(
        "DiagnosticReport",
        {
            "status": "final",
            "category": [concept(_SECTION)],
            "code": concept(panel.term),
            "encounter": reference(sitting.encounter),
            "effectiveDateTime": sitting.at(12),
            "issued": sitting.at(210),
            "performer": [reference(ORGANIZATION, "Salus Demo Clinic")],
            "resultsInterpreter": [staff_reference(TECHNOLOGIST)],
            "result": [reference(result) for result in results],
        },
    )
