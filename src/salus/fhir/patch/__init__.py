# SPDX-License-Identifier: Apache-2.0
"""Changing a part of a resource: JSON Patch (RFC 6902), merge patch (RFC 7396) and FHIRPath Patch.

https://hl7.org/fhir/R4/http.html#patch  https://hl7.org/fhir/R4/fhirpatch.html

Pure: a decoded resource and a patch go in, a changed resource comes out. Whether the result is valid, and whether
anybody may make the change, is asked elsewhere.
"""

from __future__ import annotations

from salus.fhir.patch.document import JSON_PATCH, MERGE_PATCH, Patch, of_entry, of_json, of_merge, of_parameters

__all__ = ["JSON_PATCH", "MERGE_PATCH", "Patch", "of_entry", "of_json", "of_merge", "of_parameters"]
