# SPDX-License-Identifier: Apache-2.0
"""Which of two business versions is newer (https://hl7.org/fhir/R4/references.html#canonical). Pure.

Numbers are compared as numbers, a pre-release (`1.0.0-ballot`) comes before its release as in semver.org, and dates
written as `2023-09-01` or `20230901` order themselves.
"""

from __future__ import annotations

import re

_PART = re.compile(r"\d+|[A-Za-z]+")
_DATED = re.compile(r"\d{4}-\d\d(-\d\d)?\Z")

Key = tuple[tuple[tuple[int, int, str], ...], int, tuple[tuple[int, int, str], ...]]


def newness(version: str) -> Key:
    """A key that sorts the newest version last; the empty version is the oldest."""
    release, dash, rest = (version, "", "") if _DATED.match(version) else version.partition("-")
    return _parts(release), 0 if dash else 1, _parts(rest)


def _parts(text: str) -> tuple[tuple[int, int, str], ...]:
    return tuple((1, int(part), "") if part.isdigit() else (0, 0, part.lower()) for part in _PART.findall(text[:100]))
