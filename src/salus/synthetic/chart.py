# SPDX-License-Identifier: Apache-2.0
"""The chart being written: collects one person's resources, gives them ids and links them to the patient.

Ids are the person's id, a short name of the type and a running number: `pt-1-42-obs-7`. Same input, same ids.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date

from salus.synthetic.clinic import STAFF
from salus.synthetic.conditions import Course
from salus.synthetic.history import Visit
from salus.synthetic.people import Person
from salus.synthetic.terms import Resource, Term, moment, reference, synthetic_meta

_SHORT = {
    "Encounter": "enc",
    "Condition": "con",
    "Observation": "obs",
    "MedicationRequest": "med",
    "AllergyIntolerance": "alg",
    "Immunization": "imm",
    "Procedure": "prc",
    "DiagnosticReport": "rep",
    "DocumentReference": "doc",
    "CarePlan": "pln",
    "CareTeam": "team",
    "Goal": "goal",
    "Coverage": "cov",
    "Claim": "clm",
    "ExplanationOfBenefit": "eob",
    "Account": "acc",
    "Consent": "cns",
}
# Where the subject goes; `subject` for all others.
_SUBJECT = {
    "AllergyIntolerance": "patient",
    "Immunization": "patient",
    "Consent": "patient",
    "Claim": "patient",
    "ExplanationOfBenefit": "patient",
    "Coverage": "beneficiary",
}
_SUBJECT_LISTS = frozenset({"Account"})


@dataclass(slots=True)
class Chart:
    """One person's resources so far."""

    person: Person
    today: date
    resources: list[Resource] = field(default_factory=list)
    latest: dict[str, float] = field(default_factory=dict)
    """Last value of each Observation by LOINC code: goals are judged by it."""
    _counts: dict[str, int] = field(default_factory=dict)

    @property
    def patient(self) -> str:
        """Reference to the Patient."""
        return f"Patient/{self.person.id}"

    def add(self, kind: str, fields: Resource, *security: Term) -> str:
        """Add a resource of type `kind` about this person.

        Args:
            kind: resource type.
            fields: its elements without id, meta and subject.
            security: labels for `meta.security`.

        Returns:
            The reference `Type/id`.
        """
        number = self._counts.get(kind, 0) + 1
        self._counts[kind] = number
        id_ = f"{self.person.id}-{_SHORT[kind]}-{number}"
        subject = reference(self.patient)
        self.resources.append(
            {
                "resourceType": kind,
                "id": id_,
                "meta": synthetic_meta(*security),
                _SUBJECT.get(kind, "subject"): [subject] if kind in _SUBJECT_LISTS else subject,
                **fields,
            }
        )
        return f"{kind}/{id_}"


@dataclass(slots=True)
class Sitting:
    """A visit while it is written: when it was, and what the note and the bill will need.

    Attributes:
        encounter: reference to the Encounter.
        resource: the Encounter itself, to which diagnoses are added.
        start, minutes: begin in minutes from midnight and length.
        readings: lines for the note, in the order in which they were measured.
        orders: lines for the plan part of the note.
        services: what is billed, with the price in cents.
    """

    visit: Visit
    encounter: str
    resource: Resource
    start: int
    minutes: int
    readings: list[str] = field(default_factory=list)
    orders: list[str] = field(default_factory=list)
    services: list[tuple[Term, int]] = field(default_factory=list)

    def at(self, offset: int) -> str:
        """The dateTime `offset` minutes after the begin."""
        return moment(self.visit.on, self.start + offset)

    @property
    def clinician(self) -> Resource:
        """Reference to the clinician, with name."""
        return staff_reference(self.visit.clinician)

    @property
    def courses(self) -> list[Course]:
        """What the visit is about."""
        return self.visit.courses


def staff_reference(id_: str) -> Resource:
    """Point to someone of the clinic's staff by Practitioner id."""
    return reference(f"Practitioner/{id_}", STAFF[id_].title)
