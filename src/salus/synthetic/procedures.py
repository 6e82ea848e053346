# SPDX-License-Identifier: Apache-2.0
"""What is done at visits besides measuring: examination, spirometry, foot check, screening, birth.

Each Procedure belongs to the encounter at which it was done and names the Condition it was for, if any.
Codes: SNOMED CT. No CPT: its codes may not be passed on freely.
"""

from __future__ import annotations

from typing import NamedTuple

from salus.synthetic.body import Body
from salus.synthetic.chart import Chart, Sitting, staff_reference
from salus.synthetic.clinic import NURSE
from salus.synthetic.conditions import condition_reference
from salus.synthetic.terms import SNOMED, Resource, Term, concept, reference


class Act(NamedTuple):
    """Something done: code, price in cents, key of the disease it is for (empty: none)."""

    term: Term
    cents: int
    disease: str = ""
    by_nurse: bool = False


def _snomed(code: str, display: str) -> Term:
    return Term(SNOMED, code, display)


_EXAMINATION = Act(_snomed("5880005", "Physical examination procedure"), 4000)
_MEDICATION_REVIEW = Act(_snomed("430193006", "Medication reconciliation"), 2500, by_nurse=True)
_SPIROMETRY = Act(_snomed("127783003", "Spirometry"), 7200, "asthma", by_nurse=True)
_SPIROMETRY_COPD = _SPIROMETRY._replace(disease="copd")
_FOOT_CHECK = Act(_snomed("401191002", "Diabetic foot examination"), 3800, "diabetes", by_nurse=True)
_DEPRESSION_SCREENING = Act(_snomed("171207006", "Depression screening"), 1900, "depression", by_nurse=True)
_PHYSICAL_THERAPY = Act(_snomed("91251008", "Physical therapy procedure"), 9800, "back-pain")
_HEART_TRACING = Act(_snomed("29303009", "Electrocardiographic procedure"), 6400, "hypertension", by_nurse=True)
_MAMMOGRAPHY = Act(_snomed("71651007", "Mammography"), 21500)
_COLONOSCOPY = Act(_snomed("73761001", "Colonoscopy"), 118000)
_FETAL_HEART = Act(_snomed("225158009", "Auscultation of the fetal heart"), 2200, "pregnancy")
_UTERUS = Act(_snomed("274804006", "Evaluation of uterine fundal height"), 2200, "pregnancy")
_BIRTH = Act(_snomed("22633006", "Vaginal delivery, medical personnel present"), 310000, "pregnancy")
_CHEST_XRAY = Act(_snomed("399208008", "Plain chest X-ray"), 8800, "bronchitis")

_FIRST_BY_DISEASE = {
    "asthma": _SPIROMETRY,
    "copd": _SPIROMETRY_COPD,
    "diabetes": _FOOT_CHECK,
    "depression": _DEPRESSION_SCREENING,
    "hypertension": _HEART_TRACING,
}


def _chosen(chart: Chart, sitting: Sitting) -> list[Act]:
    """Choose what is done at a visit; nothing twice a year apart from what pregnancy asks for."""
    visit, person = sitting.visit, chart.person
    age = person.age(visit.on)
    if visit.kind == "acute":
        acute = {"back-pain": [_PHYSICAL_THERAPY], "bronchitis": [_CHEST_XRAY] if age >= 60 else []}
        return acute.get(visit.courses[0].disease.key, [])
    if visit.kind == "delivery":
        return [_BIRTH]
    if visit.kind == "prenatal":
        return [_FETAL_HEART, _UTERUS]
    acts = []
    if visit.kind in {"check-up", "well-child", "postnatal", "prenatal-initial"}:
        acts.append(_EXAMINATION)
    if visit.kind == "check-up" and person.sex == "female" and 50 <= age < 75 and visit.on.year % 2:
        acts.append(_MAMMOGRAPHY)
    if visit.kind == "check-up" and (50 <= age < 51.6 or 60 <= age < 61.6):
        acts.append(_COLONOSCOPY)
    for course in visit.courses:
        act = _FIRST_BY_DISEASE.get(course.disease.key)
        if act is not None and (visit.kind == "check-up" or course.diagnosed == visit.on):
            acts.append(act)
    if visit.kind == "follow-up" and visit.courses:
        acts.append(_MEDICATION_REVIEW)
    return acts


def perform(chart: Chart, sitting: Sitting, body: Body) -> None:
    """Write the Procedures of a visit (https://hl7.org/fhir/R4/procedure.html)."""
    for number, act in enumerate(_chosen(chart, sitting)):
        fields: Resource = {
            "status": "completed",
            "code": concept(act.term),
            "encounter": reference(sitting.encounter),
            "performedPeriod": {"start": sitting.at(5 + number), "end": sitting.at(6 + number)},
            "performer": [{"actor": staff_reference(NURSE) if act.by_nurse else sitting.clinician}],
        }
        for course in sitting.visit.courses:
            if course.disease.key == act.disease:
                fields["reasonReference"] = [condition_reference(course)]
        if act.term is _SPIROMETRY.term:
            ratio = round(body.airflow(sitting.visit.on))
            finding = "obstruction" if ratio < 70 else "no obstruction"
            fields["note"] = [{"text": f"FEV1/FVC {ratio} %: {finding}."}]
            sitting.readings.append(f"FEV1/FVC {ratio} %")
        chart.add("Procedure", fields)
        sitting.services.append((act.term, act.cents))
        sitting.orders.append(f"Done: {act.term.display.lower()}.")
