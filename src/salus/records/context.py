# SPDX-License-Identifier: Apache-2.0
"""What every interaction is given: who asks, and the rooms that it may use on their behalf."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Concatenate, ParamSpec, TypeVar

from salus.access.decide import Access
from salus.access.permissions import Permission
from salus.access.permit import Permit
from salus.audit.event import Entity, Event, EventType, Outcome
from salus.audit.log import AuditLog
from salus.fhir.terminology.protocol import Nothing, Terminology
from salus.fhir.validate.validator import Validator
from salus.kernel.actor import Actor
from salus.kernel.clock import Clock
from salus.kernel.commit import Unit, Writer
from salus.kernel.errors import Kind, Problem
from salus.kernel.settings import Limits
from salus.knowledge.library import Library
from salus.records.lens import Lens, lens
from salus.records.orders import Orders
from salus.records.ration import Ration
from salus.records.store.store import Store

P = ParamSpec("P")
T = TypeVar("T")

_REFUSED = {Kind.FORBIDDEN, Kind.NOT_FOUND, Kind.GONE, Kind.UNAUTHENTICATED}


@dataclass(frozen=True, slots=True)
class Services:
    """The rooms below, wired by `salus.app`.

    Attributes:
        knowledge: definitions, code systems and installed packages.
        validator: judges resources by R4, by what is installed and by what the policy demands.
        terminology: gives, for one request, what answers questions about codes.
        base_url: address of this server without the tenant and `/fhir`.
        line: where those who lost a race wait for their next attempt, one at a time.
        orders: of recent sorted searches, for their further pages.
        aside: held by the search that reads over a connection of its own, see `salus.records.unhurried`.
    """

    access: Access
    audit: AuditLog
    store: Store
    writer: Writer
    clock: Clock
    limits: Limits
    base_url: str
    knowledge: Library
    validator: Validator
    terminology: Callable[[Any], Terminology] = lambda _: Nothing()
    line: asyncio.Lock = field(default_factory=asyncio.Lock, compare=False)
    orders: Orders = field(default_factory=Orders, compare=False)
    aside: asyncio.Lock = field(default_factory=asyncio.Lock, compare=False)


@dataclass(slots=True)
class Context:
    """One request on its way through the house.

    Attributes:
        actor: who asks.
        request: identifier of the request, in logs and in the audit entry.
        address: where it came from.
        entities: what a failed attempt was about, for its audit entry; interactions note it as they learn it.
        asked: the operation that was called, for the audit entry of a failed attempt.
        carried: `_format` and `_pretty` as they were asked for, for the links to further pages: `&_format=xml`.
        ration: how many records the searches of this request may still open together; None for each search by itself.
        noted: whether an audit entry was handed in for this request.
        view: see `lens`.
    """

    services: Services
    actor: Actor
    request: str
    address: str = ""
    entities: tuple[Entity, ...] = field(default=())
    asked: str = ""
    carried: str = ""
    ration: Ration | None = None
    noted: bool = False
    view: Lens | None = None

    @property
    def store(self) -> Store:
        """The record store."""
        return self.services.store

    @property
    def knowledge(self) -> Library:
        """Definitions and code systems, as they are now: what another process installed is noticed here."""
        library = self.services.knowledge
        library.refresh()
        return library

    @property
    def base(self) -> str:
        """The FHIR base address of the actor's tenant."""
        return fhir_base(self.services.base_url, self.actor.tenant)

    @property
    def lens(self) -> Lens:
        """How resources of the actor's tenant are read, with the search parameters there were at its first use.

        Writing asks `Store.registries` anew: it has to keep up with what others define meanwhile.
        """
        if self.view is None:
            self.view = lens(self.base, self.store.registries.of(self.actor.tenant)[1])
        return self.view

    def decide(self, permission: Permission, type_: str, *, letters: str = "") -> Permit:
        """Ask access; `letters` are those of a scope where the permission's own do not say it. Raises FORBIDDEN."""
        return self.services.access.decide(self.actor, permission, type_, letters=letters)

    def event(
        self,
        type_: EventType,
        *,
        reason: str,
        entities: tuple[Entity, ...] = (),
        query: str = "",
        outcome: Outcome = Outcome.GRANTED,
    ) -> Event:
        """Describe what happened, for the audit log."""
        return Event(
            type=type_,
            outcome=outcome,
            actor=self.actor,
            at_ms=self.services.clock.now_ms(),
            request=self.request,
            address=self.address,
            reason=reason,
            query=query,
            entities=entities,
        )

    async def commit(self, unit: Unit, event: Event) -> None:
        """Make a unit and its audit entry durable together; nothing may be answered before this returns."""
        self.services.audit.add(unit, event)
        self.noted = True
        await self.services.writer.submit(unit)


def fhir_base(base_url: str, tenant: str) -> str:
    """The FHIR base of a tenant: `/fhir` for `default`, `/t/<tenant>/fhir` for the others."""
    return f"{base_url}/fhir" if tenant == "default" else f"{base_url}/t/{tenant}/fhir"


def audited(
    type_: EventType,
) -> Callable[[Callable[Concatenate[Context, P], Awaitable[T]]], Callable[Concatenate[Context, P], Awaitable[T]]]:
    """Write an audit entry for every way in which an interaction can fail, before the failure is told.

    The granted case is written by the interaction itself, together with what it changes.
    """

    def wrap(
        interaction: Callable[Concatenate[Context, P], Awaitable[T]],
    ) -> Callable[Concatenate[Context, P], Awaitable[T]]:
        @functools.wraps(interaction)
        async def told(ctx: Context, /, *args: P.args, **kwargs: P.kwargs) -> T:
            try:
                return await interaction(ctx, *args, **kwargs)
            except Problem as problem:
                await note_failure(ctx, type_, problem)
                raise

        return told

    return wrap


async def note_failure(ctx: Context, type_: EventType, problem: Problem) -> None:
    """Write the audit entry of a failure that has none yet; its problem may be told after this returns."""
    if problem.kind is Kind.UNAVAILABLE:
        return  # the log itself may be what is away; nothing was released either
    outcome = Outcome.REFUSED if problem.kind in _REFUSED else Outcome.FAILED
    reason = problem.detail or problem.kind.value
    event = ctx.event(type_, outcome=outcome, reason=reason, entities=ctx.entities, query=ctx.asked)
    await ctx.commit(Unit(), event)
