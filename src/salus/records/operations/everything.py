# SPDX-License-Identifier: Apache-2.0
"""`Patient/$everything` and `Encounter/$everything`: a whole record, page by page.

https://hl7.org/fhir/R4/patient-operation-everything.html  https://hl7.org/fhir/R4/encounter-operation-everything.html

Each type is searched under its own permit and shown under its own mask; a type that the actor may not search is left
out. With every page comes what its records refer to and what is nobody's record: practitioners, organizations, places,
medications. Records of other patients never come along, whoever asks. A page link is sealed like that of a search, and
the page is decided and audited like the first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import urlencode

from msgspec import structs

from salus.access.facts import split
from salus.access.permissions import Permission
from salus.access.permit import Permit
from salus.audit.event import Entity
from salus.fhir import bundle, json
from salus.fhir.bundle import Link
from salus.fhir.compartment import compartment_types
from salus.fhir.definitions import resource_types
from salus.fhir.operations.arguments import Arguments, read
from salus.fhir.operations.care_dates import care_test
from salus.fhir.operations.definition import Definition, Parameter
from salus.fhir.search.clauses import Query
from salus.fhir.search.dates import interval
from salus.fhir.search.parameters import parameters
from salus.fhir.search.table import table
from salus.kernel.errors import Kind, Problem
from salus.records.candidates import Hit
from salus.records.context import Context
from salus.records.operations.operation import Invocation, Operation, Result
from salus.records.operations.referenced import Permits, followed
from salus.records.pages import page_of
from salus.records.paging import Cursor, open_cursor, seal_cursor
from salus.records.placing import Planned
from salus.records.store.index import Plan
from salus.records.store.read import Span
from salus.records.store.schema import Row
from salus.records.store.store import Version, entities
from salus.records.wording import absent, gone

_DEPTH = 3  # steps from a record to what is nobody's: a role, its practitioner, the organization
_AT = "_at"  # in a sealed cursor: the type to go on with

Family = Callable[[str], tuple[str, ...]]
Given = list[tuple[Row, Version]]


@dataclass(frozen=True, slots=True)
class Extent:
    """Whose records are asked for.

    Attributes:
        types: in the order in which they are given.
        families: by type, the families of references that lead to the target; empty means the record itself.
        target: `Patient/9`, `Encounter/3`; "" for all patients.
        belongs: judges the row of a candidate.
        along: judges the row of what is referred to.
    """

    types: tuple[str, ...]
    families: Family
    target: str
    belongs: Callable[[Row], bool]
    along: Callable[[Row], bool]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was asked for, worked out.

    Attributes:
        types: names in `_type`; empty means all.
        care: [from, to) of the care, milliseconds.
        updated: [from, to) of `_lastUpdated`.
        count: records per page.
    """

    types: tuple[str, ...]
    care: Span
    updated: Span
    count: int


async def patient_everything(call: Invocation) -> Result:
    """Everything about one patient, or about all whom the actor may see."""
    ctx = call.ctx
    if not call.id:
        return await _answer(call, _of_patients())
    row = _subject(call)
    return await _answer(call, _of_patient(ctx, call.id, row.owners))


async def encounter_everything(call: Invocation) -> Result:
    """Everything about one encounter, and the patient and others that it refers to."""
    row = _subject(call)
    return await _answer(call, _of_encounter(call.ctx, call.id, row))


def _subject(call: Invocation) -> Row:
    """The record of the address, which the actor must be allowed to read."""
    permit = call.ctx.decide(Permission.RECORD_READ, call.type)
    row = call.ctx.store.newest(permit, call.id)
    if row is None:
        raise absent()
    if row.deleted:
        raise gone(row.version)
    return row


# ── extents ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _of_patient(ctx: Context, id_: str, owners: bytes) -> Extent:
    return Extent(
        _ordered("Patient", compartment_types()),
        lambda type_: _families(type_, table().compartment[type_]) if type_ != "Patient" else (),
        f"Patient/{id_}",
        lambda row: owners in split(row.owners),
        lambda row: not row.owners,
    )


def _of_patients() -> Extent:
    return Extent(
        _ordered("Patient", compartment_types()),
        lambda _: (),
        "",
        lambda row: bool(row.owners),
        lambda row: not row.owners,
    )


def _of_encounter(ctx: Context, id_: str, subject: Row) -> Extent:
    types = [type_ for type_ in resource_types() if _families(type_, ("encounter", "context"))]
    return Extent(
        _ordered("Encounter", types),
        lambda type_: _families(type_, ("encounter", "context")) if type_ != "Encounter" else (),
        f"Encounter/{id_}",
        lambda row: row.owners == subject.owners,
        lambda row: not row.owners or row.owners == subject.owners,
    )


def _ordered(first: str, types: Iterable[str]) -> tuple[str, ...]:
    return (first, *(type_ for type_ in sorted(types) if type_ not in {first, "AuditEvent"}))


def _families(type_: str, codes: Iterable[str]) -> tuple[str, ...]:
    known = parameters(type_)
    found = (known[code] for code in codes if code in known and known[code].kind == "reference")
    return tuple(dict.fromkeys(family for each in found for family in each.families))


# ── the answer ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def _answer(call: Invocation, extent: Extent) -> Result:
    ctx = call.ctx
    cursor = open_cursor(ctx, call.arguments.page, call.address) if call.arguments.page else None
    if cursor is not None:
        asked = tuple(pair for pair in cursor.query if pair[0] != _AT)
        call.arguments = read(call.operation.definition, asked)
    wanted = _wanted(ctx, call.arguments)
    permits = Permits(ctx)
    with ctx.store.reader.snapshot():
        page, rest = _page(ctx, extent, wanted, permits, cursor)
        along = _along(ctx, extent, wanted, permits, page)
    touched: list[Entity] = []
    for row, version in (*page, *along):
        touched += entities(row.owners, row.type, version.id, version.version, "R")
    await call.note(tuple(touched), permits.reason)
    return Result(_bundle(call, wanted, page, along, rest))


def _along(ctx: Context, extent: Extent, wanted: Wanted, permits: Permits, page: Given) -> Given:
    """What the records of a page refer to. Of the patient's own records only one step: the rest has its own pages."""

    def named(row: Row) -> bool:
        return not wanted.types or row.type in wanted.types

    return followed(
        ctx,
        permits,
        [version.body for _, version in page],
        {(row.type, version.id) for row, version in page},
        wanted=lambda row: named(row) and extent.along(row),
        further=lambda row: named(row) and not row.owners,
        depth=_DEPTH,
        most=ctx.services.limits.page_size_max,
    )


def _page(
    ctx: Context, extent: Extent, wanted: Wanted, permits: Permits, cursor: Cursor | None
) -> tuple[Given, Cursor | None]:
    """One page: type after type, each newest first, from where the cursor stands."""
    start = ctx.store.reader.last_seq() if cursor is None or cursor.start is None else cursor.start
    before = cursor.before if cursor is not None else None
    at = dict(cursor.query).get(_AT, "") if cursor is not None else ""
    later = None if cursor is None else start + 1  # what was rewritten since the beginning has to be looked for
    page: Given = []
    opened = 0
    for type_, permit in _searched(ctx, extent, wanted, permits, at):
        how = _plan(ctx, extent, permit, wanted)
        if how is None:
            continue
        query, planned = Query(type=type_), [Planned(permit, how)]
        rest: Cursor | None = Cursor("", before=before if type_ == at else later, start=start)
        while rest is not None:
            full = len(page) == wanted.count or opened > ctx.services.limits.search_candidates
            if full and (rest.before not in {None, later} or page_of(ctx, planned, query, 1, rest, rest).hits):
                return page, structs.replace(rest, query=((_AT, type_),), start=start)
            if full:
                break  # nothing of this type: no link to an empty page
            some = page_of(ctx, planned, query, wanted.count - len(page), rest, rest)
            rest = some.next
            opened += len(some.hits)
            page += [
                (hit.row, hit.version) for hit in some.hits if extent.belongs(hit.row) and _in_time(ctx, wanted, hit)
            ]
    return page, None


def _searched(ctx: Context, extent: Extent, wanted: Wanted, permits: Permits, at: str) -> Iterator[tuple[str, Permit]]:
    """Types that are asked for and allowed, from `at` on.

    Raises:
        Problem: FORBIDDEN when every type that was named is refused.
    """
    named = [type_ for type_ in extent.types if not wanted.types or type_ in wanted.types]
    allowed = [(type_, permit) for type_ in named if (permit := permits.get(Permission.RECORD_SEARCH, type_))]
    if named and not allowed:
        raise Problem(Kind.FORBIDDEN, "Your account may not do this.", "no grant for any of the types")
    names = [type_ for type_, _ in allowed]
    yield from allowed[names.index(at) if at in names else 0 :]


def _plan(ctx: Context, extent: Extent, permit: Permit, wanted: Wanted) -> Plan | None:
    """How the index finds the records of one type; None when what leads to them is hidden from the actor."""
    if not extent.target:
        return Plan("", (), updated=wanted.updated)
    families = extent.families(permit.type)
    if not families:
        return Plan("", (), ids=frozenset({extent.target.partition("/")[2]}), updated=wanted.updated)
    index = ctx.store.index(ctx.actor.tenant)
    terms = [
        term
        for family in families
        if family.partition(".")[0].partition("[")[0] not in permit.masked
        for term in index.reference_terms(permit.type, family, extent.target)
    ]
    return Plan(f"({' OR '.join(dict.fromkeys(terms))})", (), updated=wanted.updated) if terms else None


def _in_time(ctx: Context, wanted: Wanted, hit: Hit) -> bool:
    """Judged by what the actor may see of a record: a hidden date must not be found out by ranges."""
    if wanted.care == (None, None):
        return True
    return care_test(hit.row.type, *wanted.care)(ctx.lens.extractor.rows(json.decode(hit.version.body)))


def _wanted(ctx: Context, arguments: Arguments) -> Wanted:
    limits = ctx.services.limits
    types = tuple(name for text in arguments.all("_type") for name in text.split(","))
    if unknown := set(types).difference(resource_types()):
        raise arguments.wrong("_type", f"{len(unknown)} of the names in _type are no resource types of R4.")
    start, end, since = (arguments.one(name) for name in ("start", "end", "_since"))
    low, high = interval(start) if start else None, interval(end) if end else None
    updated = interval(since) if since else None
    return Wanted(
        types,
        (low[0] if low else None, high[1] if high else None),
        (updated[0] if updated else None, None),
        min(arguments.one("_count") or limits.page_size, limits.page_size_max),
    )


def _bundle(
    call: Invocation,
    wanted: Wanted,
    page: Given,
    along: Given,
    rest: Cursor | None,
) -> bytes:
    ctx = call.ctx
    address = f"{ctx.base}/{call.address}"
    shown = call.arguments.shown
    links = [Link("self", f"{address}?{urlencode(shown)}" if shown else address)]
    if rest is not None:
        query = (*shown, *rest.query)
        sealed = seal_cursor(ctx, structs.replace(rest, scope=call.address, query=query, count=wanted.count))
        links.append(Link("next", f"{address}?_page={sealed}{ctx.carried}"))
    entries = [
        (f"{ctx.base}/{row.type}/{version.id}", version.body, mode)
        for mode, some in (("match", page), ("include", along))
        for row, version in some
    ]
    return bundle.searchset(entries, links)


# ── definitions ──────────────────────────────────────────────────────────────────────────────────────────────────────

_SINCE = Parameter("_since", "instant", "Only records that were written at or after this moment.")
_TYPE = Parameter("_type", "code", "Only these types; several with commas, or repeated.", max="*")
_COUNT = Parameter("_count", "positiveInt", "Records per page.")
_RETURN = (Parameter("return", "Bundle", "A searchset, with a link to the next page.", min=1),)

PATIENT_EVERYTHING = Operation(
    Definition(
        code="everything",
        title="The whole record of a patient",
        doc="Gives every record in the patient's compartment that you may see, page by page, and with each page what "
        "its records refer to and what is nobody's record. On the type: of all patients that you may see.",
        levels=("type", "instance"),
        types=("Patient",),
        inputs=(
            Parameter("start", "date", "Only care on or after this day; records without a date of care are kept."),
            Parameter("end", "date", "Only care on or before this day; records without a date of care are kept."),
            _SINCE,
            _TYPE,
            _COUNT,
        ),
        outputs=_RETURN,
        paged=True,
        standard="Patient-everything",
    ),
    Permission.RECORD_READ,
    patient_everything,
)

ENCOUNTER_EVERYTHING = Operation(
    Definition(
        code="everything",
        title="The whole record of an encounter",
        doc="Gives the encounter and every record that names it, page by page, and with each page what its records "
        "refer to: the patient, other records of the same patient, and what is nobody's record.",
        levels=("instance",),
        types=("Encounter",),
        inputs=(_SINCE, _TYPE, _COUNT),
        outputs=_RETURN,
        paged=True,
        standard="Encounter-everything",
    ),
    Permission.RECORD_READ,
    encounter_everything,
)
