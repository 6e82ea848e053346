# SPDX-License-Identifier: Apache-2.0
"""Which profiles on resource types are known: those of US Core, which are shipped, and of installed packages."""

from __future__ import annotations

from functools import lru_cache

from salus.knowledge.library import Library

Profiles = tuple[tuple[str, tuple[str, ...]], ...]
"""Sorted types, each with its sorted urls."""


def profiles(library: Library) -> Profiles:
    """Profiles by the type that they constrain; worked out again when something was installed or removed."""
    return _work_out(library, library.generation)


@lru_cache(maxsize=4)
def _work_out(library: Library, _generation: int) -> Profiles:
    found: dict[str, set[str]] = {}
    for url, version in library.all("StructureDefinition"):
        definition = library.find("StructureDefinition", url, version) or {}
        if definition.get("derivation") == "constraint" and definition.get("kind") == "resource":
            found.setdefault(definition["type"], set()).add(url)
    return tuple((type_, tuple(sorted(urls))) for type_, urls in sorted(found.items()))
