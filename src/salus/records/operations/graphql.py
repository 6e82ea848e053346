# SPDX-License-Identifier: Apache-2.0
"""`$graphql`: read and search in one query, on the system and on one record.  https://hl7.org/fhir/R4/graphql.html

Every record that is looked at is found under the permit of its type (`record:read` by id and by reference,
`record:search` in lists), masked like the answer to a read or search, and named in the one audit entry of the call.
What is hidden reads like what is absent, in references and in counts too. There are no mutations.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any

from salus.access.permissions import Permission
from salus.access.permit import Permit
from salus.audit.event import Entity, Outcome
from salus.fhir import json
from salus.fhir.definitions import resource_types
from salus.fhir.graphql import document, introspection, shape
from salus.fhir.graphql.select import Answer, Found, Selecting
from salus.fhir.operations.definition import Definition, Parameter
from salus.fhir.references import local_reference
from salus.kernel.errors import Kind, Problem
from salus.records.candidates import count as count_of
from salus.records.context import Context
from salus.records.finding import plan_of, read_query
from salus.records.operations.operation import Invocation, Operation, Result
from salus.records.pages import Page, link_of, page_of
from salus.records.paging import Cursor, open_cursor, seal_cursor
from salus.records.placing import Planned
from salus.records.ration import Ration
from salus.records.store.schema import Row
from salus.records.store.store import Version, entities
from salus.records.unhurried import unhurried
from salus.records.wording import absent, attempted, gone

MOST_SEARCHES = 100
"""Searches of one query, those inside records counted for each record."""
MOST_RECORDS = 2_000
"""Records that one query may look at."""
_SHAPING = {"_include", "_revinclude", "_summary", "_elements", "_total", "_totalMethod", "_page", "_contained"} | {
    "_containedType"
}

Json = dict[str, Any]

_TYPES = frozenset(resource_types())


async def graphql(call: Invocation) -> Result:
    """Read the query, hold it against the types, take out what it asks for."""
    ctx, arguments = call.ctx, call.arguments
    variables = _variables(call)
    selections = document.read(arguments.text("query"), variables, arguments.text("operationName"))
    if introspection.asks_for_types(selections):
        await call.note()
        return _result(Answer(introspection.described(selections)))
    shape.check(selections, call.type or shape.QUERY)
    records, answer = await unhurried(ctx, lambda ctx: _selected(ctx, call, selections))
    if records.refused and not records.given and not any(value is not None for value in answer.data.values()):
        raise Problem(Kind.FORBIDDEN, "Your account may not do this.", f"no grant for {', '.join(records.refused)}")
    if records.given or not records.missed:
        await call.note(tuple(records.given), records.reason)
    if records.missed:
        await call.note(tuple(records.missed), "absent or hidden", Outcome.REFUSED)
    return _result(answer)


def _selected(ctx: Context, call: Invocation, selections: tuple[document.Selection, ...]) -> tuple[_Records, Answer]:
    ctx.ration = Ration(ctx.services.limits.search_candidates)  # one for all searches of the query
    records = _Records(ctx)
    with ctx.store.reader.snapshot():
        if call.id:
            return records, Selecting(records).instance(selections, records.record(call.type, call.id))
        return records, Selecting(records).system(selections)


def _variables(call: Invocation) -> Json:
    text = call.arguments.text("variables")
    if not text:
        return {}
    try:
        return json.decode(text.encode())
    except Problem:
        raise call.arguments.wrong("variables", "variables must be a JSON object.") from None


def _result(answer: Answer) -> Result:
    written: Json = {"data": answer.data}
    if answer.errors:
        written["errors"] = answer.errors
    return Result(json.encode(written), plain=True)


class _Records:
    """The `Source` of a query: decides, masks, counts and notes.

    Attributes:
        given: what the audit log will name.
        missed: records that were asked for by id and are absent or hidden, for the log too.
        refused: types that the actor may not ask for.
    """

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._bases = ctx.lens.bases
        self._permits: dict[tuple[Permission, str], Permit] = {}
        self._known: dict[tuple[str, str], Json] = {}
        self._searches = 0
        self.given: dict[Entity, None] = {}
        self.missed: dict[Entity, None] = {}
        self.refused: dict[str, None] = {}

    @property
    def reason(self) -> str:
        """Policy and grants that were used, and the types that were refused."""
        used = dict.fromkeys(permit.reason for permit in self._permits.values())
        refused = [f"refused: {', '.join(self.refused)}"] if self.refused else []
        return "; ".join([*used, *refused])

    def _decide(self, permission: Permission, type_: str) -> Permit:
        key = (permission, type_)
        if key not in self._permits:
            try:
                self._permits[key] = self._ctx.decide(permission, type_)
            except Problem as problem:
                if problem.kind is Kind.FORBIDDEN:
                    self.refused[type_] = None
                raise
        return self._permits[key]

    def record(self, type_: str, id_: str) -> Json:
        """One record that is asked for by its id."""
        try:
            return self._read(type_, id_)
        except Problem as problem:
            if problem.kind in {Kind.NOT_FOUND, Kind.GONE}:
                self.missed |= dict.fromkeys(attempted(type_, id_))
            raise

    def _read(self, type_: str, id_: str) -> Json:
        """As a read would give it."""
        if (type_, id_) not in self._known:
            permit = self._decide(Permission.RECORD_READ, type_)
            row = self._ctx.store.newest(permit, id_)
            if row is None:
                raise absent()
            version = self._ctx.store.open(permit, row)
            if row.deleted:
                raise gone(row.version)
            self._known[type_, id_] = self._noted(row, version)
        return self._known[type_, id_]

    def target(self, reference: str) -> Json:
        """What a reference leads to; one word for everything that cannot be given."""
        local = local_reference(reference, self._bases)
        try:
            if local is None or local[0] not in _TYPES:
                raise absent()
            return self._read(*local)
        except Problem as problem:
            if problem.kind not in {Kind.FORBIDDEN, Kind.NOT_FOUND, Kind.GONE}:
                raise
            raise absent() from None

    def search(self, type_: str, arguments: Mapping[str, Any], *, counted: bool) -> Found:
        """A page of records, as a search would give it."""
        ctx = self._ctx
        self._searches += 1
        if self._searches > MOST_SEARCHES:
            raise Problem(Kind.TOO_COSTLY, f"A query may search {MOST_SEARCHES} times.")
        permit = self._decide(Permission.RECORD_SEARCH, type_)
        sealed = arguments.get("_cursor")
        cursor: Cursor | None = None
        if sealed:
            cursor = open_cursor(ctx, str(sealed), f"search {type_}")
        pairs = list(cursor.query) if cursor is not None else _pairs(ctx.lens.registry.parameters(type_), arguments)
        query = read_query(ctx, permit, pairs)
        limits = ctx.services.limits
        count = min(limits.page_size if query.count is None else query.count, limits.page_size_max)
        how = plan_of(ctx, permit, query)
        total = count_of(ctx, permit, how) if counted else None
        page = Page([], None, None, None)
        if count:
            page = page_of(ctx, [Planned(permit, how)], query, count, cursor, link_of(type_, query, count))
        resources = [self._noted(hit.row, hit.version) for hit in page.hits]
        return Found(resources, total, 0, count, seal_cursor(ctx, page.next) if page.next is not None else "")

    def _noted(self, row: Row, version: Version) -> Json:
        for entity in entities(row.owners, row.type, version.id, version.version, "R"):
            self.given[entity] = None
        if len(self.given) > MOST_RECORDS:
            raise Problem(Kind.TOO_COSTLY, f"A query may look at {MOST_RECORDS} records.")
        return json.decode(version.body)


def _pairs(known: Container[str], arguments: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Search parameters from arguments: `_` stands for the hyphen that GraphQL does not have, a list means OR."""
    pairs = []
    for name, value in arguments.items():
        if value is None or name == "_cursor":
            continue
        if name in _SHAPING:
            raise Problem(Kind.INCORRECT, "The fields of the query shape its answer; some arguments have no use here.")
        code = name if name in known or name.startswith("_") else name.replace("_", "-")
        values = value if isinstance(value, list) else [value]
        pairs.append((code, ",".join(str(each).lower() if isinstance(each, bool) else str(each) for each in values)))
    return pairs


GRAPHQL = Operation(
    Definition(
        code="graphql",
        title="A GraphQL query",
        doc="Reads and searches in one query, on the system or on one record. Answers GraphQL's JSON, not a resource. "
        "There are no mutations.",
        levels=("system", "instance"),
        inputs=(
            Parameter("query", "string", "The query.", min=1),
            Parameter("operationName", "string", "Which operation of the query is meant, if it has several."),
            Parameter("variables", "string", "Values of variables, as a JSON object."),
        ),
        outputs=(Parameter("result", "Binary", "The answer, as application/json.", min=1),),
        standard="Resource-graphql",
    ),
    None,
    graphql,
    plain=True,
)
