# SPDX-License-Identifier: Apache-2.0
"""`Observation/$lastn`: the most recent observations of a patient, so many of each code.

https://hl7.org/fhir/R4/observation-operation-lastn.html

The search parameters are those of Observation and are answered as a search is: same permit, mask and limits. Two codes
are the same when they share a coding (system and code); text counts only where there is no coding.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from salus.access.permissions import Permission
from salus.access.permit import Permit
from salus.fhir import bundle, json
from salus.fhir.bundle import Link
from salus.fhir.operations.definition import Definition, Parameter
from salus.fhir.search.clauses import Query
from salus.fhir.search.dates import interval
from salus.fhir.search.query import canonical
from salus.kernel.errors import Issue, Kind, Problem
from salus.records.candidates import Hit, hits
from salus.records.context import Context
from salus.records.finding import plan_of, read_query
from salus.records.operations.operation import Invocation, Operation, Result
from salus.records.store.store import entities
from salus.records.unhurried import unhurried

_SUBJECT = {"patient", "subject"}
_WHAT = {"category", "code", "combo-code", "component-code"}
_NOT_REAL = {"entered-in-error", "cancelled"}
_SHAPING = ("sort", "include", "elements", "summary", "total", "page", "count", "contained")

Key = tuple[str, str]


async def lastn(call: Invocation) -> Result:
    """Find, group by code, and give the newest of each group."""
    ctx = call.ctx
    permit = ctx.decide(Permission.RECORD_SEARCH, "Observation")
    query = read_query(ctx, permit, list(call.arguments.rest))
    _check(query)
    found = await unhurried(ctx, lambda ctx: _matching(ctx, permit, query))
    if all(clause.parameter != "status" for clause in query.clauses):
        found = [hit for hit in found if (hit.content or {}).get("status") not in _NOT_REAL]
    most = call.arguments.one("max") or 1
    given = [hit for group in _groups(found) for hit in group[:most]]
    touched = tuple(
        entity
        for hit in given
        for entity in entities(hit.row.owners, hit.row.type, hit.version.id, hit.version.version, "R")
    )
    await call.note(touched, permit.reason)
    address = f"{ctx.base}/{call.address}?{urlencode([*canonical(query), ('max', str(most))])}"
    entries = [(f"{ctx.base}/Observation/{hit.version.id}", hit.version.body, "match") for hit in given]
    return Result(bundle.searchset(entries, [Link("self", address)], len(given)))


def _matching(ctx: Context, permit: Permit, query: Query) -> list[Hit]:
    with ctx.store.reader.snapshot():
        return list(hits(ctx, permit, plan_of(ctx, permit, query), content=True))


def _check(query: Query) -> None:
    """A subject and what is asked of it must be named; the answer has an order and a size of its own."""
    named = {clause.parameter for clause in query.clauses if not clause.modifier or clause.modifier == "Patient"}
    issues = []
    if not named & _SUBJECT:
        issues.append(Issue("required", "$lastn needs patient or subject.", "query.patient"))
    if not {clause.parameter for clause in query.clauses} & _WHAT:
        issues.append(Issue("required", "$lastn needs category or code.", "query.category"))
    issues += [
        Issue("not-supported", f"$lastn takes no _{name}.", f"query._{name}")
        for name in _SHAPING
        if getattr(query, name)
    ]
    if issues:
        raise Problem(Kind.INCORRECT, issues[0].text, issues=tuple(issues))


def _groups(found: Sequence[Hit]) -> list[list[Hit]]:
    """Hits of the same code together, newest first; the groups by their newest.

    A hit with two codings joins what was apart. The smaller group goes into the larger, so that all joining together
    moves a hit no more often than the logarithm of their number.
    """
    groups: dict[Key, list[Hit]] = {}
    keys_of: dict[int, set[Key]] = {}  # by the identity of a group
    for hit in found:
        keys = _codes(json.decode(hit.version.body))
        same = {id(group): group for key in keys if (group := groups.get(key)) is not None}
        whole = max(same.values(), key=len, default=[])
        known = keys_of.setdefault(id(whole), set())
        for group in same.values():
            if group is not whole:
                whole += group
                keys |= keys_of.pop(id(group))
        whole.append(hit)
        known |= keys
        groups |= dict.fromkeys(keys, whole)
    apart = {id(group): group for group in groups.values()}
    ordered = [sorted(hits_, key=_moment, reverse=True) for hits_ in apart.values()]
    return sorted(ordered, key=lambda group: _moment(group[0]), reverse=True)


def _codes(resource: dict[str, Any]) -> set[Key]:
    code = resource.get("code", {})
    keys = {(coding.get("system", ""), coding["code"]) for coding in code.get("coding", ()) if "code" in coding}
    return keys or {("text", code.get("text", ""))}


def _moment(hit: Hit) -> tuple[int, int]:
    """When it was observed, in milliseconds; where that is not said or hidden, when it was issued or written."""
    resource = json.decode(hit.version.body)
    period = resource.get("effectivePeriod", {})
    for text in (
        resource.get("effectiveDateTime"),
        resource.get("effectiveInstant"),
        period.get("end") or period.get("start"),
        resource.get("issued"),
    ):
        span = interval(text) if isinstance(text, str) else None
        if span is not None:
            return span[0], hit.row.seq
    return hit.version.updated, hit.row.seq


LASTN = Operation(
    Definition(
        code="lastn",
        title="The last observations of each kind",
        doc="Gives the most recent observations of a patient for each code, newest first. Takes the search parameters "
        "of Observation: patient or subject, and category or code, are needed. Entered in error and cancelled ones are "
        "left out unless status is asked for.",
        levels=("type",),
        types=("Observation",),
        inputs=(Parameter("max", "positiveInt", "How many of each code; 1 when left out."),),
        outputs=(Parameter("return", "Bundle", "A searchset with everything on one page.", min=1),),
        searches=True,
        standard="Observation-lastn",
    ),
    Permission.RECORD_SEARCH,
    lastn,
)
