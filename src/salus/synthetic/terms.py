# SPDX-License-Identifier: Apache-2.0
"""Codes with their display texts, and the small FHIR datatypes that the whole room writes.

Every call builds fresh dictionaries: no two resources share a part, so whoever receives a resource may change
it. Decimals are `decimal.Decimal` with the places a laboratory would print; encode them as JSON numbers.
Holds no clinical rule; those stand with the diseases.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple

Resource = dict[str, Any]
"""A FHIR resource, or a part of one, as JSON would hold it."""

SNOMED = "http://snomed.info/sct"
LOINC = "http://loinc.org"
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
CVX = "http://hl7.org/fhir/sid/cvx"
ICD10 = "http://hl7.org/fhir/sid/icd-10-cm"
UCUM = "http://unitsofmeasure.org"
NUCC = "http://nucc.org/provider-taxonomy"
ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
ACT_REASON = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"

ORGANIZATION = "Organization/demo-clinic"
MAIN_SITE = "Location/demo-clinic-main"
LABORATORY = "Location/demo-clinic-laboratory"

_UTC_OFFSET = "-05:00"  # the clinic stands in the Eastern zone and, for simplicity, never turns its clocks


class Term(NamedTuple):
    """One code: system URL, code and display text."""

    system: str
    code: str
    display: str


RESTRICTED = Term(CONFIDENTIALITY, "R", "restricted")


def terminology(system: str, code: str, display: str) -> Term:
    """Name a code of HL7 terminology by the last part of its code system's URL."""
    return Term(f"http://terminology.hl7.org/CodeSystem/{system}", code, display)


def coding(term: Term) -> Resource:
    """Write a Coding (https://hl7.org/fhir/R4/datatypes.html#Coding)."""
    return {"system": term.system, "code": term.code, "display": term.display}


def concept(term: Term, *more: Term) -> Resource:
    """Write a CodeableConcept with one or more codings; the text is that of the first.

    https://hl7.org/fhir/R4/datatypes.html#CodeableConcept
    """
    return {"coding": [coding(each) for each in (term, *more)], "text": term.display}


def decimal(value: float, places: int) -> Decimal | int:
    """Round to the given number of decimal places; whole numbers come back as `int`."""
    return Decimal(f"{value:.{places}f}") if places else round(value)


def quantity(value: float, places: int, unit: str, code: str) -> Resource:
    """Write a Quantity in UCUM: `unit` for people, `code` for machines.

    https://hl7.org/fhir/R4/datatypes.html#Quantity
    """
    return {"value": decimal(value, places), "unit": unit, "system": UCUM, "code": code}


def dollars(cents: int) -> Resource:
    """Write an amount in cents as Money in US dollars (https://hl7.org/fhir/R4/datatypes.html#Money)."""
    return {"value": Decimal(cents).scaleb(-2), "currency": "USD"}


def reference(target: str, display: str = "") -> Resource:
    """Write a literal reference `Type/id` (https://hl7.org/fhir/R4/references.html#literal)."""
    return {"reference": target, "display": display} if display else {"reference": target}


def moment(on: date, minutes: int) -> str:
    """Write a dateTime at the clinic; `minutes` counts from midnight, 0 to 1439."""
    return f"{on.isoformat()}T{minutes // 60:02d}:{minutes % 60:02d}:00{_UTC_OFFSET}"


def synthetic_meta(*security: Term) -> Resource:
    """Write the Meta that marks a record as invented (HTEST), with security labels if there are any.

    https://terminology.hl7.org/CodeSystem-v3-ActReason.html, https://hl7.org/fhir/R4/security-labels.html
    """
    meta: Resource = {"tag": [{"system": ACT_REASON, "code": "HTEST", "display": "test health data"}]}
    if security:
        meta["security"] = [coding(label) for label in security]
    return meta
