# SPDX-License-Identifier: Apache-2.0
"""What a verification of the log found, in words and with the place; `verify` fills it in."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class FindingKind(StrEnum):
    """What can be wrong with a log. The last four are worth knowing and no sign of tampering."""

    EDITED = "edited"
    REARRANGED = "rearranged"
    MISSING = "missing"
    OVERLAP = "overlap"
    TRUNCATED = "truncated"
    HEAD = "head"
    FORKED = "forked"
    CHECKPOINT = "checkpoint"
    UNREADABLE = "unreadable"
    CLOCK = "clock"
    TORN_NOTE = "torn-note"
    ERASED = "erased"
    UNSIGNED = "unsigned"


HARMLESS = {FindingKind.CLOCK, FindingKind.TORN_NOTE, FindingKind.ERASED, FindingKind.UNSIGNED}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found.

    Attributes:
        kind: what sort.
        index: entry where it begins; None when it concerns no single entry.
        text: words for the auditor; no patient data.
    """

    kind: FindingKind
    index: int | None
    text: str


@dataclass(frozen=True, slots=True)
class Report:
    """Result of a verification.

    Attributes:
        ok: nothing was tampered with, as far as keys and checkpoints can tell.
        size: entries that were read.
        root: 32-byte root over them.
        signed: size of the largest genuine checkpoint that this log agrees with; 0 when there is none.
        findings: what was found, at most 200.
        more: findings beyond those.
    """

    ok: bool
    size: int
    root: bytes
    signed: int
    findings: list[Finding]
    more: int
