# SPDX-License-Identifier: Apache-2.0
"""Indexing records anew, beside the running service: for a new search parameter, or after a change of indexing itself.

Rows keep their place and content; only their tokens are replaced, in small groups between other commits. New writes
are indexed for a definition from the moment that it is there; what was written before is caught up with here, and when
no row is behind any more the definition is ready. The work may stop at any time and goes on where it was, in whichever
process; two at once do no harm.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from salus.access.permissions import Permission
from salus.access.permit import Permit
from salus.audit.event import EventType
from salus.fhir.definitions import resource_types
from salus.fhir.search.define import usable
from salus.fhir.search.parameters import Custom
from salus.kernel.commit import Unit
from salus.kernel.errors import Kind, Problem
from salus.records.context import Context
from salus.records.lens import lens
from salus.records.store.defined import INDEXING, Ready, Reindexed, State
from salus.records.store.schema import Row
from salus.records.store.write import RecordsPart
from salus.records.terms import terms_of

_BATCH = 50  # records between two chances for others, about 10 ms
_EVERY = {"Resource", "DomainResource"}


@dataclass(frozen=True, slots=True)
class Pending:
    """Something that is not ready yet.

    Attributes:
        name: of the definition in the store; None for the version of indexing itself.
        words: what it is, for people: the URL of a SearchParameter, or "the index itself".
        types: resource types that it concerns.
        stamp: what their rows must carry at least.
    """

    name: bytes | None
    words: str
    types: tuple[str, ...]
    stamp: int

    def permits(self, ctx: Context) -> list[Permit]:
        """For each type; none for one that the policy gives to nobody like us: its records stay behind."""
        return [permit for type_ in self.types if (permit := _permit(ctx, type_)) is not None]


Progress = Callable[[str, int, int], None]
"""Called with what is being done, how many records are done, and how many there are."""


def pending(ctx: Context) -> list[Pending]:
    """What has to be indexed for the actor's tenant."""
    registries = ctx.store.registries
    state, _ = registries.of(ctx.actor.tenant)
    found = []
    if state.outdated:
        stamp = max(State(INDEXING, 0, 0).stamp, state.due)
        found.append(Pending(None, "the index itself", tuple(resource_types()), stamp))
    for row, custom in registries.kept(ctx.actor.tenant):
        if not row.ready:
            found.append(Pending(row.name, custom.definition.url, _types(custom), row.since))
    return found


def _types(custom: Custom) -> tuple[str, ...]:
    base = custom.definition.base
    return tuple(resource_types()) if _EVERY & set(base) else base


async def take_over_packages(ctx: Context) -> int:
    """Define what the installed packages define beyond R4, and take away what no package defines any more.

    Returns:
        How many definitions changed.
    """
    registries, tenant = ctx.store.registries, ctx.actor.tenant
    surrogate = ctx.store.keys(tenant).surrogate
    wanted = {_name(surrogate, one): one for one in usable(ctx.knowledge.search_parameters())}
    here = {row.name: custom for row, custom in registries.kept(tenant)}
    of_packages = {_name(surrogate, custom): custom for custom in here.values()}
    own = {(code, base) for name, c in here.items() if name not in of_packages for code, base in _codes(c)}
    changes = []
    for name, custom in wanted.items():
        known = here.get(name)
        if (known is None or known.definition != custom.definition) and not own & set(_codes(custom)):
            changes.append(registries.change(tenant, name, custom))
    changes += [registries.change(tenant, name, None) for name in here if name in of_packages and name not in wanted]
    if changes:
        unit = Unit()
        unit.parts["records"] = RecordsPart(defines=changes)
        reason = f"{len(changes)} search parameters of packages"
        await ctx.commit(unit, ctx.event(EventType.INDEX_REBUILD, reason=reason))
    return len(changes)


def _name(surrogate: Callable[[str, str], bytes], custom: Custom) -> bytes:
    return surrogate("package-parameter", custom.definition.url)


def _codes(custom: Custom) -> list[tuple[str, str]]:
    return [(custom.definition.code, base) for base in custom.definition.base]


async def reindex(ctx: Context, tell: Progress = lambda *_: None) -> list[str]:
    """Do everything that is pending.

    Args:
        ctx: an operator who may search every record.

    Returns:
        What is still pending after it, in words; empty when all is done.
    """
    asked = pending(ctx)
    if not asked:
        return []
    done = [await caught_up(ctx, each, tell) for each in asked]
    unit = Unit()
    ready = [Ready(ctx.actor.tenant, each.name, each.types, each.stamp) for each in asked]
    unit.parts["records"] = RecordsPart(ready=ready)
    what = "; ".join(f"{count} records for {each.words}" for each, count in zip(asked, done, strict=True))
    await ctx.commit(unit, ctx.event(EventType.INDEX_REBUILD, reason=what))
    return [each.words for each in pending(ctx)]


async def caught_up(ctx: Context, each: Pending, tell: Progress) -> int:
    """Index every row that is behind and that the actor may search; how many there were."""
    permits = each.permits(ctx)
    total = sum(ctx.store.reader.count_behind(permit, each.stamp) for permit in permits)
    done = 0
    tell(each.words, done, total)
    for permit in permits:
        after = 0
        while rows := ctx.store.reader.behind(permit, each.stamp, after, _BATCH):
            after = rows[-1].seq
            await _rows(ctx, permit, rows)
            done += len(rows)
            tell(each.words, done, total)
            await asyncio.sleep(0)
    return done


def _permit(ctx: Context, type_: str) -> Permit | None:
    """None for a type that the policy gives to nobody like us; if there are records of it, nothing gets ready."""
    try:
        return ctx.decide(Permission.RECORD_SEARCH, type_)
    except Problem as problem:
        if problem.kind is not Kind.FORBIDDEN:
            raise
        return None


async def _rows(ctx: Context, permit: Permit, rows: list[Row]) -> None:
    tenant = ctx.actor.tenant
    state, registry = ctx.store.registries.of(tenant)
    indexes, extractor = ctx.store.indexes(tenant, state), lens(ctx.base, registry).extractor
    found = []
    for row in rows:
        try:
            _, resource = ctx.store.open_with_content(permit, row)
        except Problem as problem:
            if problem.kind is not Kind.GONE:
                raise
            terms = ""  # its patient was erased: nothing is left to find
        else:
            terms = terms_of(indexes, extractor, resource)
        found.append(Reindexed(tenant, row.seq, state.stamp, terms))
    unit = Unit()
    unit.parts["records"] = RecordsPart(reindexed=found)
    unit.weight = len(found)
    await ctx.services.writer.submit(unit)
