# SPDX-License-Identifier: Apache-2.0
"""Loading and removing large code systems, with an entry in the audit log of every tenant."""

from __future__ import annotations

from pathlib import Path

from salus.app.house import House
from salus.app.packages import note
from salus.audit.event import EventType
from salus.kernel.errors import Kind, Problem
from salus.knowledge.loading import loinc, rxnorm, snomed
from salus.knowledge.loading.files import release
from salus.knowledge.loading.loading import About, Progress, loading, unload

KINDS = {"loinc": loinc, "snomed": snomed, "rxnorm": rxnorm}
"""Readers by the name that the command line uses."""


async def load(house: House, kind: str, path: Path, version: str, progress: Progress) -> About:
    """Load a release.

    Args:
        kind: one of `KINDS`.
        version: empty to take it from the files.
        progress: told of every batch.

    Raises:
        Problem: INCORRECT for files of another form; INVALID for a hierarchy that goes round; CONFLICT while another
            load runs.
    """
    reader = KINDS.get(kind)
    if reader is None:
        raise Problem(Kind.INCORRECT, f"There are loaders for {', '.join(KINDS)}.")
    with release(path) as files:
        about: About = reader.about(files, version)
        with loading(house.knowledge, about, house.clock.now_ms(), progress) as into:
            reader.load(files, into)
            into.finish()
            await note(house, EventType.TERMINOLOGY_LOAD, f"{about.url} {about.version}")
    return about


async def remove(house: House, url: str, version: str) -> list[str]:
    """Remove a loaded code system; raises Problem as `salus.knowledge.loading.loading.unload` does."""
    versions = unload(house.knowledge, url, version)
    for each in versions:
        await note(house, EventType.TERMINOLOGY_REMOVE, f"{url} {each}")
    return versions
