# SPDX-License-Identifier: Apache-2.0
"""A clinic where there is something to hide: restricted notes, shared, moved and deleted records, bills.

`HIDDEN` lists, for each person, records that exist and that they may not see, of types that they may ask for.
"""

from __future__ import annotations

import re
from typing import Any

import httpx

from tests.support.clinic import Clinic, heart_rate, put_all

JSON = dict[str, Any]
CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
SENSITIVITY = "http://terminology.hl7.org/CodeSystem/v3-ActCode"

HIDDEN: dict[str, tuple[str, ...]] = {
    "anna": (
        "Patient/bert",
        "Observation/pulse-bert",
        "Condition/asthma-bert",
        "DocumentReference/secret-bert",
        "Appointment/shared",
        "Observation/moved",
        "Observation/deleted-bert",
        "Claim/claim-bert",
    ),
    "bert": ("Patient/anna", "Observation/pulse-anna", "Appointment/shared", "DocumentReference/secret-anna"),
    "nurse": (
        "Patient/bert",
        "Observation/pulse-bert",
        "Appointment/shared",
        "Observation/moved",
        "Observation/deleted-bert",
        "DocumentReference/secret-anna",
        "DocumentReference/secret-bert",
    ),
    "physician": ("DocumentReference/secret-bert", "Observation/restricted-bert"),
    "laboratory": ("Observation/pulse-bert", "Observation/deleted-bert"),
}


def secret(patient: str) -> JSON:
    """A psychiatric note of a patient, restricted."""
    return {
        "resourceType": "DocumentReference",
        "id": f"secret-{patient}",
        "meta": {"security": [{"system": CONFIDENTIALITY, "code": "R"}, {"system": SENSITIVITY, "code": "PSY"}]},
        "status": "current",
        "subject": {"reference": f"Patient/{patient}"},
        "content": [{"attachment": {"contentType": "text/plain", "data": "cHN5Y2hpYXRyaWM="}}],
    }


def shared_appointment() -> JSON:
    """One appointment of two patients."""
    return {
        "resourceType": "Appointment",
        "id": "shared",
        "status": "proposed",
        "participant": [{"actor": {"reference": f"Patient/{who}"}, "status": "accepted"} for who in ("anna", "bert")],
    }


def claim(patient: str) -> JSON:
    """A bill of a patient."""
    return {
        "resourceType": "Claim",
        "id": f"claim-{patient}",
        "status": "active",
        "type": {"coding": [{"code": "professional"}]},
        "use": "claim",
        "patient": {"reference": f"Patient/{patient}"},
        "created": "2026-03-01",
        "provider": {"reference": "Practitioner/physician"},
        "priority": {"coding": [{"code": "normal"}]},
        "insurance": [{"sequence": 1, "focal": True, "coverage": {"display": "self-pay"}}],
    }


def furnish(clinic: Clinic) -> Clinic:
    """Add what there is to hide to a clinic."""
    service = clinic.as_("service")
    restricted = heart_rate("bert", 55, "restricted-bert")
    restricted["meta"] = {"security": [{"system": CONFIDENTIALITY, "code": "R"}]}
    put_all(service, secret("anna"), secret("bert"), shared_appointment(), claim("anna"), claim("bert"), restricted)
    put_all(service, heart_rate("anna", 61, "moved"))
    put_all(service, heart_rate("bert", 62, "moved"))
    for who in ("anna", "bert"):
        put_all(service, heart_rate(who, 99, f"deleted-{who}"))
        assert service.delete(f"/fhir/Observation/deleted-{who}").status_code == 204
    return clinic


# ── hidden reads like absent ─────────────────────────────────────────────────────────────────────────────────────────

_UUID = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")
_INSTANT = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
_MOMENTARY = {"x-request-id", "last-modified"}


def nobody(id_: str) -> str:
    """An id of the same length that no record has."""
    return "zz" + id_[2:]


def told(answer: httpx.Response, id_: str) -> tuple[object, ...]:
    """All that an answer tells: status, headers and body, without what differs from one moment to the next."""
    body = answer.content.replace(id_.encode(), b"<id>")
    body = _INSTANT.sub(b"<instant>", _UUID.sub(b"<uuid>", body))
    headers = {
        name: _UUID.sub(b"<uuid>", value.replace(id_, "<id>").encode())
        for name, value in answer.headers.items()
        if name not in _MOMENTARY
    }
    return answer.status_code, headers, body
