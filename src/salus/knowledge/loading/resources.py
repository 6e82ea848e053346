# SPDX-License-Identifier: Apache-2.0
"""Large CodeSystem resources out of packages, written into the tables: what is kept of the resource is its heading.

In memory, every worker process would hold a system of a hundred thousand codes as objects, and build them anew at its
start.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from salus.fhir.terminology.code_system import ResourceSystem
from salus.fhir.terminology.source import Resource, as_text
from salus.kernel.db import Connection
from salus.knowledge.loading.loading import About, Loading, begin

LARGE = 5_000
"""Concepts from which on a system goes into the tables."""


def is_large(resource: Resource) -> bool:
    """Whether a resource is a CodeSystem, not a supplement, with more concepts than memory should hold."""
    if resource["resourceType"] != "CodeSystem" or resource.get("content") == "supplement":
        return False
    return _more_than(LARGE, resource.get("concept", []))


def into_tables(db: Connection, resource: Resource, package: int, now_ms: int) -> Resource:
    """Write the concepts of a CodeSystem inside the caller's transaction; gives the resource without them.

    Raises:
        Problem: INVALID when its hierarchy goes round.
    """
    memory = ResourceSystem(resource)
    about = About(
        memory.url,
        memory.version,
        memory.name,
        memory.is_a,
        folds=resource.get("caseSensitive") is False,
        complete=memory.complete,
    )
    system = begin(db, about, now_ms, package)
    into = Loading(db, system, lambda *_: None, grouped=False)
    concepts = list(memory.select((), ""))
    into.concepts((c.code, c.display, c.definition, c.active, c.abstract) for c in concepts)
    into.designations((c.code, d.value, d.language, _coding(d.use)) for c in concepts for d in c.designations)
    into.properties(
        (c.code, p.code, as_text(p.value), "code" if p.type == "Coding" else p.type)
        for c in concepts
        for p in c.properties
    )
    into.parents((c.code, parent) for c in concepts for parent in memory.neighbours(c.code)[0])
    into.finish()
    db.execute("update system set ready=1 where id=?", (system,))
    return {name: value for name, value in resource.items() if name != "concept"}


def _coding(use: Resource | None) -> str:
    return msgspec.json.encode(use).decode() if use else ""


def _more_than(limit: int, concepts: list[Resource]) -> bool:
    return any(number >= limit for number, _ in enumerate(_walk(concepts)))


def _walk(concepts: list[Resource]) -> Iterator[Resource]:
    for each in concepts:
        yield each
        yield from _walk(each.get("concept", []))
