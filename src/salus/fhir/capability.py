# SPDX-License-Identifier: Apache-2.0
"""The CapabilityStatement: what this server can do, worked out from what is really there.

https://hl7.org/fhir/R4/capabilitystatement.html
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Any

from salus.fhir.definitions import resource_types
from salus.fhir.operations.definition import Definition, definition_url
from salus.fhir.search.parameters import STANDARD, Registry, parameters
from salus.fhir.search.shapes import compartments

PUBLISHED = "2026-11-24"
"""Date of this version of the program, in the resources that describe it."""

Profiles = tuple[tuple[str, tuple[str, ...]], ...]

_INTERACTIONS = (
    "read",
    "vread",
    "update",
    "patch",
    "delete",
    "history-instance",
    "history-type",
    "create",
    "search-type",
)
_KEPT_APART = {"AuditEvent": ("read", "search-type"), "OperationDefinition": ("read", "search-type")}


@lru_cache(maxsize=64)
def capability(
    base: str,
    version: str,
    operations: tuple[Definition, ...] = (),
    *,
    deletes_several: bool = False,
    profiles: Profiles = (),
    registry: Registry = STANDARD,
) -> dict[str, Any]:
    """Describe the server.

    Args:
        base: FHIR base address of the tenant.
        version: version of Salus.
        operations: every operation that can be called.
        profiles: what records of a type may be held to, by type.
        deletes_several: whether a conditional delete may delete more than one record.
        registry: the tenant's search parameters; those that are not ready are left out.
    """
    described: dict[str, Any] = {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": PUBLISHED,
        "kind": "instance",
        "software": {"name": "Salus", "version": version},
        "implementation": {"description": "Salus health records", "url": base},
        "fhirVersion": "4.0.1",
        "format": ["application/fhir+json", "application/fhir+xml", "json", "xml"],
        "patchFormat": ["application/json-patch+json", "application/fhir+json", "application/fhir+xml"],
        "rest": [
            {
                "mode": "server",
                "security": {
                    "cors": False,
                    "description": "Every request but this one needs a bearer token. TLS 1.3 only.",
                },
                "resource": [
                    _resource(type_, registry, deletes_several=deletes_several)
                    | _profiles(type_, profiles)
                    | _operations(type_, base, operations)
                    for type_ in resource_types()
                ],
                "interaction": [{"code": code} for code in ("transaction", "batch", "history-system", "search-system")],
                "searchParam": _shared(),
                "compartment": [f"http://hl7.org/fhir/CompartmentDefinition/{_code(name)}" for name in compartments()],
            }
        ],
    }
    described["rest"][0] |= _operations("", base, operations)
    return described


def _profiles(type_: str, profiles: Profiles) -> dict[str, Any]:
    found = next((urls for of, urls in profiles if of == type_), ())
    return {"supportedProfile": list(found)} if found else {}


def _operations(type_: str, base: str, operations: tuple[Definition, ...]) -> dict[str, Any]:
    """Those of a type, or with "" those of the system."""
    if type_ in _KEPT_APART:
        return {}
    found = [
        {"name": each.code, "definition": definition_url(each, base)} for each in operations if _applies(each, type_)
    ]
    return {"operation": found} if found else {}


def _applies(operation: Definition, type_: str) -> bool:
    if not type_:
        return "system" in operation.levels
    return operation.levels != ("system",) and (not operation.types or type_ in operation.types)


def _resource(type_: str, registry: Registry, *, deletes_several: bool) -> dict[str, Any]:
    kept_apart = _KEPT_APART.get(type_)
    described: dict[str, Any] = {
        "type": type_,
        "profile": f"http://hl7.org/fhir/StructureDefinition/{type_}",
        "interaction": [{"code": code} for code in kept_apart or _INTERACTIONS],
    }
    if kept_apart:
        return described
    supported = {code: known for code, known in registry.parameters(type_).items() if not known.unsupported}
    described |= {
        "versioning": "versioned-update",
        "readHistory": True,
        "updateCreate": True,
        "conditionalCreate": True,
        "conditionalRead": "full-support",
        "conditionalUpdate": True,
        "conditionalDelete": "multiple" if deletes_several else "single",
        "referencePolicy": ["literal", "logical"],
        "searchInclude": ["*", *(f"{type_}:{code}" for code, known in supported.items() if known.kind == "reference")],
        "searchRevInclude": ["*", *_pointing_to().get(type_, ())],
        "searchParam": [
            {"name": code, "definition": known.url, "type": known.kind} for code, known in supported.items()
        ],
    }
    return described


def _shared() -> list[dict[str, Any]]:
    """Parameters that mean the same for every type, for searches over several."""
    every = [parameters(type_) for type_ in resource_types()]
    return [
        {"name": code, "definition": known.url, "type": known.kind}
        for code, known in every[0].items()
        if not known.unsupported and all(code in other and other[code].url == known.url for other in every)
    ]


@cache
def _pointing_to() -> dict[str, list[str]]:
    """Reference parameters by the types that they name as their targets."""
    found: dict[str, list[str]] = {}
    for type_ in resource_types():
        for code, known in parameters(type_).items():
            if known.kind == "reference" and not known.unsupported:
                for target in known.targets:
                    found.setdefault(target, []).append(f"{type_}:{code}")
    return found


def _code(compartment: str) -> str:
    return compartment[0].lower() + compartment[1:]
