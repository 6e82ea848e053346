# SPDX-License-Identifier: Apache-2.0
"""Scopes in words for the person who is asked to agree, and the parts from which they may choose."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from salus.fhir.smart.scopes import WORDS, Scope, Word

_OBSERVATION = "http://terminology.hl7.org/CodeSystem/observation-category"
_CONDITION = "http://terminology.hl7.org/CodeSystem/condition-category"
_US_CORE = "http://hl7.org/fhir/us/core/CodeSystem"

CATEGORIES: dict[str, dict[str, str]] = {
    "Condition": {
        f"{_CONDITION}|encounter-diagnosis": "diagnoses of visits",
        f"{_CONDITION}|problem-list-item": "the problem list",
        f"{_US_CORE}/condition-category|health-concern": "health concerns",
    },
    "Observation": {
        f"{_OBSERVATION}|laboratory": "laboratory results",
        f"{_OBSERVATION}|vital-signs": "vital signs",
        f"{_OBSERVATION}|social-history": "social history",
        f"{_OBSERVATION}|survey": "answers to questionnaires",
        f"{_US_CORE}/us-core-category|sdoh": "living conditions",
        f"{_US_CORE}/us-core-category|clinical-test": "clinical tests",
        f"{_OBSERVATION}|imaging": "findings of imaging",
        f"{_OBSERVATION}|procedure": "findings of procedures",
        f"{_OBSERVATION}|exam": "findings of examinations",
        f"{_OBSERVATION}|therapy": "therapy",
        f"{_OBSERVATION}|activity": "activity",
    },
}
"""What a person may pick instead of all records of a type: US Core's categories and the others of the code system."""

_NAMES = {
    "*": "the whole record",
    "AllergyIntolerance": "allergies",
    "Appointment": "appointments",
    "CarePlan": "care plans",
    "CareTeam": "care teams",
    "Condition": "problems and diagnoses",
    "Coverage": "insurance",
    "DiagnosticReport": "reports of findings",
    "DocumentReference": "documents and notes",
    "Encounter": "visits",
    "ExplanationOfBenefit": "bills",
    "Immunization": "vaccinations",
    "Location": "places",
    "MedicationDispense": "dispensed medicines",
    "MedicationRequest": "prescriptions",
    "MedicationStatement": "medicines taken",
    "Observation": "measurements and results",
    "Organization": "organizations",
    "Patient": "name, birth date, address and contact details",
    "Practitioner": "practitioners",
    "PractitionerRole": "roles of practitioners",
    "Procedure": "procedures",
    "Provenance": "where entries come from",
    "RelatedPerson": "related people",
    "ServiceRequest": "orders and referrals",
}
_ACTS = {"c": "add", "r": "read", "u": "change", "d": "delete", "s": "search"}
_WHOSE = {
    "patient": "of this patient only",
    "user": "of everyone whose record you may see",
    "system": "of everyone, without a person present",
}
_CAPITAL = re.compile(r"(?<!^)(?=[A-Z])")


@dataclass(frozen=True, slots=True)
class Description:
    """A scope for a person.

    Attributes:
        what: what it is about, such as `laboratory results`; for a word a whole sentence.
        may: what the application may do, such as (`read`, `search`); empty for a word.
        whose: whose records; empty for a word.
        note: what to know before agreeing; mostly empty.
    """

    what: str
    may: tuple[str, ...] = ()
    whose: str = ""
    note: str = ""

    @property
    def sentence(self) -> str:
        """All of it in one sentence without a full stop."""
        if not self.may:
            return self.what
        *first, last = self.may
        acts = f"{', '.join(first)} and {last}" if first else last
        return f"{acts.capitalize()} {self.what} {self.whose}"


def describe(scope: Scope | Word) -> Description:
    """Say a scope in words."""
    if isinstance(scope, Word):
        note = "This lasts until you take it away on the page of your apps." if scope.text == "offline_access" else ""
        return Description(WORDS[scope.text], note=note)
    acts = tuple(_ACTS[letter] for letter in scope.letters)
    note = ""
    if scope.type == "*":
        note = "This is every kind of entry, those that do not exist yet included."
    elif any(letter in "cud" for letter in scope.letters):
        note = "The application can alter the record."
    return Description(_what(scope), acts, _WHOSE[scope.context], note)


def granular(scope: Scope) -> list[Scope]:
    """Narrower scopes that a person may choose in place of this one; empty where there are none.

    For Condition and Observation their categories (ONC certification (g)(10), AUT-PAT-33); for a scope that already has
    a condition nothing, and for `*` nothing: there the types are chosen.
    """
    if scope.params:
        return []
    return [replace(scope, params=(("category", code),), v1=False) for code in CATEGORIES.get(scope.type, {})]


def _what(scope: Scope) -> str:
    named = _NAMES.get(scope.type) or _CAPITAL.sub(" ", scope.type).lower() + " entries"
    if not scope.params:
        return named
    known = CATEGORIES.get(scope.type, {})
    if len(scope.params) == 1 and scope.params[0][0] == "category":
        parts = [known.get(code) for code in scope.params[0][1].split(",")]
        if all(parts):
            return " and ".join(part for part in parts if part)
    conditions = " and ".join(f"{name} {_plain(value)}" for name, value in scope.params)
    return f"{named} with {conditions}"


def _plain(value: str) -> str:
    """Values of a condition for a page: the codes without their systems."""
    return " or ".join(part.rpartition("|")[2] or part for part in value.split(","))
