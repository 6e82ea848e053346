# SPDX-License-Identifier: Apache-2.0
"""Prescriptions: a MedicationRequest for every drug that is begun at a visit.

Says the drug (RxNorm), why, how to take it and for how long. Which drug follows which stands in `conditions`;
what a person must not have is sorted out in `history`.
"""

from __future__ import annotations

from datetime import timedelta

from salus.synthetic.chart import Chart, Sitting
from salus.synthetic.conditions import Treatment, condition_reference
from salus.synthetic.formulary import Drug
from salus.synthetic.terms import SNOMED, Resource, Term, concept, quantity, reference, terminology

_ORAL = Term(SNOMED, "26643006", "Oral route")
_INHALED = Term(SNOMED, "447694001", "Respiratory tract route")
_CATEGORY = terminology("medicationrequest-category", "community", "Community")
_DOSE_TYPE = terminology("dose-rate-type", "ordered", "Ordered")


def _dosage(drug: Drug) -> Resource:
    """Write the Dosage: text for people, timing and dose for machines.

    https://hl7.org/fhir/R4/dosage.html
    """
    return {
        "sequence": 1,
        "text": drug.directions,
        "timing": {"repeat": {"frequency": drug.per_day, "period": 1, "periodUnit": "d"}},
        "asNeededBoolean": drug.as_needed,
        "route": concept(_INHALED if drug.inhaled else _ORAL),
        "doseAndRate": [{"type": concept(_DOSE_TYPE), "doseQuantity": quantity(drug.amount, 0, drug.unit, drug.ucum)}],
    }


def _status(treatment: Treatment, chart: Chart) -> str:
    if treatment.stop is None or treatment.stop > chart.today:
        return "active"
    return "stopped" if treatment.superseded else "completed"


def prescribe(chart: Chart, sitting: Sitting) -> None:
    """Write the MedicationRequests of a visit and the plan of its note.

    https://hl7.org/fhir/R4/medicationrequest.html
    """
    for treatment, course in sitting.visit.started:
        drug = treatment.drug
        lasting = course.disease.days == 0
        start = treatment.start
        supply = 90 if lasting else 10
        chart.add(
            "MedicationRequest",
            {
                "status": _status(treatment, chart),
                "intent": "order",
                "category": [concept(_CATEGORY)],
                "medicationCodeableConcept": concept(drug.term),
                "encounter": reference(sitting.encounter),
                "authoredOn": sitting.at(sitting.minutes - 4),
                "requester": sitting.clinician,
                "reasonReference": [condition_reference(course)],
                "dosageInstruction": [_dosage(drug)],
                "dispenseRequest": {
                    "validityPeriod": {
                        "start": start.isoformat(),
                        "end": (start + timedelta(days=365 if lasting else 30)).isoformat(),
                    },
                    "numberOfRepeatsAllowed": 3 if lasting else 0,
                    "expectedSupplyDuration": quantity(supply, 0, "days", "d"),
                },
            },
        )
        sitting.orders.append(f"Start {drug.name}: {drug.directions[0].lower()}{drug.directions[1:]}.")
