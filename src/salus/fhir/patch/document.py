# SPDX-License-Identifier: Apache-2.0
"""From a patch document to a function from resource to resource."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from salus.fhir import json
from salus.fhir.patch import fhirpath_patch, json_patch, merge_patch
from salus.fhir.patch.wording import malformed
from salus.fhir.validate import check
from salus.kernel.errors import Issue, Kind, Problem

Patch = Callable[[dict[str, Any]], Any]
"""Gives the changed resource and leaves the given one as it is. Raises Problem(INCORRECT, INVALID, TOO_COSTLY)."""

JSON_PATCH: Final = "application/json-patch+json"  # RFC 6902 section 6
MERGE_PATCH: Final = "application/merge-patch+json"  # RFC 7396 section 4


def of_json(raw: bytes) -> Patch:
    """A JSON Patch from its bytes.

    Raises:
        Problem: INCORRECT when it is not JSON; what is not a patch is told when it is applied.
    """
    operations = json.decode_any(raw)
    return partial(json_patch.apply, operations=operations)


def of_merge(changes: Any) -> Patch:
    """A merge patch from its decoded JSON.

    Raises:
        Problem: INCORRECT when it is not an object.
    """
    return partial(merge_patch.apply, changes=merge_patch.read(changes))


def of_parameters(resource: dict[str, Any]) -> Patch:
    """A FHIRPath Patch from a Parameters resource.

    Raises:
        Problem: INCORRECT or INVALID when it is not a valid Parameters resource that holds one.
    """
    check(resource, "Parameters")
    operations = fhirpath_patch.read(resource)
    return partial(fhirpath_patch.apply, operations=operations)


def of_entry(resource: dict[str, Any]) -> Patch:
    """The patch in an entry of a Bundle: Parameters, or a Binary that carries a JSON Patch or a merge patch.

    https://hl7.org/fhir/R4/http.html#patch ("PATCH in a batch or transaction")

    Raises:
        Problem: INCORRECT or INVALID.
    """
    if resource.get("resourceType") == "Parameters":
        return of_parameters(resource)
    if resource.get("resourceType") != "Binary":
        text = "A patch in a Bundle is a Parameters resource, or a Binary with a JSON Patch or a merge patch."
        raise Problem(Kind.INCORRECT, text, issues=(Issue("invalid", text, "resource"),))
    check(resource, "Binary")
    media = resource.get("contentType", "").partition(";")[0].strip().lower()
    if media not in {JSON_PATCH, MERGE_PATCH}:
        text = f"The Binary must have the contentType {JSON_PATCH} or {MERGE_PATCH}."
        raise malformed(text, "resource.contentType")
    try:
        raw = base64.b64decode(resource.get("data", ""))
    except (binascii.Error, ValueError):
        raise malformed("The data of the Binary must be base64.", "resource.data") from None
    return of_json(raw) if media == JSON_PATCH else of_merge(json.decode_any(raw))
