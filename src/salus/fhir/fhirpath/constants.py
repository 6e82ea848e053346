# SPDX-License-Identifier: Apache-2.0
"""What `%name` means (https://hl7.org/fhir/R4/fhirpath.html#variables)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from salus.fhir.fhirpath.context import Collection, Context
from salus.fhir.fhirpath.functions.calling import Step
from salus.fhir.fhirpath.lexer import wrong
from salus.fhir.fhirpath.node import Node, root
from salus.fhir.fhirpath.operators import EMPTY

_FIXED: Final = {
    "sct": "http://snomed.info/sct",
    "loinc": "http://loinc.org",
    "ucum": "http://unitsofmeasure.org",
}
_PREFIXES: Final = {
    "vs-": "http://hl7.org/fhir/ValueSet/",
    "ext-": "http://hl7.org/fhir/StructureDefinition/",
}


def constant(name: str, place: int) -> Step:
    """The step for `%name`.

    Args:
        name: without the sign.
        place: position in the expression, for the error.
    """
    if name in _FIXED:
        return _said(_FIXED[name])
    for prefix, url in _PREFIXES.items():
        if name.startswith(prefix):
            return _said(url + name[len(prefix) :])
    if name in _AROUND:
        return _AROUND[name]

    def run(_: Collection, ctx: Context) -> Collection:
        variables = ctx.environment.variables
        # Which variables there are shows only when the expression runs.
        return collection(variables[name]) if name in variables else wrong(place, "there is no such variable")

    return run


def collection(value: Any) -> Collection:
    """Whatever somebody gives as a variable or focus, as a collection."""
    if type(value) is dict:
        return [root(value)]
    if value is None:
        return []
    if isinstance(value, Sequence) and not isinstance(value, (str, tuple)):
        return [_item(one) for one in value]
    return [_item(value)]


def _item(value: Any) -> Any:
    if isinstance(value, dict):
        return root(value)
    if type(value) is Node and value.type.startswith("System."):
        return value.value
    return value


def _said(text: str) -> Step:
    values: Collection = [text]
    return lambda _, __: values


def _context(_: Collection, ctx: Context) -> Collection:
    return ctx.origin


def _resource(_: Collection, ctx: Context) -> Collection:
    given = ctx.environment.variables.get("resource")
    found = ctx.resource if given is None else _item(given)
    return EMPTY if found is None else [found]


def _root_resource(_: Collection, ctx: Context) -> Collection:
    given = ctx.environment.variables.get("rootResource")
    found = ctx.container if given is None else _item(given)
    return EMPTY if found is None else [found]


_AROUND: Final[dict[str, Step]] = {"context": _context, "resource": _resource, "rootResource": _root_resource}
