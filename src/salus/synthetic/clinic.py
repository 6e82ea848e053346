# SPDX-License-Identifier: Apache-2.0
"""The demo clinic: one organization, two sites, eight people who work there and the roles they hold.

The ids are fixed, so that demo accounts and documentation can name them. Staff numbers are the clinic's own;
no National Provider Identifier is made up, since a well-formed one might belong to somebody.
"""

from __future__ import annotations

from datetime import date
from typing import NamedTuple

from salus.synthetic.terms import (
    LABORATORY,
    MAIN_SITE,
    NUCC,
    ORGANIZATION,
    Resource,
    Term,
    concept,
    reference,
    synthetic_meta,
    terminology,
)

STAFF_SYSTEM = "https://clinic.example.org/staff-number"
"""System of the staff numbers."""


class Colleague(NamedTuple):
    """Someone who works at the clinic; `specialty` is a NUCC taxonomy code, `site` a Location."""

    id: str
    given: str
    family: str
    gender: str
    birth_year: int
    suffix: str
    specialty: Term
    role: Term
    site: str

    @property
    def title(self) -> str:
        """Name and degree as it stands on a door."""
        return f"{self.given} {self.family}, {self.suffix}"


_DOCTOR = terminology("practitioner-role", "doctor", "Doctor")
_NURSE = terminology("practitioner-role", "nurse", "Nurse")
_PHARMACIST = terminology("practitioner-role", "pharmacist", "Pharmacist")

NURSE = "nurse-priya-nair"
TECHNOLOGIST = "lab-tomas-novak"
PHARMACIST = "pharmacist-hannah-weiss"
OBSTETRICIAN = "dr-lucia-ferreira"
PSYCHIATRIST = "dr-samuel-adeyemi"


def _doctor(id_: str, name: str, gender: str, birth_year: int, specialty: Term) -> Colleague:
    given, family = name.split()
    return Colleague(id_, given, family, gender, birth_year, "MD", specialty, _DOCTOR, MAIN_SITE)


_FAMILY_MEDICINE = Term(NUCC, "207Q00000X", "Family Medicine Physician")
_INTERNAL_MEDICINE = Term(NUCC, "207R00000X", "Internal Medicine Physician")
_PEDIATRICS = Term(NUCC, "208000000X", "Pediatrics Physician")
_OBSTETRICS = Term(NUCC, "207V00000X", "Obstetrics & Gynecology Physician")
_PSYCHIATRY = Term(NUCC, "2084P0800X", "Psychiatry Physician")
_NURSING = Term(NUCC, "163W00000X", "Registered Nurse")
_PHARMACY = Term(NUCC, "183500000X", "Pharmacist")
_TECHNOLOGIST = Term(NUCC, "246QM0706X", "Medical Technologist")

STAFF: dict[str, Colleague] = {
    each.id: each
    for each in (
        _doctor("dr-amara-okafor", "Amara Okafor", "female", 1976, _FAMILY_MEDICINE),
        _doctor("dr-jonas-lindqvist", "Jonas Lindqvist", "male", 1969, _INTERNAL_MEDICINE),
        _doctor("dr-mei-tanaka", "Mei Tanaka", "female", 1982, _PEDIATRICS),
        _doctor(OBSTETRICIAN, "Lucia Ferreira", "female", 1979, _OBSTETRICS),
        _doctor(PSYCHIATRIST, "Samuel Adeyemi", "male", 1972, _PSYCHIATRY),
        Colleague(NURSE, "Priya", "Nair", "female", 1990, "RN", _NURSING, _NURSE, MAIN_SITE),
        Colleague(TECHNOLOGIST, "Tomas", "Novak", "male", 1985, "MT", _TECHNOLOGIST, _TECHNOLOGIST, LABORATORY),
        Colleague(PHARMACIST, "Hannah", "Weiss", "female", 1987, "PharmD", _PHARMACY, _PHARMACIST, MAIN_SITE),
    )
}
"""Everyone at the clinic by Practitioner id."""


def _address() -> Resource:
    return {
        "use": "work",
        "line": ["100 Hygieia Square"],
        "city": "Port Salus",
        "state": "MA",
        "postalCode": "01998",
        "country": "US",
    }


def _organization() -> Resource:
    return {
        "resourceType": "Organization",
        "id": "demo-clinic",
        "meta": synthetic_meta(),
        "identifier": [{"system": "https://clinic.example.org/organization", "value": "SALUS-DEMO"}],
        "active": True,
        "type": [concept(terminology("organization-type", "prov", "Healthcare Provider"))],
        "name": "Salus Demo Clinic",
        "telecom": [{"system": "phone", "value": "(617) 555-0100", "use": "work"}],
        "address": [_address()],
    }


def _location(id_: str, name: str, phone: str, kind: Term) -> Resource:
    return {
        "resourceType": "Location",
        "id": id_,
        "meta": synthetic_meta(),
        "status": "active",
        "name": name,
        "mode": "instance",
        "type": [concept(kind)],
        "telecom": [{"system": "phone", "value": phone, "use": "work"}],
        "address": _address(),
        "managingOrganization": reference(ORGANIZATION),
    }


def _practitioner(person: Colleague, number: int, birth_shift: int) -> Resource:
    return {
        "resourceType": "Practitioner",
        "id": person.id,
        "meta": synthetic_meta(),
        "identifier": [{"system": STAFF_SYSTEM, "value": f"S{number:04d}"}],
        "active": True,
        "name": [{"use": "official", "family": person.family, "given": [person.given], "suffix": [person.suffix]}],
        "telecom": [
            {"system": "phone", "value": f"(617) 555-01{number:02d}", "use": "work"},
            {"system": "email", "value": f"{person.id}@clinic.example.org", "use": "work"},
        ],
        "gender": person.gender,
        "birthDate": f"{person.birth_year + birth_shift % 3}",
        "qualification": [{"code": concept(person.specialty)}],
    }


def _practitioner_role(person: Colleague, today: date) -> Resource:
    return {
        "resourceType": "PractitionerRole",
        "id": f"role-{person.id}",
        "meta": synthetic_meta(),
        "active": True,
        "period": {"start": f"{today.year - 12}-01-01"},
        "practitioner": reference(f"Practitioner/{person.id}", person.title),
        "organization": reference(ORGANIZATION, "Salus Demo Clinic"),
        "code": [concept(person.role)],
        "specialty": [concept(person.specialty)],
        "location": [reference(person.site)],
    }


def clinic(seed: int, today: date) -> list[Resource]:
    """Write the clinic: Organization, two Locations, Practitioners, and a PractitionerRole for each of them.

    Args:
        seed: varies only what no other resource depends on (years of birth); the ids never change.
        today: roles have been held for twelve years before it.

    Returns:
        Resources in an order in which each refers only to earlier ones.
    """
    role_code = "http://terminology.hl7.org/CodeSystem/v3-RoleCode"
    resources = [
        _organization(),
        _location(
            "demo-clinic-main",
            "Salus Demo Clinic, main building",
            "(617) 555-0101",
            Term(role_code, "OF", "Outpatient facility"),
        ),
        _location(
            "demo-clinic-laboratory",
            "Salus Demo Clinic, laboratory",
            "(617) 555-0102",
            Term(role_code, "HLAB", "hospital laboratory"),
        ),
    ]
    for number, person in enumerate(STAFF.values(), start=10):
        resources.append(_practitioner(person, number, seed + number))
        resources.append(_practitioner_role(person, today))
    return resources
