# SPDX-License-Identifier: Apache-2.0
"""What the erasure of a patient would take away, and what of the person would stay in the records of others.

Every version of every record is looked at, and what is not the patient's is opened: the index knows references of
search parameters only, and a person may be referred to anywhere. Names in free text are not looked for.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from dataclasses import dataclass, field

from salus.access.facts import SURROGATE
from salus.access.permissions import Permission
from salus.fhir.definitions import resource_types
from salus.kernel.errors import Kind, Problem
from salus.records.context import Context

_BREATH = 200


@dataclass(slots=True)
class Survey:
    """What was found.

    Attributes:
        records: records by type that go.
        versions: how many versions these have.
        shared: `Type/id` of records that belong to several patients, this one among them; they stay.
        mentions: `Type/id` of other records that refer to the patient, in any version; they stay.
        unseen: types that the policy hides from whoever looks.
    """

    records: Counter[str] = field(default_factory=Counter)
    versions: int = 0
    shared: dict[str, None] = field(default_factory=dict)
    mentions: dict[str, None] = field(default_factory=dict)
    unseen: list[str] = field(default_factory=list)


async def survey(ctx: Context, patient: str) -> Survey:
    """Look through all records of the actor's tenant.

    Args:
        ctx: somebody who may erase and who sees the histories of all types.
        patient: id of the Patient.

    Raises:
        Problem: FORBIDDEN; FAULT when a record was tampered with.
    """
    ctx.decide(Permission.ERASURE_EXECUTE, "")
    owner = ctx.store.keys(ctx.actor.tenant).surrogate("Patient", patient)
    named = re.compile(rb"Patient/" + re.escape(patient.encode()) + rb"(?![A-Za-z0-9.-])")
    found = Survey()
    looked = 0
    for type_ in resource_types():
        try:
            permit = ctx.decide(Permission.RECORD_HISTORY, type_)
        except Problem as problem:
            if problem.kind is not Kind.FORBIDDEN:
                raise
            found.unseen.append(type_)
            continue
        seen: set[bytes] = set()
        for row in ctx.store.reader.history(permit):
            looked += 1
            if looked % _BREATH == 0:
                await asyncio.sleep(0)
            if row.owners == owner:
                found.versions += 1
                seen.add(row.rid)
                continue
            if row.deleted:
                continue
            version = ctx.store.open(permit, row)
            name = f"{type_}/{version.id}"
            if owner in _owners(row.owners):
                found.shared[name] = None
            elif named.search(version.body):
                found.mentions[name] = None
        if seen:
            found.records[type_] = len(seen)
    return found


def _owners(joined: bytes) -> set[bytes]:
    return {joined[at : at + SURROGATE] for at in range(0, len(joined), SURROGATE)}
