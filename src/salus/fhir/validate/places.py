# SPDX-License-Identifier: Apache-2.0
"""From where something stands in JSON to the FHIRPath that a person reads in an OperationOutcome.

`["contact", 0, "gender"]` of a Patient becomes `Patient.contact[0].gender`, and `valueQuantity` becomes
`value.ofType(Quantity)`. A name that R4 does not know is repeated only if it looks like an element name,
because anything else may be content that got into the wrong place (https://hl7.org/fhir/R4/fhirpath.html).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import Any, Final

from salus.fhir.definitions import resource_types
from salus.fhir.validate.members import members

_NAME: Final = re.compile(r"_?[A-Za-z][A-Za-z0-9]{0,63}")
_ABSTRACT: Final = frozenset({"Resource", "DomainResource"})


def known(name: Any) -> bool:
    """Whether something is the name of a concrete R4 resource type."""
    return type(name) is str and name in _types()


def sayable(name: str) -> bool:
    """Whether a name from a client looks like an element name and so may be repeated to it."""
    return _NAME.fullmatch(name) is not None


def place(resource: dict[str, Any], path: Sequence[str | int]) -> str:
    """FHIRPath of a JSON location.

    Args:
        resource: the whole resource, of a known type.
        path: names and array indices from its root; the last name may be unknown to R4.
    """
    said: str = resource["resourceType"]
    kind = said
    node: Any = resource
    for step in path:
        if isinstance(step, int):
            said += f"[{step}]"
            node = _inside(node, step)
        else:
            member = members(kind).get(step) if kind else None
            said += "." + (member.place if member else step) if sayable(step) else ""
            kind = member.type if member and not member.primitive else ""
            node = _inside(node, step)
        if kind in _ABSTRACT and isinstance(node, dict):
            kind = node["resourceType"] if known(node.get("resourceType")) else ""
    return said


def _inside(node: Any, step: str | int) -> Any:
    try:
        return node[step]
    except (KeyError, IndexError, TypeError):
        return None


@cache
def _types() -> frozenset[str]:
    return frozenset(resource_types())
