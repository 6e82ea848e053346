# SPDX-License-Identifier: Apache-2.0
"""Take the index rows out of a resource: one generated function per resource type, compiled on first use.

A row is a plain tuple (family, kind, *values):

    (family, "token", system, code)              system "" when absent
    (family, "reference", target)                `Type/id`, or a URL as it is
    (family, "identifier", system, value)        a logical reference
    (family, "string", text)
    (family, "uri", text)
    (family, "date", low, high)                  [low, high) in ms since the epoch; None = unbounded
    (family, "number", value)
    (family, "quantity", value, system, code, unit, base, base unit)
                                                 the last two: about the same in base units of UCUM, or None and ""
    (family, "range", low, high, system, code, unit)
                                                 of numbers and quantities; None = unbounded
    (family, "sound", keys)                      what a name sounds like
    (family, "position", latitude, longitude)

On request only, for looking at opened candidates:

    (family, "text", text)                       words of a token or reference
    (family, "of-type", system, code, value)     an identifier by the coding of its type

The code is straight-line: every element is fetched once, whatever number of parameters read it. It is
generated from the definitions that ship with Salus and from nothing else. Kinds and data types:
https://hl7.org/fhir/R4/search.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from types import CodeType
from typing import Any

from salus.fhir.references import target_reader
from salus.fhir.search import evaluated, words
from salus.fhir.search.clauses import Clause
from salus.fhir.search.composites import composite
from salus.fhir.search.dates import interval
from salus.fhir.search.parameters import STANDARD, Registry
from salus.fhir.search.sounds import sounds
from salus.fhir.search.spots import WORDY, Spot, narrowed
from salus.fhir.search.table import Definition
from salus.fhir.search.tree import generate
from salus.fhir.search.values import concept_texts, decimal, period, quantity, spread, timing

Row = tuple[Any, ...]
Rows = Callable[[dict[str, Any]], list[Row]]

_MONEY = "urn:iso:std:iso:4217"


class Extractor:
    """Extracts rows; knows the own base URLs, so that absolute own references count as relative ones.

    Args:
        bases: own base URLs.
        registry: which search parameters there are.
    """

    def __init__(self, bases: Sequence[str] = (), registry: Registry = STANDARD) -> None:
        self.registry = registry
        self._names: dict[str, Any] = {
            "interval": interval,
            "period": period,
            "timing": timing,
            "decimal": decimal,
            "quantity": quantity,
            "spread": spread,
            "sounds": sounds,
            "concept_texts": concept_texts,
            "target": target_reader(bases),
        }
        self._functions: dict[str, Rows] = {}
        self._with_texts: dict[str, Rows] = {}
        self._items: dict[tuple[str, str], Rows] = {}
        self._readers: dict[tuple[Spot, ...], Rows] = {}
        self._engine: dict[str, tuple[Definition, ...]] = {}

    def rows(self, resource: dict[str, Any], *, texts: bool = False) -> list[Row]:
        """Index rows of a validated resource.

        Args:
            resource: the decoded resource.
            texts: also give the rows that are made on request only.

        Raises:
            Problem: INCORRECT when R4 has no such resource type.
        """
        type_ = resource["resourceType"]
        functions = self._with_texts if texts else self._functions
        function = functions.get(type_)
        if function is None:
            function = functions[type_] = self._compile(type_, texts=texts)
            self._engine[type_] = self.registry.engine(type_)
        found = function(resource)
        for definition in self._engine[type_]:
            found += evaluated.rows(definition, resource, self._reader, texts=texts)
        return found

    def rows_for(self, resource: dict[str, Any], asked: Iterable[Clause]) -> list[Row]:
        """Everything that clauses look at in a resource, but for the store's own `_id` and `_lastUpdated`."""
        clauses = tuple(asked)
        found = self.rows(resource, texts=any(clause.modifier in ("text", "of-type") for clause in clauses))
        for code in {clause.parameter for clause in clauses if clause.kind == "composite"}:
            found += self.items(resource, code)
        if any(clause.parameter in WORDY for clause in clauses):
            found += words.rows(resource)
        return found

    def items(self, resource: dict[str, Any], code: str) -> list[Row]:
        """Rows (family, "composite", rows of each component) of a composite parameter, one for each item."""
        type_ = resource["resourceType"]
        function = self._items.get((type_, code))
        if function is None:
            parameter = self.registry.parameters(type_)[code]
            made = composite if parameter.items else evaluated.composite
            function = self._items[type_, code] = made(parameter, self._reader)
        return function(resource)

    def _compile(self, type_: str, *, texts: bool) -> Rows:
        every = self.registry.spots(type_)
        names = dict(self._names)
        exec(_code(every, texts), names)  # noqa: S102  generated from checked definitions only
        function: Rows = names["rows"]
        return function

    def _reader(self, read: tuple[Spot, ...]) -> Rows:
        function = self._readers.get(read)
        if function is None:
            names = dict(self._names)
            exec(_code(read, True), names)  # noqa: S102  generated from checked definitions only
            function = self._readers[read] = names["rows"]
        return function


@lru_cache(maxsize=1024)
def _code(read: tuple[Spot, ...], texts: bool) -> CodeType:
    return compile(source(read, texts=texts), "<rows>", "exec")


def source(read: Sequence[Spot], *, texts: bool = False) -> str:
    """Python text of a function `rows(r) -> list` that reads the given spots."""
    every = tuple(read)
    lines = generate(
        [(spot, bool(narrowed(spot, every))) for spot in every],
        lambda spot, name: _emit(spot, name, texts=texts),
    )
    return "\n".join(["def rows(r):", " out = []", " a = out.append", *lines, " return out"])


def _emit(spot: Spot, v: str, *, texts: bool) -> list[str]:
    """Lines that append the rows of one spot; `v` is the variable that holds the element."""
    family, datatype = repr(spot.leaf.family), spot.leaf.datatype
    if spot.leaf.truth:
        there = " or ".join(f"({v}.get({key!r}) or False) is not False" for key in spot.leaf.truth)
        return [f"a(({family}, 'token', {spot.system!r}, 'true' if {there} else 'false'))"]
    return _WRITERS[spot.kind](family, datatype, v, spot.system, texts)


def _token(family: str, datatype: str, v: str, system: str, texts: bool) -> list[str]:
    def pair(name: str, element: str) -> list[str]:
        return [
            f"k = {name}.get({element!r})",
            f"if k is not None: a(({family}, 'token', {name}.get('system', ''), k))",
        ]

    match datatype:
        case "CodeableConcept":
            lines = [f"for c in {v}.get('coding', ()):", *(" " + line for line in pair("c", "code"))]
            if texts:
                lines.append(f"for k in concept_texts({v}): a(({family}, 'text', k))")
        case "Coding":
            lines = pair(v, "code")
            if texts:
                lines += [f"k = {v}.get('display')", f"if k is not None: a(({family}, 'text', k))"]
        case "Identifier":
            lines = pair(v, "value")
            if texts:
                lines.append(f"for k in concept_texts({v}.get('type', {{}})): a(({family}, 'text', k))")
                lines.append(f"for c in {v}.get('type', {{}}).get('coding', ()):")
                row = "c.get('system', ''), c.get('code', '')"
                lines.append(f" a(({family}, 'of-type', {row}, {v}.get('value', '')))")
        case "ContactPoint":
            # Its `system` says phone or email; it is no namespace.
            lines = [f"k = {v}.get('value')", f"if k is not None: a(({family}, 'token', '', k))"]
        case "boolean":
            lines = [f"a(({family}, 'token', {system!r}, 'true' if {v} else 'false'))"]
        case _:
            lines = [f"a(({family}, 'token', {system!r}, {v}))"]
    return lines


def _reference(family: str, datatype: str, v: str, _system: str, texts: bool) -> list[str]:
    if datatype != "Reference":
        return _link(family, "reference", datatype, v)
    display = [f"k = {v}.get('display')", f"if k is not None: a(({family}, 'text', k))"] if texts else []
    return [
        *display,
        f"k = {v}.get('reference')",
        # A plain relative reference, the usual case, needs no second look.
        f"if k is not None: a(({family}, 'reference', target(k) if ':' in k or '/_' in k else k))",
        f"k = {v}.get('identifier')",
        "if k is not None:",
        " c = k.get('value')",
        f" if c is not None: a(({family}, 'identifier', k.get('system', ''), c))",
    ]


def _uri(family: str, datatype: str, v: str, _system: str, _texts: bool) -> list[str]:
    return _link(family, "uri", datatype, v)


def _link(family: str, kind: str, datatype: str, v: str) -> list[str]:
    lines = [f"a(({family}, {kind!r}, {v}))"]
    if datatype == "canonical":  # found with and without its |version
        lines.append(f"if '|' in {v}: a(({family}, {kind!r}, {v}.partition('|')[0]))")
    return lines


def _date(family: str, datatype: str, v: str, _system: str, _texts: bool) -> list[str]:
    reader = {"Period": "period", "Timing": "timing"}.get(datatype, "interval")
    return [f"k = {reader}({v})", f"if k is not None: a(({family}, 'date', k[0], k[1]))"]


def _string(family: str, _datatype: str, v: str, _system: str, _texts: bool) -> list[str]:
    return [f"a(({family}, 'string', {v}))"]


def _number(family: str, datatype: str, v: str, _system: str, _texts: bool) -> list[str]:
    if datatype == "Range":
        return [f"k = spread({v})", f"if k is not None: a(({family}, 'range', *k))"]
    return [f"a(({family}, 'number', decimal({v})))"]


def _quantity(family: str, datatype: str, v: str, _system: str, _texts: bool) -> list[str]:
    if datatype == "Range":
        return [f"k = spread({v})", f"if k is not None: a(({family}, 'range', *k))"]
    if datatype == "Money":
        row = f"{_MONEY!r}, {v}.get('currency', ''), '', None, ''"
        return [f"k = {v}.get('value')", f"if k is not None: a(({family}, 'quantity', decimal(k), {row}))"]
    return [f"k = {v}.get('value')", f"if k is not None: a(({family}, 'quantity', *quantity(k, {v})))"]


def _sound(family: str, _datatype: str, v: str, _system: str, _texts: bool) -> list[str]:
    return [f"a(({family}, 'sound', sounds({v})))"]


def _position(family: str, _datatype: str, v: str, _system: str, _texts: bool) -> list[str]:
    return [
        f"k, c = {v}.get('latitude'), {v}.get('longitude')",
        f"if k is not None and c is not None: a(({family}, 'position', float(k), float(c)))",
    ]


_WRITERS: dict[str, Callable[[str, str, str, str, bool], list[str]]] = {
    "token": _token,
    "reference": _reference,
    "uri": _uri,
    "date": _date,
    "string": _string,
    "number": _number,
    "quantity": _quantity,
    "sound": _sound,
    "position": _position,
}
