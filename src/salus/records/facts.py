# SPDX-License-Identifier: Apache-2.0
"""What access needs to know of a record, derived from the resource on every write.

Facts stand beside the sealed body as keyed surrogates, never as codes or names. Whose compartment a record belongs to
follows CompartmentDefinition/patient alone (https://hl7.org/fhir/R4/compartmentdefinition-patient.html).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from salus.access.facts import CONFIDENTIALITY as RANK
from salus.access.facts import SURROGATE, UNLABELLED, Facts
from salus.access.relations import Replace
from salus.fhir.compartment import PatientCompartment
from salus.fhir.references import local_reference

Surrogate = Callable[[str, str], bytes]

_LABEL_SYSTEM = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"

# The element that says who wrote or ordered it (FiveWs.author, https://hl7.org/fhir/R4/fivews.html).
_AUTHOR = {
    "AllergyIntolerance": "recorder",
    "CarePlan": "author",
    "Communication": "sender",
    "Composition": "author",
    "Condition": "recorder",
    "DiagnosticReport": "performer",
    "DocumentReference": "author",
    "MedicationRequest": "requester",
    "Observation": "performer",
    "Procedure": "recorder",
    "QuestionnaireResponse": "author",
    "ServiceRequest": "requester",
}


def facts(
    resource: dict[str, Any], surrogate: Surrogate, compartment: PatientCompartment, bases: tuple[str, ...]
) -> Facts:
    """Derive the facts of a resource.

    Args:
        resource: validated and complete.
        surrogate: `TenantKeys.surrogate` of the tenant.
        compartment: tells whose record it is.
        bases: own base addresses, so that absolute references to this server count as local.
    """
    owners = b"".join(surrogate("Patient", id_) for id_ in compartment.patients(resource))
    author = b""
    element = _AUTHOR.get(resource["resourceType"])
    if element is not None:
        target = _first_reference(resource.get(element), bases)
        if target:
            author = surrogate("party", target)
    labels = b"".join(sorted({surrogate("category", code) for code in _categories(resource)}))
    rank, sensitivity = _security(resource, surrogate)
    return Facts(owners, author, labels, sensitivity, rank)


def _first_reference(value: Any, bases: tuple[str, ...]) -> str:
    first = value[0] if isinstance(value, list) and value else value
    if isinstance(first, dict):
        return _target(first, bases)
    return ""


def _target(reference: dict[str, Any], bases: tuple[str, ...]) -> str:
    local = local_reference(reference.get("reference", ""), bases)
    return f"{local[0]}/{local[1]}" if local else ""


def _categories(resource: dict[str, Any]) -> Iterator[str]:
    categories = resource.get("category")
    for concept in categories if isinstance(categories, list) else (categories,):
        if isinstance(concept, dict):
            for coding in concept.get("coding", ()):
                if "code" in coding:
                    yield coding["code"]


def _security(resource: dict[str, Any], surrogate: Surrogate) -> tuple[int, bytes]:
    labels = resource.get("meta", {}).get("security", ())
    rank = -1
    others = set()
    for coding in labels:
        code = coding.get("code", "")
        if coding.get("system") == _LABEL_SYSTEM and code in RANK:
            rank = max(rank, RANK[code])
        elif code:
            others.add(surrogate("sensitivity", code))
    return (UNLABELLED if rank < 0 else rank), b"".join(sorted(others))


# ── relations ────────────────────────────────────────────────────────────────────────────────────────────────────────


def relations(
    tenant: str,
    resource: dict[str, Any],
    source: bytes,
    owners: bytes,
    surrogate: Surrogate,
    bases: tuple[str, ...],
) -> Replace | None:
    """Who is related to the patient by this record, for access' own table; None for types that relate nobody.

    CareTeam members, participants of Encounters and general practitioners have a care relationship.
    """
    members = _MEMBERS.get(resource["resourceType"])
    if members is None:
        return None
    found: tuple[tuple[bytes, bytes, str], ...] = ()
    if len(owners) == SURROGATE and _in_force(resource):  # one patient; a group record relates nobody
        parties = sorted({target for ref in members(resource) if (target := _target(ref, bases))})
        found = tuple((surrogate("party", party), owners, "care") for party in parties)
    return Replace(tenant, source, found)


def _in_force(resource: dict[str, Any]) -> bool:
    """Whether a record still states what it says; a CareTeam with an end has ended, as a participant with one has."""
    if resource.get("status") in {"inactive", "entered-in-error", "cancelled", "proposed", "suspended"}:
        return False
    return resource["resourceType"] != "CareTeam" or "end" not in resource.get("period", {})


def _care_team(resource: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for participant in resource.get("participant", ()):
        if "member" in participant and "end" not in participant.get("period", {}):
            yield participant["member"]


def _encounter(resource: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for participant in resource.get("participant", ()):
        if "individual" in participant:
            yield participant["individual"]


def _patient(resource: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from resource.get("generalPractitioner", ())


_MEMBERS = {"CareTeam": _care_team, "Encounter": _encounter, "Patient": _patient}
