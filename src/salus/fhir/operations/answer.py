# SPDX-License-Identifier: Apache-2.0
"""Writing the resource `Parameters`.  https://hl7.org/fhir/R4/parameters.html"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

Resource = dict[str, Any]
Out = tuple[str, str, Any]
"""Name, type and value. Type `Resource`: a resource; `part`: a list of `Out`."""


def parameters(outputs: Iterable[Out]) -> Resource:
    """Write the answer of an operation.

    Args:
        outputs: for each value (name, type, value), such as `("result", "boolean", True)`; a value of None is left
            out.
    """
    written = [_parameter(name, type_, value) for name, type_, value in outputs if value is not None]
    resource: Resource = {"resourceType": "Parameters"}
    if written:  # an empty array is not allowed in FHIR JSON
        resource["parameter"] = written
    return resource


def _parameter(name: str, type_: str, value: Any) -> Resource:
    if type_ == "Resource":
        return {"name": name, "resource": value}
    if type_ == "part":
        return {"name": name, "part": [_parameter(*each) for each in value if each[2] is not None]}
    return {"name": name, f"value{type_[0].upper()}{type_[1:]}": value}
