# SPDX-License-Identifier: Apache-2.0
"""The description of one operation, and the OperationDefinition that says it to clients.

https://hl7.org/fhir/R4/operationdefinition.html
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from salus.fhir.definitions import PRIMITIVES, resource_types

Level = Literal["system", "type", "instance"]
Resource = dict[str, Any]

ANY = "Resource"
"""As the type of a parameter: any resource."""

_TYPES = frozenset(resource_types())
_HL7 = "http://hl7.org/fhir/OperationDefinition/"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter, in or out.

    Attributes:
        name: as in a query or in `Parameters.parameter.name`.
        type: a primitive, data type or resource type; `Resource` for any; "" when it has parts.
        min: least number of values.
        max: greatest number, `1`, `*` or a number.
        doc: one sentence or two for the person who calls it.
        parts: parameters inside it.
        search: kind of search parameter, for a string that is written like one (`token`, `date`, …).
        checked: a resource must be valid R4; False where judging it is what the operation is for.
    """

    name: str
    type: str
    doc: str
    min: int = 0
    max: str = "1"
    parts: tuple[Parameter, ...] = ()
    search: str = ""
    checked: bool = True

    @property
    def primitive(self) -> bool:
        """Whether it can stand in a query."""
        return self.type in PRIMITIVES

    @property
    def resource(self) -> bool:
        """Whether its value is a resource."""
        return self.type == ANY or self.type in _TYPES


@dataclass(frozen=True, slots=True)
class Definition:
    """One operation.

    Attributes:
        code: the name without `$`.
        title: a few words.
        doc: what it does and what it does not, for the person who calls it.
        levels: where it is called: `/fhir/$code`, `/fhir/TYPE/$code`, `/fhir/TYPE/ID/$code`.
        types: resource types that it is for; empty means all.
        inputs, outputs: its parameters.
        affects_state: whether it may change what is stored; then it is called by POST only.
        searches: further parameters are search parameters of the type; they are handed on as they were sent.
        paged: it answers with pages, whose links carry `_page`.
        standard: id of HL7's definition that it carries out, such as `Patient-everything`; "" for one of our own.
    """

    code: str
    title: str
    doc: str
    levels: tuple[Level, ...]
    types: tuple[str, ...] = ()
    inputs: tuple[Parameter, ...] = ()
    outputs: tuple[Parameter, ...] = ()
    affects_state: bool = False
    searches: bool = False
    paged: bool = False
    standard: str = ""

    @property
    def id(self) -> str:
        """Id of its OperationDefinition on this server."""
        return self.standard or f"{self.types[0] if self.types else ANY}-{self.code}"

    @property
    def by_get(self) -> bool:
        """Whether GET may call it: it changes nothing, and what it must have fits into a query.

        https://hl7.org/fhir/R4/operations.html#request
        """
        return not self.affects_state and all(one.primitive for one in self.inputs if one.min)

    @property
    def body(self) -> Parameter | None:
        """The resource parameter, if there is exactly one: it may be sent as the bare body of a POST."""
        resources = [one for one in self.inputs if one.resource]
        return resources[0] if len(resources) == 1 else None


def operation_definition(definition: Definition, base: str, published: str) -> Resource:
    """Write the OperationDefinition of an operation.

    Args:
        base: FHIR base address of the tenant.
        published: date of this version of the program.
    """
    written: Resource = {
        "resourceType": "OperationDefinition",
        "id": definition.id,
        "url": definition_url(definition, base),
        "name": _computable(definition.id),
        "title": definition.title,
        "status": "active",
        "kind": "operation",
        "date": published,
        "description": definition.doc,
        "affectsState": definition.affects_state,
        "code": definition.code,
        "resource": list(definition.types or (ANY,)),
        "system": "system" in definition.levels,
        "type": "type" in definition.levels,
        "instance": "instance" in definition.levels,
    }
    if definition.standard:
        written["base"] = _HL7 + definition.standard
    parameters = [_written(one, "in") for one in definition.inputs]
    parameters += [_written(one, "out") for one in definition.outputs]
    if parameters:
        written["parameter"] = parameters
    return written


def definition_url(definition: Definition, base: str) -> str:
    """Where the OperationDefinition is read, which is also its canonical URL."""
    return f"{base}/OperationDefinition/{definition.id}"


def _written(parameter: Parameter, use: str) -> Resource:
    written: Resource = {
        "name": parameter.name,
        "use": use,
        "min": parameter.min,
        "max": parameter.max,
        "documentation": parameter.doc,
    }
    if parameter.type:
        written["type"] = parameter.type
    if parameter.search:
        written["searchType"] = parameter.search
    if parameter.parts:
        written["part"] = [_written(part, use) for part in parameter.parts]
    return written


def _computable(id_: str) -> str:
    """`Patient-everything` as `PatientEverything` (opd-0: a name that programs can use)."""
    return "".join(part[:1].upper() + part[1:] for part in id_.split("-"))
