# SPDX-License-Identifier: Apache-2.0
"""One JSON Schema for all of R4, generated from the definitions and compiled once.

It holds what needs no memory between places: known elements, cardinality, primitive formats, choices,
required bindings, reference targets, empty objects and arrays, rules for contained resources, and the
constraints that `invariants` can translate. What has to compare places (contained references, periods, null
alignment, narrative) is `walk`'s business.

Every rule that a person may break carries an `x-rule` list, which JSON Schema ignores and `report` turns
into words. The types are told apart by nested if/then/else with the frequent ones first: a flat list of 146
conditions costs twice as much, and one validator per type takes 5 MB each.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any, Final

import jsonschema_rs

from salus.fhir.definitions import Field, resource_types, structure
from salus.fhir.validate import invariants
from salus.fhir.validate.members import Member, members, names
from salus.fhir.validate.primitives import ABSOLUTE, CONTENT_TYPE, LANGUAGE, SCHEMAS, reference_pattern

Schema = dict[str, Any]

# How often types occur in ordinary records decides how soon the chain finds them.
FREQUENT: Final = (
    *(
        "Observation",
        "Claim",
        "ExplanationOfBenefit",
        "Encounter",
        "DiagnosticReport",
        "Procedure",
        "Immunization",
    ),
    *(
        "MedicationRequest",
        "Condition",
        "Patient",
        "DocumentReference",
        "CarePlan",
        "CareTeam",
        "Organization",
    ),
    *(
        "Practitioner",
        "PractitionerRole",
        "Location",
        "Medication",
        "MedicationAdministration",
        "AllergyIntolerance",
    ),
    *("Goal", "Device", "ImagingStudy", "Provenance", "ServiceRequest", "Coverage", "Consent", "Bundle"),
)
_ANY_RESOURCE: Final = frozenset({"Resource", "DomainResource"})
_ABSOLUTE: Final = frozenset({("Coding", "system"), ("Identifier", "system"), ("Bundle.entry", "fullUrl")})
_CONTENT_TYPES: Final = frozenset(
    {
        ("Attachment", "contentType"),
        ("Binary", "contentType"),
        ("Signature", "targetFormat"),
        ("Signature", "sigFormat"),
    }
)
_NARROW: Final = 16  # types of a choice
_CONSTRAINED_META: Final = ("versionId", "lastUpdated", "security")


@cache
def schema() -> Schema:
    """The whole schema, JSON Schema 2019-09, with `x-rule` marks."""
    definitions: Schema = {name: {"x-rule": ["primitive", name], **body} for name, body in SCHEMAS.items()}
    for url, codes in structure().value_sets.items():
        definitions[url] = {"x-rule": ["binding", url], "enum": list(codes)}
    for path, kind in structure().types.items():
        if path not in _ANY_RESOURCE:
            definitions[path] = _object(path, kind.kind == "resource")
    for targets in sorted({f.targets for t in structure().types.values() for f in t.fields if "Reference" in f.types}):
        definitions[_reference_name(targets)] = _reference(definitions["Reference"], targets)
    definitions["Resource"] = _chain()
    definitions["contained"] = _contained()
    return {
        "$schema": "https://json-schema.org/draft/2019-09/schema",
        "definitions": definitions,
        "$ref": "#/definitions/Resource",
    }


@cache
def validator() -> jsonschema_rs.Validator:
    """The compiled schema, thread-safe. Building takes a quarter of a second and 90 MB, once per process."""
    linear = jsonschema_rs.RegexOptions(size_limit=64_000_000)
    return jsonschema_rs.validator_for(schema(), pattern_options=linear)


def _chain() -> Schema:
    chain: Schema = {"x-rule": ["type"], "not": {}}
    for name in reversed([*FREQUENT, *(n for n in resource_types() if n not in FREQUENT)]):
        chain = {"if": {"properties": {"resourceType": {"const": name}}}, "then": _ref(name), "else": chain}
    return {"x-rule": ["resource"], "type": "object", "required": ["resourceType"], **chain}


def _contained() -> Schema:
    """dom-2, dom-4 and dom-5: https://hl7.org/fhir/R4/domainresource.html#invs."""
    nested = {"x-rule": ["dom", "dom-2"], "not": {"required": ["contained"]}}
    meta = {"not": _some(_CONSTRAINED_META)}
    return {**_ref("Resource"), "allOf": [nested, {"x-rule": ["dom", "dom-4"], "properties": {"meta": meta}}]}


def _object(path: str, resource: bool) -> Schema:
    """Schema of a resource, data type or backbone element."""
    properties: Schema = {name: _value(path, member) for name, member in members(path).items()}
    required = ["resourceType"] if resource else []
    if resource:
        properties["resourceType"] = {"const": path}
    rules: list[Schema] = []
    for field in structure().types[path].fields:
        needed, rule = _cardinality(path, field)
        required += needed
        rules += rule
    if path == "Extension":
        rules += _extension_rules()
    else:
        found = [*invariants.translated(path), *invariants.written(path)]
        rules += [{"x-rule": ["invariant", key, words], **body} for key, words, body in found]
    if not resource and path != "Element":
        # ele-1: an id alone is no content. Siblings of primitives (`Element`) may carry just an id.
        rules.append({"x-rule": ["empty"], "dependentSchemas": {"id": {"minProperties": 2}}})
    body: Schema = {"x-rule": ["object", path], "type": "object", "properties": properties}
    body |= {"additionalProperties": False, "minProperties": 1}
    if required:
        body["required"] = required
    if rules:
        body["allOf"] = rules
    return body


def _value(path: str, member: Member) -> Schema:
    field = member.field
    if member.field.name == "contained":
        body = _ref("contained")
    elif member.type == "Reference":
        body = _ref(_reference_name(field.targets))
    elif member.type == "code" and field.binding:
        body = _ref(field.binding)
    elif member.type == "CodeableConcept" and field.binding:
        body = {**_ref("CodeableConcept"), **_coded(field.binding)}
    elif (path, member.name) in _ABSOLUTE:
        body = {"x-rule": ["absolute"], **ABSOLUTE}
    elif (path, member.name) in _CONTENT_TYPES:
        body = {"x-rule": ["content-type"], **CONTENT_TYPE}
    elif member.name == "language" and member.type == "code" and path != "Expression":
        body = {"x-rule": ["language"], **LANGUAGE}
    elif path == "Money" and member.name == "currency":
        # ISO 4217 is not listed in the definitions; its codes are three capital letters.
        body = {"x-rule": ["currency"], "type": "string", "pattern": "^[A-Z]{3}$"}
    else:
        body = _ref("Resource" if member.type in _ANY_RESOURCE else member.type)
    if not field.many:
        return body
    if member.primitive or member.sibling:
        body = {"anyOf": [body, {"type": "null"}]}
    return {"x-rule": ["array"], "type": "array", "minItems": 1, "items": body}


def _coded(url: str) -> Schema:
    """Required binding of a CodeableConcept: one of its codings is from the value set.

    https://hl7.org/fhir/R4/terminologies.html#required
    """
    one = {"required": ["system", "code"]}
    inside = {
        "system": {"enum": list(structure().systems[url])},
        "code": {"enum": list(structure().value_sets[url])},
    }
    listed = {"required": ["coding"], "properties": {"coding": {"contains": {**one, "properties": inside}}}}
    return {"anyOf": [{"x-rule": ["coded", url], **listed}, {"required": ["extension"]}]}


def _cardinality(path: str, field: Field) -> tuple[list[str], list[Schema]]:
    """Names for `required`, and further rules, that make an element present and a choice single."""
    stem = field.name.removesuffix("[x]")
    present = names(path, stem)
    plain = [name for name in present if not name.startswith("_")]
    rules: list[Schema] = []
    if len(plain) > 1:
        single = _single(plain, present)
        if path == "Extension":
            # The usual extension holds `url` and one value, so the long rule is seldom looked at.
            single = {"if": {"minProperties": 3}, "then": single}
        rules.append({"x-rule": ["single", stem], **single})
    if field.min == 0:
        return [], rules
    if len(present) == 1:
        return [present[0]], rules
    rules.append({"x-rule": ["required", stem], "if": _some(present), "else": False})
    return [], rules


def _single(plain: list[str], present: tuple[str, ...]) -> Schema:
    """At most one type of a choice is there; a primitive and its own sibling go together."""
    if len(plain) <= _NARROW:
        others = {name: _some(n for n in present if _bare(n) != _bare(name)) for name in present}
        return {"dependentSchemas": {name: {"not": some} for name, some in others.items()}}
    # Looks at every type, where the form above looks at the few that are there, but grows linearly. It is a condition
    # because a failed `oneOf` describes each of its branches, which takes a millisecond.
    each = [_some(n for n in present if _bare(n) == name) for name in plain]
    return {"if": {"oneOf": [{"not": _some(present)}, *each]}, "else": False}


def _some(wanted: Iterable[str]) -> Schema:
    return {"anyOf": [{"required": [name]} for name in wanted]}


def _bare(name: str) -> str:
    return name.removeprefix("_")


def _extension_rules() -> list[Schema]:
    """ext-1: either extensions or a value, not both (https://hl7.org/fhir/R4/extensibility.html#Extension)."""
    # Asked only where there is a `url`, whose absence is said by itself.
    filled = {"minProperties": 2, "dependentSchemas": {"id": {"minProperties": 3}}}
    some = {"dependentSchemas": {"url": filled}}
    nested = {"dependentSchemas": {"extension": {"propertyNames": {"enum": ["id", "url", "extension"]}}}}
    words = structure().constraints["Extension"][0].human
    return [{"x-rule": ["invariant", "ext-1", words], **rule} for rule in (some, nested)]


def _reference_name(targets: tuple[str, ...]) -> str:
    return f"Reference({'|'.join(targets)})"


def _reference(plain: Schema, targets: tuple[str, ...]) -> Schema:
    """The Reference type for elements that may point to these types only."""
    pattern = reference_pattern(targets or resource_types())
    literal = {"x-rule": ["reference", *targets], "type": "string", "maxLength": 4096, "pattern": pattern}
    return {**plain, "properties": {**plain["properties"], "reference": literal}}


def _ref(name: str) -> Schema:
    return {"$ref": "#/definitions/" + name.replace("~", "~0").replace("/", "~1").replace("|", "%7C")}
