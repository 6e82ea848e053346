# SPDX-License-Identifier: Apache-2.0
"""What somebody sent to an operation, read by its definition.

From a query (primitives), from a `Parameters` resource, or from a bare resource where the definition has exactly one
resource parameter. Types and cardinalities are held, unknown parameters are refused, each with its place; no words
repeat a value. https://hl7.org/fhir/R4/operations.html#request
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from salus.fhir.operations.definition import ANY, Definition, Parameter
from salus.fhir.operations.values import from_body, from_text, type_sent
from salus.fhir.validate import check
from salus.kernel.errors import Issue, Kind, Problem

Resource = dict[str, Any]
Pairs = Sequence[tuple[str, str]]

_PASSED_OVER = frozenset({"_format", "_pretty"})
_STAND_IN = {"resourceType": "Basic", "code": {"text": "stands for a resource that is judged on its own"}}
_MOST = 500  # values; more than any operation has use for


@dataclass(frozen=True, slots=True)
class Arguments:
    """Values by parameter name, checked.

    Attributes:
        values: what JSON has (str, int, Decimal, bool, dict); a parameter with parts has `Arguments` as its values.
        places: where the first value of each stands.
        rest: search parameters as they were sent, for operations that search.
        page: the cursor of a page link; "" on a first call.
        shown: names and primitive values, for the audit log.
    """

    values: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    places: Mapping[str, str] = field(default_factory=dict)
    rest: tuple[tuple[str, str], ...] = ()
    page: str = ""
    shown: tuple[tuple[str, str], ...] = ()

    def one(self, name: str) -> Any:
        """The value of a parameter that occurs at most once; None without."""
        found = self.values.get(name)
        return found[0] if found else None

    def all(self, name: str) -> tuple[Any, ...]:
        """Every value of a parameter."""
        return self.values.get(name, ())

    def text(self, name: str) -> str:
        """A text; empty without."""
        return self.one(name) or ""

    def flag(self, name: str, otherwise: bool = False) -> bool:
        """A boolean."""
        found = self.one(name)
        return otherwise if found is None else found is True

    def wrong(self, name: str, text: str, code: str = "value") -> Problem:
        """The refusal of a value that its type allows and the operation does not; `text` must not repeat it."""
        return refuse(text, self.places.get(name, name), code)


def read(definition: Definition, pairs: Pairs, body: Resource | None = None) -> Arguments:
    """Read and check what was sent.

    Args:
        pairs: the query, decoded.
        body: the decoded body of a POST; None without one.

    Raises:
        Problem: INCORRECT with one issue for each parameter that is unknown, missing, too many or of another type;
            INVALID for a resource that is not valid R4.
    """
    draft = _Draft(definition)
    for name, text in pairs:
        draft.take_text(name, text)
    if body is not None:
        bare = definition.body
        if body.get("resourceType") == "Parameters":
            draft.take_all(body)
        elif bare is not None:
            draft.take_resource(bare, body, "")
        else:
            draft.report(f"${definition.code} takes a Parameters resource.", "resourceType", "structure")
    return draft.finished()


def refuse(text: str, place: str, code: str = "value") -> Problem:
    """A parameter that cannot be used."""
    return Problem(Kind.INCORRECT, text, issues=(Issue(code, text, place),))


class _Draft:
    """Arguments while they are read."""

    def __init__(self, definition: Definition) -> None:
        self._definition = definition
        self._known = {one.name: one for one in definition.inputs}
        self._found = _Found()
        self._rest: list[tuple[str, str]] = []
        self._page = ""
        self._issues: list[Issue] = []

    def report(self, text: str, place: str, code: str = "value") -> None:
        self._issues.append(Issue(code, text, place))

    def take_text(self, name: str, text: str) -> None:
        """One pair of the query."""
        known = self._known.get(name)
        if known is None:
            if name in _PASSED_OVER:
                return
            if name == "_page" and self._definition.paged:
                self._page = text
            elif self._definition.searches:
                self._rest.append((name, text))
            else:
                self.report(f"${self._definition.code} has no such parameter.", _query(name), "not-supported")
            return
        if not known.primitive:
            self.report(f"{name} is no primitive and must be sent in a Parameters resource.", _query(name))
            return
        value, wrong = from_text(known, text)
        if wrong:
            self.report(f"{name} {wrong}.", _query(name))
        else:
            self._found.add(known, value, _query(name))

    def take_all(self, body: Resource) -> None:
        """A `Parameters` resource: its structure first, then each parameter."""
        check(_without_resources(body), "Parameters")
        self._take_list(body.get("parameter", []), self._known, self._found, "Parameters.parameter")

    def _take_list(self, sent: list[Resource], known: Mapping[str, Parameter], into: _Found, place: str) -> None:
        for index, each in enumerate(sent):
            self._take(each, known.get(each["name"]), into, f"{place}[{index}]")

    def _take(self, sent: Resource, known: Parameter | None, into: _Found, place: str) -> None:
        if known is None:
            if self._definition.searches and into is self._found and type(sent.get("valueString")) is str:
                self._rest.append((sent["name"], sent["valueString"]))
            else:
                self.report(f"${self._definition.code} has no such parameter.", place, "not-supported")
        elif known.resource:
            if "resource" in sent:
                self.take_resource(known, sent["resource"], f"{place}.resource", into)
            else:
                self.report(f"{known.name} must be a resource.", place)
        elif known.parts:
            inner = _Found()
            self._take_list(sent.get("part", []), {part.name: part for part in known.parts}, inner, f"{place}.part")
            self._complete(known.parts, inner, f"{place}.part")
            into.add(known, inner.arguments(), place)
        else:
            value, wrong = from_body(known, sent)
            if wrong:
                self.report(f"{known.name} {wrong}.", f"{place}.{type_sent(sent) or 'value'}")
            else:
                into.add(known, value, place)

    def take_resource(self, known: Parameter, value: Any, place: str, into: _Found | None = None) -> None:
        """A resource; judged as R4 unless judging it is what the operation is for."""
        kind = value.get("resourceType") if isinstance(value, dict) else None
        if known.type not in {ANY, kind}:
            self.report(f"{known.name} must be a {known.type}.", place or "resourceType", "structure")
            return
        if known.checked:
            try:
                check(value)
            except Problem as problem:
                placed = (Issue(i.code, i.text, _join(place, i.place)) for i in problem.issues)
                raise Problem(problem.kind, problem.public, problem.detail, issues=tuple(placed)) from None
        (self._found if into is None else into).add(known, value, place or kind or "resource")

    def _complete(self, expected: Sequence[Parameter], found: _Found, place: str) -> None:
        for one in expected:
            number = len(found.values.get(one.name, ()))
            if number < one.min:
                self.report(f"{one.name} is required.", place or _query(one.name), "required")
            elif one.max != "*" and number > int(one.max):
                self.report(f"{one.name} may be given {one.max} time(s).", found.places[one.name])

    def finished(self) -> Arguments:
        """The whole, once everything was taken."""
        if self._page and not self._issues:
            return Arguments(page=self._page)  # the link says everything else
        self._complete(self._definition.inputs, self._found, "")
        if self._found.count + len(self._rest) > _MOST:
            raise Problem(Kind.TOO_COSTLY, f"An operation takes at most {_MOST} values.")
        if self._issues:
            public = self._issues[0].text if len(self._issues) == 1 else "Several parameters cannot be used."
            raise Problem(Kind.INCORRECT, public, issues=tuple(self._issues))
        return self._found.arguments(tuple(self._rest))


class _Found:
    """Values on one level: of the operation, or of the parts of a parameter."""

    def __init__(self) -> None:
        self.values: dict[str, list[Any]] = {}
        self.places: dict[str, str] = {}
        self.shown: list[tuple[str, str]] = []
        self.count = 0

    def add(self, known: Parameter, value: Any, place: str) -> None:
        self.values.setdefault(known.name, []).append(value)
        self.places.setdefault(known.name, place)
        self.count += 1
        if known.primitive:
            self.shown.append((known.name, str(value).lower() if isinstance(value, bool) else str(value)))

    def arguments(self, rest: tuple[tuple[str, str], ...] = ()) -> Arguments:
        values = {name: tuple(found) for name, found in self.values.items()}
        return Arguments(values, self.places, rest, shown=(*self.shown, *rest))


def _without_resources(body: Resource) -> Resource:
    """The same parameters with a stand-in for each resource: those are judged by what their parameter asks for."""
    return {name: _replaced(value) if name == "parameter" else value for name, value in body.items()}


def _replaced(parameters: Any) -> Any:
    if not isinstance(parameters, list):
        return parameters
    return [
        {
            name: _STAND_IN
            if name == "resource" and isinstance(value, dict)
            else _replaced(value)
            if name == "part"
            else value
            for name, value in each.items()
        }
        if isinstance(each, dict)
        else each
        for each in parameters
    ]


def _query(name: str) -> str:
    return f"query.{name}" if name.replace("-", "").replace("_", "").isalnum() and len(name) < 65 else "query"


def _join(place: str, inner: str) -> str:
    if not place or not inner:
        return inner or place
    return f"{place}.{inner.partition('.')[2]}".rstrip(".")
