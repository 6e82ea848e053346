# SPDX-License-Identifier: Apache-2.0
"""JSON Merge Patch (RFC 7396) over the JSON form of a resource.

FHIR writes one element under two names, its value and, with an underscore, its id and extensions
(https://hl7.org/fhir/R4/json.html#primitive). What a merge patch does to the value it does to the element: the sibling
goes with a value that is taken away, and with a list that is replaced, to whose items it belongs by position. It stays
where one value takes the place of another, and a patch that names it decides itself.
"""

from __future__ import annotations

from typing import Any

from salus.fhir.patch.json_patch import clone
from salus.fhir.patch.wording import malformed


def read(changes: Any) -> dict[str, Any]:
    """A decoded merge patch.

    Raises:
        Problem: INCORRECT when it is not an object: that would take the place of the whole resource.
    """
    if not isinstance(changes, dict):
        raise malformed("A merge patch is an object with the elements that it changes.", "")
    return changes


def apply(document: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Carry out a merge patch: section 2 of the RFC.

    Args:
        document: the decoded resource; it is not changed.
        changes: as `read` gives them; null takes an element away, an array takes the place of the whole list.

    Returns:
        The patched resource, which shares nothing with the patch that can change.
    """
    patched: dict[str, Any] = clone(document)
    _merge(patched, changes)
    return patched


def _merge(target: dict[str, Any], changes: dict[str, Any]) -> None:
    for name, value in changes.items():
        sibling = f"_{name}"
        if sibling in target and sibling not in changes and (value is None or isinstance(value, list)):
            del target[sibling]
        if value is None:
            target.pop(name, None)
        elif isinstance(value, dict):
            inner = target.get(name)
            if not isinstance(inner, dict):
                inner = target[name] = {}
            _merge(inner, value)
        else:
            target[name] = _new(value)


def _new(value: Any) -> Any:
    """What a patch brings inside a list; members that are null are left out, since nothing in FHIR's JSON is."""
    if isinstance(value, dict):
        return {name: _new(inner) for name, inner in value.items() if inner is not None}
    return [_new(inner) for inner in value] if isinstance(value, list) else value
