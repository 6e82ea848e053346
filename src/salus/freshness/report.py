# SPDX-License-Identifier: Apache-2.0
"""What a comparison of the database with its manifest found, in words and with the place."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

MOST = 200
"""Findings that are told one by one."""


class FindingKind(StrEnum):
    """What can be wrong with a database."""

    MANIFEST = "manifest"
    SCHEMA = "schema"
    TABLE = "table"
    OLDER = "older"
    GONE = "gone"
    ADDED = "added"
    CHANGED = "changed"
    INDEX = "index"
    CONTENT = "content"
    RELATION = "relation"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found.

    Attributes:
        kind: what sort.
        text: words for whoever looks into it; surrogates, rows and entries of the log, no patient data.
    """

    kind: FindingKind
    text: str
