# SPDX-License-Identifier: Apache-2.0
"""One thing that is wrong with an installation."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Concern:
    """Something that is wrong, and what mends it."""

    what: str
    mend: str
