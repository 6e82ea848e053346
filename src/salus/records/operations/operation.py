# SPDX-License-Identifier: Apache-2.0
"""An operation as the house keeps it: its description, the permission asked for, and the story that carries it out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from salus.access.permissions import SYSTEM, Permission
from salus.access.permit import Permit
from salus.audit.event import Entity, EventType, Outcome
from salus.fhir import json
from salus.fhir.operations.arguments import Arguments, read
from salus.fhir.operations.definition import Definition, Level
from salus.kernel.commit import Unit
from salus.records.context import Context, audited
from salus.records.wording import attempted

_LONGEST_ASKED = 8_000


@dataclass(frozen=True, slots=True)
class Operation:
    """One line of the table.

    Attributes:
        definition: what clients are told.
        permission: asked for before anything is read, on the type of the address; None when the story asks for each
            type that it touches.
        run: the story.
        plain: speaks JSON of its own and not in resources; no entry of a batch can.
    """

    definition: Definition
    permission: Permission | None
    run: Callable[[Invocation], Awaitable[Result]]
    plain: bool = False


@dataclass(frozen=True, slots=True)
class Result:
    """What goes back.

    Attributes:
        body: a resource as JSON.
        status: HTTP status.
        version: number of the version that the answer is about, for its ETag; 0 for none.
        location: address of a record that was made.
        plain: `body` is JSON, and no resource.
    """

    body: bytes
    status: int = 200
    version: int = 0
    location: str = ""
    plain: bool = False

    @classmethod
    def of(cls, resource: dict[str, Any]) -> Result:
        """A resource that is not encoded yet."""
        return cls(json.encode(resource))


@dataclass(slots=True)
class Invocation:
    """One call of an operation.

    Attributes:
        level: where it was called.
        type: resource type of the address; "" on the system.
        id: id of the address; "" but on an instance.
        arguments: what was sent, read by the definition.
        permit: for the operation's permission; None when the story asks.
        safe: whether it came by GET, which changes nothing.
    """

    ctx: Context
    operation: Operation
    level: Level
    type: str
    id: str
    arguments: Arguments
    permit: Permit | None
    safe: bool

    @property
    def address(self) -> str:
        """The address below the base, such as `Patient/9/$everything`."""
        return _address(self.operation, self.type, self.id)

    @property
    def asked(self) -> str:
        """Address and primitive parameters, for the audit log; what is longer than any address is cut."""
        shown = self.arguments.shown
        return f"{self.address}?{urlencode(shown)}"[:_LONGEST_ASKED] if shown else self.address

    async def note(
        self, entities: tuple[Entity, ...] = (), reason: str = "", outcome: Outcome = Outcome.GRANTED
    ) -> None:
        """Write the audit entry of a call that changes nothing; nothing may be answered before this returns."""
        reason = reason or (self.permit.reason if self.permit is not None else "")
        kind = EventType.RECORD_OPERATION
        event = self.ctx.event(kind, reason=reason, entities=entities, query=self.asked, outcome=outcome)
        await self.ctx.commit(Unit(), event)


@audited(EventType.RECORD_OPERATION)
async def perform(
    ctx: Context,
    operation: Operation,
    type_: str = "",
    id_: str = "",
    *,
    pairs: Sequence[tuple[str, str]] = (),
    body: dict[str, Any] | None = None,
    safe: bool = False,
) -> Result:
    """Carry out one call: decide, read what was sent, tell the story.

    Args:
        type_, id_: of the address.
        pairs: the query, decoded.
        body: the decoded body of a POST.
        safe: it came by GET.

    Raises:
        Problem: FORBIDDEN; INCORRECT for parameters that are not understood; whatever the story raises. Each is in the
            audit log before it is told.
    """
    ctx.asked = _address(operation, type_, id_)
    if id_:
        ctx.entities = attempted(type_, id_)
    permit = None
    if operation.permission is not None:
        permit = ctx.decide(operation.permission, "" if operation.permission in SYSTEM else type_)
    arguments = read(operation.definition, pairs, body)
    level: Level = "instance" if id_ else "type" if type_ else "system"
    return await operation.run(Invocation(ctx, operation, level, type_, id_, arguments, permit, safe))


def _address(operation: Operation, type_: str, id_: str) -> str:
    return "/".join(part for part in (type_, id_, f"${operation.definition.code}") if part)
