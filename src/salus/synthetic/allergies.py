# SPDX-License-Identifier: Apache-2.0
"""What a person does not tolerate, and the AllergyIntolerance that says so.

Every chart has a statement: one allergy, or that none is known. Decided before any drug is chosen, so that
nobody who is allergic to penicillin is given amoxicillin.
"""

from __future__ import annotations

from datetime import date
from random import Random
from typing import NamedTuple

from salus.synthetic.people import Person
from salus.synthetic.terms import SNOMED, Resource, Term, concept, reference, terminology


class Allergy(NamedTuple):
    """An allergy: code, category of the substance, how bad it may get, and the reaction seen."""

    term: Term
    category: str
    criticality: str
    reaction: Term
    severity: str


_RASH = Term(SNOMED, "271807003", "Eruption of skin")
_ANAPHYLAXIS = Term(SNOMED, "39579001", "Anaphylaxis")
_RHINITIS = Term(SNOMED, "61582004", "Allergic rhinitis")

PENICILLIN = Allergy(Term(SNOMED, "91936005", "Allergy to penicillin"), "medication", "high", _RASH, "moderate")
_PEANUT = Allergy(Term(SNOMED, "91935009", "Allergy to peanut"), "food", "high", _ANAPHYLAXIS, "severe")
_POLLEN = Allergy(Term(SNOMED, "418689008", "Allergy to grass pollen"), "environment", "low", _RHINITIS, "mild")
_LATEX = Allergy(Term(SNOMED, "300916003", "Latex allergy"), "environment", "low", _RASH, "mild")

_NONE_KNOWN = Term(SNOMED, "716186003", "No known allergy")
_ACTIVE = terminology("allergyintolerance-clinical", "active", "Active")
_CONFIRMED = terminology("allergyintolerance-verification", "confirmed", "Confirmed")


def draw_allergy(random: Random) -> Allergy | None:
    """Draw one allergy, or None for somebody without any."""
    return random.choices((PENICILLIN, _PEANUT, _POLLEN, _LATEX, None), weights=(0.08, 0.03, 0.12, 0.02, 0.75))[0]


def allergy_fields(allergy: Allergy | None, person: Person, recorded: date) -> Resource:
    """Write an AllergyIntolerance without its subject.

    https://hl7.org/fhir/R4/allergyintolerance.html, section 9.1.3.5 for "no known allergy" (a code, with no
    reaction).
    """
    fields: Resource = {
        "clinicalStatus": concept(_ACTIVE),
        "verificationStatus": concept(_CONFIRMED),
        "code": concept(allergy.term if allergy else _NONE_KNOWN),
        "recordedDate": recorded.isoformat(),
        "recorder": reference(f"Practitioner/{person.physician}"),
    }
    if allergy:
        fields["type"] = "allergy"
        fields["category"] = [allergy.category]
        fields["criticality"] = allergy.criticality
        fields["reaction"] = [{"manifestation": [concept(allergy.reaction)], "severity": allergy.severity}]
    return fields
