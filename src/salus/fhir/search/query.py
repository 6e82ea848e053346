# SPDX-License-Identifier: Apache-2.0
"""The grammar of a search: name and value pairs in, a checked `Query` out, and back for the self link.

Everything that is not understood is an error that names the parameter; under `Prefer: handling=lenient`
unknown and unanswered parameters are passed over and listed instead. A modifier, a chain or `_has` that
Salus does not know is always an error: to drop it would return records that were not asked for. All
mistakes are reported at once.

A clause is read in `reading`, what shapes the answer in `controls`. https://hl7.org/fhir/R4/search.html
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from salus.fhir.search import controls, filters, includes
from salus.fhir.search.clauses import Clause, Filter, Include, Join, Query
from salus.fhir.search.functional import functional, is_functional
from salus.fhir.search.joins import is_join, join
from salus.fhir.search.reading import Setting, clause, parameter
from salus.fhir.search.terms import refuse, unanswered
from salus.kernel.clock import SystemClock
from salus.kernel.errors import Issue, Kind, Problem

MAX_PARAMETERS = 100

_NAME = re.compile(r"[A-Za-z0-9_.:\-]{1,256}")
_PASSED_OVER = {"_format", "_pretty"}
_NOT_OFFERED = {"_type", "_score"}
_INCLUDES = {"_include", "_revinclude"}
_CONTROLS = {"_include", "_revinclude", "_count", "_total", "_summary", "_elements", "_sort", "_page"} | {
    *("_contained", "_containedType", "_totalMethod"),
}


def parse(
    type_: str,
    pairs: Sequence[tuple[str, str]],
    *,
    lenient: bool = False,
    bases: Sequence[str] = (),
    now_ms: int | None = None,
    setting: Setting | None = None,
    types: Sequence[str] = (),
) -> Query:
    """Read a search on one resource type.

    Args:
        type_: resource type.
        pairs: decoded names and values in the order of the request.
        lenient: pass over unknown and unanswered parameters (https://hl7.org/fhir/R4/search.html#errors).
        bases: the server's own base URLs, so that absolute own references are understood.
        now_ms: the present, for `ap` on dates; read from the clock when not given.
        setting: everything that the meaning of values depends on; takes the place of the two before.
        types: the types that are searched together with this one, for includes and elements.

    Raises:
        Problem: INCORRECT with one issue for each mistake; TOO_COSTLY beyond 100 parameters or 500 values.
    """
    if len(pairs) > MAX_PARAMETERS:
        raise Problem(Kind.TOO_COSTLY, f"A search takes at most {MAX_PARAMETERS} parameters.")
    if setting is None:
        setting = Setting(bases, SystemClock().now_ms() if now_ms is None else now_ms)
    draft = _Draft(type_, types or (type_,), lenient, setting)
    issues = []
    for name, text in pairs:
        try:
            draft.take(name, text)
        except Problem as problem:
            if problem.kind is not Kind.INCORRECT:
                raise
            shown = name if _NAME.fullmatch(name) else "(name not shown)"
            code = problem.issues[0].code if problem.issues else "invalid"
            issues.append(Issue(code, f"`{shown}` {problem.public}.", f"query.{shown}"))
    if issues:
        public = issues[0].text if len(issues) == 1 else "The search holds several mistakes."
        raise Problem(Kind.INCORRECT, public, issues=tuple(issues))
    return draft.query()


def canonical(query: Query) -> list[tuple[str, str]]:
    """Name and value pairs of what was really applied, for the self link of the answer.

    https://hl7.org/fhir/R4/search.html#conformance
    """
    named = [c for c in query.clauses if c.parameter]  # membership in a compartment stands in the address
    pairs = [(f"{c.parameter}:{c.modifier}" if c.modifier else c.parameter, c.text) for c in named]
    pairs += [(join.name, join.text) for join in query.joins]
    pairs += [("_filter", text) for text, _ in query.filters]
    pairs += [includes.written(include) for include in query.include]
    if query.sort:
        pairs.append(("_sort", ",".join("-" * key.descending + key.parameter for key in query.sort)))
    if query.count is not None:
        pairs.append(("_count", str(query.count)))
    if query.elements:
        pairs.append(("_elements", ",".join(query.elements)))
    rest = (
        ("_contained", query.contained),
        ("_containedType", query.contained_type),
        ("_total", query.total),
        ("_summary", query.summary),
        ("_page", query.page),
    )
    return pairs + [(name, text) for name, text in rest if text]


class _Draft:
    """A query while it is read."""

    def __init__(self, type_: str, types: Sequence[str], lenient: bool, setting: Setting) -> None:
        self._type = type_
        self._types = types
        self._known = setting.registry.parameters(type_)
        self._lenient = lenient
        self._setting = setting
        self._clauses: list[Clause] = []
        self._joins: list[Join] = []
        self._filters: list[tuple[str, Filter]] = []
        self._include: list[Include] = []
        self._ignored: list[str] = []
        self._controls: dict[str, Any] = {}

    def take(self, name: str, text: str) -> None:
        """Add one pair."""
        code, colon, modifier = name.partition(":")
        if code in _PASSED_OVER:
            return
        if code == "_filter":
            if colon:
                raise unanswered("is not supported with a modifier")
            self._filters.append((text, filters.read(self._type, text, self._setting)))
            return
        if is_functional(name, text):
            self._clauses += functional(self._type, text, self._setting)
            return
        if is_join(self._type, name):
            self._joins.append(join(self._type, name, text, self._setting))
            return
        if code in _NOT_OFFERED:
            raise unanswered("is not supported")
        if code in _CONTROLS:
            if code == "_sort" and modifier in ("asc", "desc"):
                text, colon = controls.directed(text, descending=modifier == "desc"), ""
            if colon and not (code in _INCLUDES and modifier in includes.MODIFIERS):
                raise unanswered("is not supported with a modifier")
            if code in _INCLUDES:
                reverse = code == "_revinclude"
                self._include.append(
                    includes.include(self._types, text, self._setting.registry, reverse=reverse, iterate=bool(colon))
                )
                return
            self._control(code, text)
            return
        found = self._known.get(code)
        if self._lenient and (found is None or found.unsupported):
            self._ignored.append(name if _NAME.fullmatch(name) else "(name not shown)")
            return
        self._clauses.append(
            clause(
                parameter(self._type, code, self._setting.registry), modifier if colon else None, text, self._setting
            )
        )

    def query(self) -> Query:
        """The whole, once every pair was taken.

        Raises:
            Problem: INCORRECT for parts that do not go together.
        """
        if self._include and self._controls.get("summary") == "text":
            # https://hl7.org/fhir/R4/search.html#summary
            words = "`_summary` text does not go together with `_include` and `_revinclude`."
            raise Problem(Kind.INCORRECT, words, issues=(Issue("invalid", words, "query._summary"),))
        if not self._controls.get("contained"):
            self._controls.pop("contained_type", None)  # says how contained resources are given; none are searched
        return Query(
            type=self._type,
            clauses=tuple(self._clauses),
            joins=tuple(self._joins),
            filters=tuple(self._filters),
            include=tuple(dict.fromkeys(self._include)),
            ignored=tuple(self._ignored),
            **self._controls,
        )

    def _control(self, code: str, text: str) -> None:
        name = "total" if code == "_totalMethod" else code[1:].replace("Type", "_type")
        if name in self._controls:
            raise refuse("stands more than once")
        match code:
            case "_count":
                value: object = controls.count(text)
            case "_total":
                value = controls.total(text)
            case "_totalMethod":
                value = controls.total_method(text)
            case "_contained":
                value = controls.contained(text)
            case "_containedType":
                value = controls.contained_type(text)
            case "_summary":
                value = controls.summary(text)
            case "_elements":
                value = controls.elements(self._types, text)
            case "_sort":
                value = controls.sort(self._type, self._known, text)
            case _:
                value = text
        self._controls[name] = value
