# SPDX-License-Identifier: Apache-2.0
"""Take what a query asks for out of resources; ask a `Source` for other resources.

The query was held against the types (`shape.check`), so that here only values are looked at. Fields that a record does
not have are null. A record that is absent or hidden is null with an error, in the same words for both.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from salus.fhir.fhirpath import Environment, Node, compile  # noqa: A004  the field's word
from salus.fhir.graphql.document import Condition, Field, Selection, refuse
from salus.fhir.graphql.shape import QUERY, applies, graphql_name, is_resource, searched
from salus.fhir.outcome import ISSUE_TYPES
from salus.fhir.validate.members import Member, members
from salus.kernel.errors import Kind, Problem

Json = dict[str, Any]
Path = tuple[str | int, ...]

MOST_VALUES = 100_000
"""Values of one answer."""
MOST_EXPRESSIONS = 10_000
"""FHIRPath evaluations of one query, each with a small budget."""
_BUDGET = 5_000
_TOLD = {Kind.NOT_FOUND, Kind.FORBIDDEN, Kind.GONE}


@dataclass(frozen=True, slots=True)
class Found:
    """A page of a search.

    Attributes:
        total: how many match; only counted when it is asked for.
        next: cursor of the next page, "" on the last.
    """

    resources: Sequence[Json]
    total: int | None
    offset: int
    size: int
    next: str


class Source(Protocol):
    """Where resources come from; every one is decided about, masked and noted there."""

    def record(self, type_: str, id_: str) -> Json:
        """One record. Raises Problem(NOT_FOUND, GONE, FORBIDDEN)."""
        ...

    def target(self, reference: str) -> Json:
        """What a reference leads to. Raises Problem(NOT_FOUND), also for what the actor may not see."""
        ...

    def search(self, type_: str, arguments: Mapping[str, Any], *, counted: bool) -> Found:
        """Records by search parameters. Raises Problem(INCORRECT, FORBIDDEN, TOO_COSTLY)."""
        ...


@dataclass(slots=True)
class _Into:
    """Where values go: an object of the answer.

    Attributes:
        suffix: what `@slice` adds to the names in it.
        many: a list was flattened into it, so that its fields are lists.
    """

    out: Json
    suffix: str = ""
    many: bool = False


@dataclass(slots=True)
class Answer:
    """What a query gives, and what went wrong on the way."""

    data: Json = field(default_factory=dict)
    errors: list[Json] = field(default_factory=list)


class Selecting:
    """One query on its way.

    Args:
        source: gives resources.
        environment: knowledge for FHIRPath; its budget is replaced by a small one.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._environment = Environment(most_nodes=_BUDGET)
        self._values = 0
        self._expressions = 0
        self.answer = Answer()

    def system(self, selections: Sequence[Selection]) -> Answer:
        """Answer a query on the system."""
        for one in _fields(selections, QUERY):
            named = one.name == "__typename"
            self.answer.data[one.key] = QUERY if named else self._guarded(one, (one.key,), {})
        return self.answer

    def instance(self, selections: Sequence[Selection], resource: Json) -> Answer:
        """Answer a query on one record."""
        self._object(resource, resource["resourceType"], selections, _Into(self.answer.data), (), resource)
        return self.answer

    # ── records ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _guarded(self, one: Field, path: Path, around: Json) -> Any:
        """A field that leads to other records; what cannot be given is null, with an error that says why."""
        try:
            found = searched(one.name)
            if found is not None:
                return self._searched(one, *found, path, around)
            return self._resource(self._source.record(one.name, one.arguments["id"]), one.selections, path)
        except Problem as problem:
            if problem.kind not in _TOLD:
                raise
            self._tell(problem, path)
            return None

    def _tell(self, problem: Problem, path: Path) -> None:
        code = problem.issues[0].code if problem.issues else ISSUE_TYPES[problem.kind]
        self.answer.errors.append({"message": problem.public, "path": list(path), "extensions": {"code": code}})

    def _resource(self, resource: Json, selections: Sequence[Selection], path: Path) -> Json:
        into = _Into({})
        self._object(resource, resource["resourceType"], selections, into, path, resource)
        return into.out

    def _searched(self, one: Field, type_: str, kind: str, path: Path, around: Json) -> Any:
        arguments = dict(one.arguments)
        if around:
            by = arguments.pop("_reference", None)
            if not isinstance(by, str):
                raise refuse("Inside a record, _reference must name the parameter that leads to it.", one.place)
            arguments[by] = f"{around['resourceType']}/{around['id']}"
        counted = kind != "List" and any(each.name == "count" for each in _fields(one.selections, "Connection"))
        found = self._source.search(type_, arguments, counted=counted)
        if kind == "List":
            return [self._resource(each, one.selections, (*path, index)) for index, each in enumerate(found.resources)]
        return self._connection(one, found, path)

    def _connection(self, one: Field, found: Found, path: Path) -> Json:
        plain = {
            "__typename": "Connection",
            "count": found.total,
            "offset": found.offset,
            "pagesize": found.size,
            "first": None,
            "previous": None,
            "next": found.next or None,
            "last": None,
        }
        out: Json = {}
        for each in _fields(one.selections, "Connection"):
            if each.name != "edges":
                out[each.key] = plain[each.name]
                continue
            out[each.key] = [
                self._edge(each, resource, (*path, each.key, index)) for index, resource in enumerate(found.resources)
            ]
        return out

    def _edge(self, edges: Field, resource: Json, path: Path) -> Json:
        plain = {"__typename": "Edge", "mode": "match", "score": None}
        return {
            each.key: self._resource(resource, each.selections, (*path, each.key))
            if each.name == "resource"
            else plain[each.name]
            for each in _fields(edges.selections, "Edge")
        }

    # ── elements ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _object(
        self, value: Json, type_: str, selections: Sequence[Selection], into: _Into, path: Path, container: Json
    ) -> None:
        """Put the fields of one element or resource into the answer.

        Args:
            container: the resource around it, for contained ones.
        """
        for one in _fields(selections, type_):
            place = (*path, one.key)
            if one.name == "__typename":
                into.out[one.key] = graphql_name(type_)
            elif one.name == "resourceType" and is_resource(type_):
                into.out[one.key] = type_
            elif is_resource(type_) and searched(one.name):
                _put(into, one, [self._guarded(one, place, value)], many=False)
            elif type_ == "Reference" and one.name == "resource":
                self._referred(value, one, into, place, container)
            else:
                self._element(value, members(type_)[one.name], one, into, place, container)

    def _element(self, value: Json, member: Member, one: Field, into: _Into, path: Path, container: Json) -> None:
        sent = value.get(one.name)
        many = member.field.many
        values = [each for each in (sent if isinstance(sent, list) else [sent]) if each is not None]
        if one.arguments:
            values = self._filtered(values, member, one)
        if "first" in one.directives:
            values = values[:1]
        self._values += len(values) + 1
        if self._values > MOST_VALUES:
            raise Problem(Kind.TOO_COSTLY, f"The answer would hold more than {MOST_VALUES} values.")
        flat = "flatten" in one.directives
        if not values and not flat and "slice" not in one.directives:
            _put(into, one, [], many=many)
        for index, each in enumerate(values):
            suffix = into.suffix + self._slice(each, member, one, index)
            if member.primitive:
                _put(into, one, [each], many=many, suffix=suffix)
                continue
            type_ = each["resourceType"] if member.type == "Resource" else member.type
            inner = _Into(into.out, suffix, into.many or many) if flat else _Into({})
            place = (*path, index) if many else path
            self._object(each, type_, one.selections, inner, place, each if is_resource(type_) else container)
            if not flat:
                _put(into, one, [inner.out], many=many, suffix=suffix)

    def _filtered(self, values: list[Any], member: Member, one: Field) -> list[Any]:
        """Filters of a list: values of primitives, `fhirpath`, `_offset`, `_count`."""
        asked = dict(one.arguments)
        expression, offset, count = asked.pop("fhirpath", None), asked.pop("_offset", 0), asked.pop("_count", None)
        for number in (offset, count):
            if number is not None and (isinstance(number, bool) or not isinstance(number, int) or number < 0):
                raise refuse("_offset and _count are whole numbers.", one.place)
        kept = [each for each in values if all(_same(each.get(name), wanted) for name, wanted in asked.items())]
        if expression is not None:
            kept = [each for each in kept if self._evaluated(expression, each, member, one) == [True]]
        return kept[offset:] if count is None else kept[offset : offset + count]

    def _slice(self, value: Any, member: Member, one: Field, index: int) -> str:
        asked = one.directives.get("slice")
        if asked is None:
            return ""
        if asked["path"] == "$index":
            return f".{index}"
        found = self._evaluated(asked["path"], value, member, one)
        return f".{found[0]}" if found and isinstance(found[0], str | int) else ""

    def _evaluated(self, expression: Any, value: Any, member: Member, one: Field) -> list[Any]:
        self._expressions += 1
        if self._expressions > MOST_EXPRESSIONS:
            raise Problem(Kind.TOO_COSTLY, f"A query may evaluate {MOST_EXPRESSIONS} expressions.")
        if not isinstance(expression, str):
            raise refuse("A FHIRPath expression is a text.", one.place)
        try:
            return compile(expression).values(Node(value, member.type), environment=self._environment)
        except Problem as problem:
            raise Problem(problem.kind, problem.public, problem.detail) from None

    def _referred(self, value: Json, one: Field, into: _Into, path: Path, container: Json) -> None:
        """What a Reference leads to: something contained, or a record."""
        text = value.get("reference")
        try:
            if not isinstance(text, str):
                raise Problem(Kind.NOT_FOUND, "The reference names no record.")
            found = _contained(container, text) if text.startswith("#") else self._source.target(text)
        except Problem as problem:
            if problem.kind not in _TOLD:
                raise
            if not one.arguments.get("optional"):
                self._tell(problem, path)
            _put(into, one, [], many=False)
            return
        wanted = one.arguments.get("type")
        if wanted is not None and found["resourceType"] != wanted:
            _put(into, one, [], many=False)
            return
        inner = _Into(into.out, into.suffix, into.many) if "flatten" in one.directives else _Into({})
        around = container if text.startswith("#") else found
        self._object(found, found["resourceType"], one.selections, inner, path, around)
        if inner.out is not into.out:
            _put(into, one, [inner.out], many=False)


def _contained(container: Json, text: str) -> Json:
    for each in container.get("contained", ()):
        if each.get("id") == text[1:]:
            found: Json = each
            return found
    raise Problem(Kind.NOT_FOUND, "The reference names no record.")


def _put(into: _Into, one: Field, values: list[Any], *, many: bool, suffix: str | None = None) -> None:
    """Add values under the name of the field; lists stay lists, and a flattened list makes lists of what is in it."""
    key = one.key + (into.suffix if suffix is None else suffix)
    if (many or into.many) and "singleton" not in one.directives:
        held = into.out.get(key)
        into.out[key] = [*held, *values] if isinstance(held, list) else list(values)
    elif into.out.get(key) is None:
        into.out[key] = values[0] if values else None


def _same(value: Any, wanted: Any) -> bool:
    if isinstance(value, bool) or isinstance(wanted, bool):
        return str(value).lower() == str(wanted).lower()
    return value is not None and str(value) == str(wanted)


def _fields(selections: Sequence[Selection], type_: str) -> Iterator[Field]:
    """The fields that are asked of a value of this type; those of the same name in the answer become one.

    Raises:
        Problem: INCORRECT when two of one name ask for different things.
    """
    found: dict[str, Field] = {}
    for one in _flat(selections, type_):
        same = found.get(one.key)
        if same is None:
            found[one.key] = one
            continue
        if (same.name, same.arguments, same.directives) != (one.name, one.arguments, one.directives):
            raise refuse("Two fields of one name ask for different things; give one an alias.", one.place, "structure")
        found[one.key] = Field(
            one.key, one.name, one.arguments, one.directives, (*same.selections, *one.selections), same.place
        )
    yield from found.values()


def _flat(selections: Sequence[Selection], type_: str) -> Iterator[Field]:
    for each in selections:
        if isinstance(each, Condition):
            if applies(each.type, type_):
                yield from _flat(each.selections, type_)
        else:
            yield each
