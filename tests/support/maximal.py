# SPDX-License-Identifier: Apache-2.0
"""The fullest resource of a type: a word in every element that can hold one, made from the definitions."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from typing import Any

from salus.fhir.definitions import PRIMITIVES, Field, structure
from salus.fhir.validate import check
from salus.kernel.errors import Kind, Problem

JSON = dict[str, Any]

_DEEPEST = 4
_FIXED = {
    "boolean": True,
    "date": "2024-01-31",
    "dateTime": "2024-01-31T08:00:00Z",
    "instant": "2024-01-31T08:00:00Z",
    "time": "08:00:00",
    "decimal": 1.5,
    "integer": 1,
    "positiveInt": 1,
    "unsignedInt": 1,
    "oid": "urn:oid:1.2.3",
    "uuid": "urn:uuid:0190cafe-0000-7000-8000-000000000000",
}
_SKIPPED = {"contained", "implicitRules"}
_CONTRADICTED = {  # elements that another one, which is always there, rules out
    "Appointment": ("cancelationReason",),
    "Condition": ("abatementString", "_abatementString"),
    "CodeSystem": ("concept.concept",),
    "Observation": ("dataAbsentReason", "component.code.coding"),
}


def maximal(type_: str, word: str, patient: str) -> JSON:
    """Make it, then drop what rules between elements forbid, until it is valid.

    Args:
        type_: resource type.
        word: letters and digits, a multiple of four, so that it is base64 too.
        patient: id of the patient that it belongs to wherever it may name one.
    """
    made: JSON = {"resourceType": type_, "id": f"id-{word}"} | _object(type_, word, patient, 0)
    made["id"] = f"id-{word}"
    for name in _CONTRADICTED.get(type_, ()):
        _drop(made, name.split("."))
    for _ in range(60):
        try:
            check(made, type_)
        except Problem as problem:
            if problem.kind is not Kind.INVALID:
                raise
            for issue in problem.issues:
                steps = issue.place.split(".")[1:]
                _drop(made, steps[:-1] if issue.code == "required" else steps)
            continue
        return made
    raise AssertionError(f"{type_} does not become valid")


def occurrences(resource: JSON, word: str) -> int:
    """How often the word stands in it."""
    return json.dumps(resource).count(word)


def _object(path: str, word: str, patient: str, depth: int) -> JSON:
    found: JSON = {}
    for field in structure().types[path].fields:
        if field.name in _SKIPPED or (depth >= _DEEPEST and field.min == 0):
            continue
        name, value = _element(field, word, patient, depth)
        if value is not None:
            found[name] = [value] if field.many else value
            if _primitive(field) and isinstance(value, str) and field.name not in {"id", "url", "div"}:
                aside = {"id": word, "extension": [{"url": f"urn:x:{word}", "valueString": word}]}
                found[f"_{name}"] = [aside] if field.many else aside
    return found


def _primitive(field: Field) -> bool:
    return any(kind in PRIMITIVES for kind in field.types)


def _element(field: Field, word: str, patient: str, depth: int) -> tuple[str, Any]:
    kinds = [kind for kind in ("string", "CodeableConcept", "Reference") if kind in field.types] or list(field.types)
    kind = kinds[0]
    choice = field.name.endswith("[x]")
    name = field.name[:-3] + kind[0].upper() + kind[1:] if choice else field.name
    if kind == "Extension" and depth > 1:
        return name, None
    return name, _value(field, kind, word, patient, depth)


def _value(field: Field, kind: str, word: str, patient: str, depth: int) -> Any:
    if kind in _FIXED:
        return _FIXED[kind]
    match kind:
        case "code":
            if field.name == "currency":
                return "EUR"
            if field.name in {"contentType", "targetFormat", "sigFormat"}:
                return f"text/{word}"
            return structure().value_sets[field.binding][0] if field.binding else word
        case "xhtml":
            return f'<div xmlns="http://www.w3.org/1999/xhtml"><p title="{word}">{word}</p></div>'
        case "uri" | "url" | "canonical":
            return f"https://x.example/{word}"
        case "base64Binary":
            return b64encode(word.encode()).decode()
        case "Reference":
            return _reference(field, word, patient)
        case "CodeableConcept" if field.binding:
            coding = {"system": structure().systems[field.binding][0], "code": structure().value_sets[field.binding][0]}
            return {"coding": [coding | {"display": word, "version": word}], "text": word}
        case "Extension":
            return {"url": f"https://x.example/{word}", "id": word, "valueString": word}
        case "Resource" | "DomainResource":
            return None
    if kind in PRIMITIVES:
        return word
    inner = _object(kind.removeprefix("#"), word, patient, depth + 1)
    return inner if inner.keys() - {"id", "_id"} else None


def _reference(field: Field, word: str, patient: str) -> JSON:
    if not field.targets or "Patient" in field.targets:
        target = f"Patient/{patient}"
    else:
        target = f"{field.targets[0]}/{word}"
    identifier = {"system": f"https://x.example/{word}", "value": word}
    return {"id": word, "reference": target, "identifier": identifier, "display": word}


def _drop(resource: JSON, steps: list[str]) -> None:
    """Take out the element at a FHIRPath place; the whole step that is not found any more is left."""
    node: Any = resource
    path = [re.sub(r"\[\d+\]$", "", step) for step in steps if not step.startswith("ofType")]
    for name in path[:-1]:
        key = _member(node, name)
        if key is None:
            return
        node = node[key]
        if isinstance(node, list):
            node = node[0]
        if not isinstance(node, dict):
            return
    if path:
        key = _member(node, path[-1])
        if key is not None:
            node.pop(key)
            node.pop(f"_{key}", None)


def _member(node: JSON, name: str) -> str | None:
    """The key of an element: its name, or the form that a choice has taken."""
    if name in node:
        return name
    return next((key for key in node if re.fullmatch(re.escape(name) + "[A-Z][A-Za-z]*", key)), None)
