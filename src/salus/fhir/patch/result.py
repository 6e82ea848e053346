# SPDX-License-Identifier: Apache-2.0
"""What has to be settled between a patch and the record that it leaves.

https://hl7.org/fhir/R4/http.html#patch
"""

from __future__ import annotations

from typing import Any, Final

from salus.kernel.errors import Issue, Kind, Problem

_NOT_TOLD: Final = frozenset({"resourceType", "id", "meta", "implicitRules", "language", "text"})
"""Elements that a narrative does not speak about."""


def settle(before: dict[str, Any], after: Any) -> dict[str, Any]:
    """Make a record of what a patch left.

    Type and id must stay. Empty arrays and objects, which JSON Patch leaves behind where it removes the last item, are
    dropped: FHIR has none. A narrative that would go on telling what is no longer true is dropped as well if it was
    generated from the data, which "SHALL NOT be clinically unsafe"; one that says more than the data stops the patch.

    Raises:
        Problem: INVALID.
    """
    if not isinstance(after, dict):
        raise _refused("A patch must leave a resource.", "")
    type_ = before["resourceType"]
    if after.get("resourceType") != type_:
        raise _refused("A patch may not change the type of a resource.", "resourceType")
    if after.get("id") != before["id"]:
        raise _refused("A patch may not change the id of a resource.", f"{type_}.id")
    settled: dict[str, Any] = without_empty(after)
    if "text" in settled and settled["text"] == before.get("text") and _told(before) != _told(settled):
        status = settled["text"].get("status") if isinstance(settled["text"], dict) else ""
        if status == "additional":
            words = "The narrative says more than the data. Patch it as well, or replace the whole resource."
            raise _refused(words, f"{type_}.text")
        if status != "empty":
            del settled["text"]
    return settled


def _told(resource: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in resource.items() if name not in _NOT_TOLD}


def without_empty(node: Any) -> Any:
    """A copy without empty objects and arrays, of which FHIR has none."""
    if isinstance(node, dict):
        kept = {name: _siblings(value) if name[:1] == "_" else without_empty(value) for name, value in node.items()}
        return {name: value for name, value in kept.items() if value not in ({}, [])}
    if isinstance(node, list):
        return [item for item in map(without_empty, node) if item not in ({}, [])]
    return node


def _siblings(node: Any) -> Any:
    """What stands beside primitives; in an array null keeps the place of what is empty."""
    if not isinstance(node, list):
        return without_empty(node)
    kept = [without_empty(item) or None for item in node]
    return kept if any(kept) else []


def _refused(text: str, place: str) -> Problem:
    return Problem(Kind.INVALID, "The patch does not fit the resource.", issues=(Issue("invariant", text, place),))
