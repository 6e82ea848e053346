# SPDX-License-Identifier: Apache-2.0
"""HL7's own extensions and profiles of R4, as slim StructureDefinitions (`PROFILES.md`).

They are what R4 itself publishes beside its types: `patient-birthPlace`, `vitalsigns`, `data-absent-reason`. Profiles
from packages are not here.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Any

import msgspec
import zstandard

from salus.fhir import json


@cache
def published() -> frozenset[str]:
    """Canonical urls of everything in the table."""
    return frozenset(_table())


def published_definition(url: str) -> dict[str, Any] | None:
    """The StructureDefinition with a canonical url, with its snapshot; None when R4 publishes none.

    Returns:
        A shared value: never change it.
    """
    return _opened(url) if url in published() else None


@cache
def _opened(url: str) -> dict[str, Any]:
    return json.decode(_table()[url])


@cache
def _table() -> dict[str, bytes]:
    packed = resources.files(__package__).joinpath("profiles.msgpack.zst").read_bytes()
    return msgspec.msgpack.decode(zstandard.ZstdDecompressor().decompress(packed), type=dict[str, bytes])
