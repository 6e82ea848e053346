# SPDX-License-Identifier: Apache-2.0
"""The CapabilityStatement: what this server can do, worked out from what is really there.

https://hl7.org/fhir/R4/capabilitystatement.html
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Any, NamedTuple

from salus.fhir.definitions import resource_types
from salus.fhir.operations.definition import Definition, definition_url
from salus.fhir.patch import JSON_PATCH, MERGE_PATCH
from salus.fhir.search.parameters import STANDARD, Parameter, Registry, parameters
from salus.fhir.search.shapes import compartments

PUBLISHED = "2026-11-24"
"""Date of this version of the program, in the resources that describe it."""


_TO_ANYTHING = ("Provenance:target", "List:item", "Composition:entry")
"""A hundred parameters may point to every type. All can be included; these are the ones that people look for."""

_OAUTH_URIS = "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris"
_SECURITY_SERVICE = "http://terminology.hl7.org/CodeSystem/restful-security-service"

Profiles = tuple[tuple[str, tuple[str, ...]], ...]


class Offered(NamedTuple):
    """What the routes answer.

    Attributes:
        on_type, on_system: codes of interactions.
        conditional: which of create, update, patch and delete go by a condition in the address.
        apart: types that are not records, with their own interactions.
    """

    on_type: tuple[str, ...] = ()
    on_system: tuple[str, ...] = ()
    conditional: frozenset[str] = frozenset()
    apart: tuple[tuple[str, tuple[str, ...]], ...] = ()


@lru_cache(maxsize=64)
def capability(
    base: str,
    version: str,
    offered: Offered,
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
        offered: what the routes answer.
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
        "patchFormat": [JSON_PATCH, MERGE_PATCH, "application/fhir+json", "application/fhir+xml"],
        "rest": [
            {
                "mode": "server",
                "security": _security(base.removesuffix("/fhir")),
                "resource": [
                    _resource(type_, registry, offered, deletes_several=deletes_several)
                    | _profiles(type_, profiles)
                    | _operations(type_, base, offered, operations)
                    for type_ in resource_types()
                ],
                "interaction": [{"code": code} for code in offered.on_system],
                "searchParam": _shared(),
                "compartment": [f"http://hl7.org/fhir/CompartmentDefinition/{_code(name)}" for name in compartments()],
            }
        ],
    }
    described["rest"][0] |= _operations("", base, offered, operations)
    return described


def _security(issuer: str) -> dict[str, Any]:
    """How to get in (https://hl7.org/fhir/smart-app-launch/STU2.2/conformance.html, oauth-uris for older clients)."""
    addresses = {
        "authorize": "/oauth2/authorize",
        "token": "/oauth2/token",
        "register": "/oauth2/register",
        "manage": "/account/apps",
    }
    return {
        "extension": [
            {
                "url": _OAUTH_URIS,
                "extension": [{"url": name, "valueUri": issuer + path} for name, path in addresses.items()],
            }
        ],
        "cors": True,
        "service": [{"coding": [{"system": _SECURITY_SERVICE, "code": "SMART-on-FHIR", "display": "SMART-on-FHIR"}]}],
        "description": "Every request but this one needs an access token; see .well-known/smart-configuration.",
    }


def _profiles(type_: str, profiles: Profiles) -> dict[str, Any]:
    found = next((urls for of, urls in profiles if of == type_), ())
    return {"supportedProfile": list(found)} if found else {}


def _operations(type_: str, base: str, offered: Offered, operations: tuple[Definition, ...]) -> dict[str, Any]:
    """Those of a type, or with "" those of the system."""
    if type_ in dict(offered.apart):
        return {}
    found = [
        {"name": each.code, "definition": definition_url(each, base)} for each in operations if _applies(each, type_)
    ]
    return {"operation": found} if found else {}


def _applies(operation: Definition, type_: str) -> bool:
    if not type_:
        return "system" in operation.levels
    return operation.levels != ("system",) and (not operation.types or type_ in operation.types)


def _resource(type_: str, registry: Registry, offered: Offered, *, deletes_several: bool) -> dict[str, Any]:
    kept_apart = dict(offered.apart).get(type_)
    described: dict[str, Any] = {
        "type": type_,
        "profile": f"http://hl7.org/fhir/StructureDefinition/{type_}",
        "interaction": [{"code": code} for code in kept_apart or offered.on_type],
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
        "conditionalUpdate": "update" in offered.conditional,
        "conditionalDelete": _deletes(offered, several=deletes_several),
        "referencePolicy": ["literal", "logical"],
        "searchInclude": ["*", *(f"{type_}:{code}" for code, known in supported.items() if known.kind == "reference")],
        "searchRevInclude": ["*", *_pointing_to().get(type_, ()), *_TO_ANYTHING],
        "searchParam": [_parameter(code, known) for code, known in supported.items()],
    }
    return described


def _parameter(code: str, known: Parameter) -> dict[str, Any]:
    described = {"name": code, "definition": known.url, "type": known.kind}
    if code == "_lastUpdated":  # US Core asks for it: a client that polls must know what it will miss
        described["documentation"] = "Every change of a record makes a new version with a new time, labels included."
    return described


def _deletes(offered: Offered, *, several: bool) -> str:
    if "delete" not in offered.conditional:
        return "not-supported"
    return "multiple" if several else "single"


def terminology_capability(
    base: str, systems: tuple[tuple[str, str], ...], operations: tuple[Definition, ...]
) -> dict[str, Any]:
    """Describe the terminology (https://hl7.org/fhir/R4/terminologycapabilities.html).

    Args:
        systems: url and version ("" for none) of every code system that is here.
        operations: every operation that can be called; `$expand` says which parameters there are.
    """
    versions: dict[str, list[str]] = {}
    for url, version in systems:
        versions.setdefault(url, []).extend([version] if version else [])
    expand = next((each for each in operations if each.code == "expand"), None)
    described: dict[str, Any] = {
        "resourceType": "TerminologyCapabilities",
        "status": "active",
        "date": PUBLISHED,
        "kind": "instance",
        "implementation": {"description": "Salus health records", "url": base},
        "lockedDate": False,
        "codeSystem": [
            {"uri": url, "version": [{"code": code} for code in codes]} if codes else {"uri": url}
            for url, codes in versions.items()
        ],
        "expansion": {"hierarchical": True, "paging": True, "incomplete": False},
        "validateCode": {"translations": False},
        "translation": {"needsMap": True},
        "closure": {"translation": False},
    }
    if expand is not None:
        described["expansion"]["parameter"] = [{"name": each.name, "documentation": each.doc} for each in expand.inputs]
    return described


def _shared() -> list[dict[str, Any]]:
    """Parameters that mean the same for every type, for searches over several."""
    every = [parameters(type_) for type_ in resource_types()]
    shared = [
        {"name": code, "definition": known.url, "type": known.kind}
        for code, known in every[0].items()
        if not known.unsupported and all(code in other and other[code].url == known.url for other in every)
    ]
    return [*shared, {"name": "_filter", "type": "special"}]  # R4 has it, and no SearchParameter for it


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
