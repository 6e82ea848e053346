# SPDX-License-Identifier: Apache-2.0
"""One thing that validation noticed, and how bad it is (https://hl7.org/fhir/R4/valueset-issue-severity.html)."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from salus.kernel.errors import Issue


class Severity(StrEnum):
    """How bad: an error makes the resource invalid, a warning and a piece of information do not."""

    ERROR = "error"
    WARNING = "warning"
    INFORMATION = "information"


class Finding(NamedTuple):
    """What was noticed.

    Attributes:
        severity: whether it makes the resource invalid.
        code: an IssueType code (https://hl7.org/fhir/R4/valueset-issue-type.html).
        text: words for a person; they never repeat a value of the resource.
        place: FHIRPath of the element.
    """

    severity: Severity
    code: str
    text: str
    place: str

    def issue(self) -> Issue:
        """The same without its severity, for a `Problem`."""
        return Issue(self.code, self.text, self.place)
