# SPDX-License-Identifier: Apache-2.0
"""What a search asks: a query is an AND of clauses, a clause an OR of values over an OR of families.

Made by `query.parse`, answered by the store, checked by `match`. https://hl7.org/fhir/R4/search.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal

from salus.fhir.search.parameters import Component


@dataclass(frozen=True, slots=True)
class TokenValue:
    """A code or identifier. `system` None: any; "": none (`|code`). `code` None: any (`system|`).

    `any_case`: the code system says that case does not count.
    """

    system: str | None
    code: str | None
    any_case: bool = False


@dataclass(frozen=True, slots=True)
class StringValue:
    """A string as asked and as `folding.fold` makes it comparable."""

    text: str
    folded: str


@dataclass(frozen=True, slots=True)
class ReferenceValue:
    """A record by id, with its type or (None) without; or a URL, version and fragment as written."""

    type: str | None
    id: str | None
    url: str | None = None


@dataclass(frozen=True, slots=True)
class DateValue:
    """A date range [low_ms, high_ms) in ms since the epoch; for prefix `ap` already widened on both sides."""

    prefix: str
    low_ms: int
    high_ms: int


@dataclass(frozen=True, slots=True)
class NumberValue:
    """A number; [low, high) is what its digits stand for, or for `ap` the closed range of 10 % around it."""

    prefix: str
    value: Decimal
    low: Decimal
    high: Decimal


@dataclass(frozen=True, slots=True)
class Base:
    """The same as a number in base units of UCUM, whose code is `code`."""

    value: Decimal
    low: Decimal
    high: Decimal
    code: str


@dataclass(frozen=True, slots=True)
class QuantityValue:
    """A number with a unit. `system`, `code` None: any; a code without a system may also be the unit text.

    `base` is there when the unit is one of UCUM that can be converted.
    """

    prefix: str
    value: Decimal
    low: Decimal
    high: Decimal
    system: str | None
    code: str | None
    base: Base | None = None


@dataclass(frozen=True, slots=True)
class UriValue:
    """A URI, compared in full; with :above and :below by the parts of its path."""

    text: str


@dataclass(frozen=True, slots=True)
class MembersValue:
    """Codes with their systems, of which any will do: what :in, :not-in, :above and :below stand for."""

    members: frozenset[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class OfTypeValue:
    """`:of-type`: an identifier by the coding of its type and its value."""

    system: str
    code: str
    value: str


@dataclass(frozen=True, slots=True)
class TargetsValue:
    """References to any of these records, as `Type/id`: what a chain or a hierarchy led to."""

    names: frozenset[str]


@dataclass(frozen=True, slots=True)
class SoundValue:
    """`phonetic`: what every word of the name has to sound like, see `sounds`."""

    keys: frozenset[str]


@dataclass(frozen=True, slots=True)
class NearValue:
    """`near`: a circle around a point, in degrees and metres."""

    latitude: float
    longitude: float
    metres: float


@dataclass(frozen=True, slots=True)
class Words:
    """Words combined.

    Attributes:
        op: `phrase` (`words` follow each other), `and`, `or`, `not`.
        words: of a phrase.
        parts: of the others.
    """

    op: str
    words: tuple[str, ...] = ()
    parts: tuple[Words, ...] = ()


@dataclass(frozen=True, slots=True)
class WordsValue:
    """`_text` and `_content`: words combined, see `words`."""

    asked: Words


@dataclass(frozen=True, slots=True)
class CompositeValue:
    """A value for each component, all to be met within one element."""

    parts: tuple[PartValue, ...]


PartValue = TokenValue | StringValue | ReferenceValue | DateValue | NumberValue | QuantityValue | UriValue
Value = PartValue | MembersValue | TargetsValue | OfTypeValue | SoundValue | NearValue | WordsValue | CompositeValue


@dataclass(frozen=True, slots=True)
class Clause:
    """One parameter of a query.

    Attributes:
        parameter: code, such as `birthdate`, `_id` or `_lastUpdated`.
        kind: number, date, string, token, reference, composite, quantity, uri or special.
        families: index families whose values are compared; `_id` and `_lastUpdated` name the store's own
            columns.
        modifier: "", a modifier of R4 without its colon, or the resource type of `:Patient`. A filter also uses
            `whole`, `starts` and `ends` on strings.
        values: alternatives; for `missing` one TokenValue with code `true` or `false`; for `text`
            StringValues; for `identifier` TokenValues.
        targets: for references, the resource types asked for; empty means any.
        indexed: the search index can propose candidates; otherwise they come from elsewhere and are opened.
        text: the value as the client wrote it.
        components: of a composite parameter, in the order of the values' parts.
    """

    parameter: str
    kind: str
    families: tuple[str, ...]
    modifier: str
    values: tuple[Value, ...]
    targets: tuple[str, ...]
    indexed: bool
    text: str
    components: tuple[Component, ...] = ()


@dataclass(frozen=True, slots=True)
class Filter:
    """`_filter`: conditions combined.

    Attributes:
        op: `and`, `or` or `not`; `not` has one part.
        parts: clauses, chains (to be `resolved` before the filter is put to records), or filters again.
    """

    op: str
    parts: tuple[Clause | Filter | Join, ...]

    def clauses(self) -> Iterator[Clause]:
        """Every clause in it."""
        for part in self.parts:
            if isinstance(part, Filter):
                yield from part.clauses()
            elif isinstance(part, Clause):
                yield part

    def joins(self) -> Iterator[Join]:
        """Every chain in it."""
        for part in self.parts:
            if isinstance(part, Filter):
                yield from part.joins()
            elif isinstance(part, Join):
                yield part

    def resolved(self, join: Callable[[Join], Clause], clause: Callable[[Clause], Clause]) -> Filter:
        """The same with a clause in the place of each chain, and what another function makes of each clause."""

        def one(part: Clause | Filter | Join) -> Clause | Filter:
            if isinstance(part, Filter):
                return part.resolved(join, clause)
            return join(part) if isinstance(part, Join) else clause(part)

        return Filter(self.op, tuple(map(one, self.parts)))


@dataclass(frozen=True, slots=True)
class Chain:
    """The record points, through one of `families`, to a record that fulfils the step of its type.

    Attributes:
        parameter: the reference parameter.
        families: index families of the parameter.
        branches: what has to hold, by resource type of the target.
    """

    parameter: str
    families: tuple[str, ...]
    branches: tuple[tuple[str, Step], ...]


@dataclass(frozen=True, slots=True)
class Has:
    """A record of `type` points to this one, through one of `families`, and fulfils the step."""

    type: str
    parameter: str
    families: tuple[str, ...]
    step: Step


@dataclass(frozen=True, slots=True)
class Listed:
    """The record stands in one of these List resources (https://hl7.org/fhir/R4/search.html#list)."""

    ids: tuple[str, ...]


Step = Clause | Chain | Has | Listed


@dataclass(frozen=True, slots=True)
class Join:
    """A step that reaches into other records, with its name and value as they were written."""

    name: str
    text: str
    step: Step


@dataclass(frozen=True, slots=True)
class Include:
    """`_include` and `_revinclude`: also return what the results point to, or what points to them.

    Attributes:
        source_type: type of the record that holds the reference; `*` for any.
        parameter: its reference parameter; `*` for all.
        target_type: type of what is pointed to, or (None) any.
        reverse: `_revinclude`: the results are pointed to.
        iterate: applied to included records too.
    """

    source_type: str
    parameter: str
    target_type: str | None
    reverse: bool = False
    iterate: bool = False


@dataclass(frozen=True, slots=True)
class Sort:
    """One key of `_sort`: a parameter of the type, `_id` or `_lastUpdated`."""

    parameter: str
    descending: bool


@dataclass(frozen=True, slots=True)
class Query:
    """A search, read and checked.

    Attributes:
        type: resource type.
        clauses: all must hold.
        joins: what must hold of other records: chains, `_has`, `_list`.
        filters: `_filter`; all must hold too.
        include: records to add to the answer.
        sort: keys in order of weight.
        count: page size (0 to 1000), None when the client leaves it to us.
        total: none, accurate, estimate, or None when not asked.
        summary: `count`, `true`, `text`, `data`, or "" for whole resources.
        elements: elements to return, such as `name` or `Patient.name`; empty means all.
        contained: `true` (search what is contained in others), `both`, or "" for the records themselves.
        contained_type: `contained` to give what is contained, "" for what contains it.
        page: cursor of an earlier answer, opaque; "" for the first page.
        ignored: names passed over under `Prefer: handling=lenient`.
    """

    type: str
    clauses: tuple[Clause, ...] = ()
    joins: tuple[Join, ...] = ()
    filters: tuple[tuple[str, Filter], ...] = ()
    include: tuple[Include, ...] = ()
    sort: tuple[Sort, ...] = ()
    count: int | None = None
    total: str | None = None
    summary: str = ""
    elements: tuple[str, ...] = ()
    contained: str = ""
    contained_type: str = ""
    page: str = ""
    ignored: tuple[str, ...] = ()
