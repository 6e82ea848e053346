# SPDX-License-Identifier: Apache-2.0
"""Notes: a DocumentReference with plain text, made of what was measured, found and ordered at the visit.

The note says nothing that the structured record does not, apart from the restricted note of a few adults,
which is labelled R and with its sensitivity (https://hl7.org/fhir/R4/security-labels.html) and tells what the
patient did in confidence.
"""

from __future__ import annotations

from base64 import b64encode
from random import Random
from typing import NamedTuple

from salus.synthetic.chart import Chart, Sitting
from salus.synthetic.clinic import PSYCHIATRIST, STAFF
from salus.synthetic.encounters import KINDS
from salus.synthetic.terms import ACT_CODE, LOINC, ORGANIZATION, RESTRICTED, Term, concept, reference

_PROGRESS = Term(LOINC, "11506-3", "Progress note")
_DISCHARGE = Term(LOINC, "18842-5", "Discharge summary")
_CONSULT = Term(LOINC, "11488-4", "Consult note")
_CATEGORY = Term(
    "http://hl7.org/fhir/us/core/CodeSystem/us-core-documentreference-category",
    "clinical-note",
    "Clinical Note",
)


class _Confidence(NamedTuple):
    """A matter told in confidence: its sensitivity label and what the note says."""

    label: Term
    text: str


_DEPRESSION = _Confidence(
    Term(ACT_CODE, "PSY", "psychiatry disorder information sensitivity"),
    "Seen alone on request. Speaks of low mood and poor sleep for some months and of a past crisis which the "
    "family does not know about. No present thoughts of self-harm. Safety plan agreed; next appointment in "
    "two weeks.",
)
_CONFIDENCES = (
    _Confidence(
        Term(ACT_CODE, "ETH", "substance abuse information sensitivity"),
        "Reports drinking more than intended since last year and asks that the employer and the family are "
        "not told. Motivated to stop. Brief intervention given; group programme offered and accepted.",
    ),
    _Confidence(
        Term(ACT_CODE, "SDV", "sexual assault, abuse, or domestic violence information sensitivity"),
        "Speaks of threats by a former partner. Feels safe at the present address, which must not be given "
        "to anyone. Contact with the support service made from the clinic. Letters only through the portal.",
    ),
    _Confidence(
        Term(ACT_CODE, "STD", "sexually transmitted disease information sensitivity"),
        "Asks for testing after a new contact. No symptoms. Counselled; tests to be done at the public "
        "clinic under the patient's own choice of name. Wishes no letter to the home address.",
    ),
)


def describe(chart: Chart, sitting: Sitting) -> str:
    """Name the patient by age and sex as a note does."""
    age = chart.person.age(sitting.visit.on)
    female = chart.person.sex == "female"
    if age < 2:
        return f"{int(age * 12)}-month-old {'girl' if female else 'boy'}"
    if age < 18:
        return f"{int(age)}-year-old {'girl' if female else 'boy'}"
    return f"{int(age)}-year-old {'woman' if female else 'man'}"


def note_text(chart: Chart, sitting: Sitting) -> str:
    """Write the note of a visit as plain text from the readings and orders gathered in the sitting."""
    visit = sitting.visit
    lines = [
        f"{KINDS[visit.kind].title}, {visit.on.isoformat()}",
        f"Patient: {chart.person.full_name}, {describe(chart, sitting)}.",
        "",
    ]
    if visit.courses:
        lines.append("Problems:")
        for course in visit.courses:
            new = "new" if course.diagnosed == visit.on else "known"
            lines.append(f"- {course.disease.snomed.display} ({new}, since {course.onset.isoformat()})")
    else:
        lines.append("Problems: none.")
    lines += ["", "Findings: " + "; ".join(sitting.readings) + ".", ""]
    lines.append("Plan: " + (" ".join(sitting.orders) or "Continue as before."))
    lines += ["", f"Signed: {STAFF[visit.clinician].title}, Salus Demo Clinic", ""]
    return "\n".join(lines)


def _file(chart: Chart, sitting: Sitting, kind: Term, author: str, text: str, *labels: Term) -> None:
    raw = text.encode()
    at = sitting.at(sitting.minutes)
    chart.add(
        "DocumentReference",
        {
            "status": "current",
            "docStatus": "final",
            "type": concept(kind),
            "category": [concept(_CATEGORY)],
            "date": at,
            "author": [reference(f"Practitioner/{author}", STAFF[author].title)],
            "custodian": reference(ORGANIZATION, "Salus Demo Clinic"),
            **({"securityLabel": [concept(label) for label in labels]} if labels else {}),
            "content": [
                {
                    "attachment": {
                        "contentType": "text/plain; charset=utf-8",
                        "language": "en-US",
                        "data": b64encode(raw).decode(),
                        "size": len(raw),
                        "title": kind.display,
                        "creation": at,
                    }
                }
            ],
            "context": {
                "encounter": [reference(sitting.encounter)],
                "period": {"start": sitting.at(0), "end": at},
            },
        },
        *labels,
    )


def write_note(chart: Chart, sitting: Sitting) -> None:
    """Write the DocumentReference of a visit (https://hl7.org/fhir/R4/documentreference.html)."""
    kind = _DISCHARGE if sitting.visit.kind == "delivery" else _PROGRESS
    _file(chart, sitting, kind, sitting.visit.clinician, note_text(chart, sitting))


def write_restricted_note(chart: Chart, sitting: Sitting, random: Random, *, depressed: bool) -> None:
    """Write the note that was taken in confidence, labelled R and with its sensitivity."""
    matter = _DEPRESSION if depressed else random.choice(_CONFIDENCES)
    on = sitting.visit.on.isoformat()
    text = (
        f"Confidential consultation, {on}\n"
        f"Patient: {chart.person.full_name}, {describe(chart, sitting)}.\n\n"
        f"{matter.text}\n\n"
        f"Signed: {STAFF[PSYCHIATRIST].title}, Salus Demo Clinic\n"
    )
    _file(chart, sitting, _CONSULT, PSYCHIATRIST, text, RESTRICTED, matter.label)
