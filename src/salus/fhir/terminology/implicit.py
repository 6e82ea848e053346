# SPDX-License-Identifier: Apache-2.0
"""Value sets that are not written down but named by a url that says what is in them.

SNOMED CT: https://hl7.org/fhir/R4/snomedct.html#implicit  LOINC: https://hl7.org/fhir/R4/loinc.html#implicit
"""

from __future__ import annotations

import re

from salus.fhir.terminology.source import Resource

_SNOMED = re.compile(r"(http://snomed\.info/sct)(/\d{6,18}(?:/version/\d{8})?)?\?fhir_vs(?:=(isa|refset)/(\d{1,18}))?")
_LOINC = re.compile(r"http://loinc\.org/vs(?:/((?:LL|LP)[\d-]{1,20}))?")
_NAMES = {"isa": ("concept", "is-a"), "refset": ("concept", "in"), "LL": ("answer-list", "="), "LP": ("ancestor", "=")}


def implicit(url: str) -> Resource | None:
    """The value set that a url stands for; None when it follows none of the forms."""
    found = _SNOMED.fullmatch(url)
    if found is not None:
        version = f"{found[1]}{found[2]}" if found[2] else ""
        return _value_set(url, found[1], version, found[3] or "", found[4] or "")
    found = _LOINC.fullmatch(url)
    if found is not None:
        return _value_set(url, "http://loinc.org", "", (found[1] or "")[:2], found[1] or "")
    return None


def _value_set(url: str, system: str, version: str, kind: str, value: str) -> Resource:
    include: Resource = {"system": system}
    if version:
        include["version"] = version
    if kind:
        property_, op = _NAMES[kind]
        include["filter"] = [{"property": property_, "op": op, "value": value}]
    return {"resourceType": "ValueSet", "url": url, "status": "active", "compose": {"include": [include]}}
