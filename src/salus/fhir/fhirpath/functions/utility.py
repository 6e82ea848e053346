# SPDX-License-Identifier: Apache-2.0
"""`trace`, the present moment, and the type of things (https://hl7.org/fhirpath/N1/#utility-functions)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from salus.fhir.fhirpath.context import Collection, Context
from salus.fhir.fhirpath.convert import text_of, type_name
from salus.fhir.fhirpath.functions.calling import Function, Step, lazy, plain
from salus.fhir.fhirpath.functions.filtering import FUNCTIONS as FILTERING
from salus.fhir.fhirpath.node import Node
from salus.fhir.fhirpath.temporal import Temporal, of_moment
from salus.fhir.fhirpath.types import info
from salus.kernel.clock import SystemClock

_CLOCK: Final = SystemClock()


def _trace(items: Collection, ctx: Context, name: Step, projection: Step | None = None) -> Collection:
    said = text_of(name(ctx.focus, ctx)) or ""
    told = items if projection is None else FILTERING["select"].build([projection])(items, ctx)
    ctx.environment.trace(said, told)
    return items


def _present(ctx: Context) -> datetime:
    """One moment for the whole evaluation."""
    if ctx.moment is None:
        ctx.moment = ctx.environment.now or datetime.fromtimestamp(_CLOCK.now_ms() / 1000, UTC)
    return ctx.moment


def _now(_: Collection, ctx: Context) -> Collection:
    return [of_moment(_present(ctx))]


def _today(_: Collection, ctx: Context) -> Collection:
    day = _present(ctx)
    return [Temporal("Date", (day.year, day.month, day.day))]


def _time_of_day(_: Collection, ctx: Context) -> Collection:
    return [Temporal("Time", of_moment(_present(ctx)).parts[3:])]


def _type(items: Collection, _: Context) -> Collection:
    return [info(item.type if type(item) is Node else type_name(item)) for item in items]


FUNCTIONS: Final[dict[str, Function]] = {
    "trace": lazy(_trace, 1, 2),
    "now": plain(_now),
    "today": plain(_today),
    "timeOfDay": plain(_time_of_day),
    "type": plain(_type),
}
