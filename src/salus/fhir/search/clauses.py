# SPDX-License-Identifier: Apache-2.0
"""What a search asks: a query is an AND of clauses, a clause an OR of values over an OR of families.

Made by `query.parse`, answered by the store, checked by `match`. https://hl7.org/fhir/R4/search.html
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class TokenValue:
    """A code or identifier. `system` None: any; "": none (`|code`). `code` None: any (`system|`)."""

    system: str | None
    code: str | None


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
class QuantityValue:
    """A number with a unit. `system`, `code` None: any; a code without a system may also be the unit text."""

    prefix: str
    value: Decimal
    low: Decimal
    high: Decimal
    system: str | None
    code: str | None


@dataclass(frozen=True, slots=True)
class UriValue:
    """A URI, compared in full."""

    text: str


Value = TokenValue | StringValue | ReferenceValue | DateValue | NumberValue | QuantityValue | UriValue


@dataclass(frozen=True, slots=True)
class Clause:
    """One parameter of a query.

    Attributes:
        parameter: code, such as `birthdate`, `_id` or `_lastUpdated`.
        kind: number, date, string, token, reference, quantity or uri.
        families: index families whose values are compared; `_id` and `_lastUpdated` name the store's own
            columns.
        modifier: "", exact, contains, not, missing, text, identifier, or the resource type of `:Patient`.
        values: alternatives; for `missing` one TokenValue with code `true` or `false`; for `text`
            StringValues; for `identifier` TokenValues.
        targets: for references, the resource types asked for; empty means any.
        indexed: the search index can propose candidates; otherwise they come from elsewhere and are opened.
        text: the value as the client wrote it.
    """

    parameter: str
    kind: str
    families: tuple[str, ...]
    modifier: str
    values: tuple[Value, ...]
    targets: tuple[str, ...]
    indexed: bool
    text: str


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
        include: records to add to the answer.
        sort: keys in order of weight.
        count: page size (0 to 1000), None when the client leaves it to us.
        total: none, accurate, estimate, or None when not asked.
        summary: `count`, `true`, `text`, `data`, or "" for whole resources.
        elements: elements to return, such as `name` or `Patient.name`; empty means all.
        page: cursor of an earlier answer, opaque; "" for the first page.
        ignored: names passed over under `Prefer: handling=lenient`.
    """

    type: str
    clauses: tuple[Clause, ...] = ()
    joins: tuple[Join, ...] = ()
    include: tuple[Include, ...] = ()
    sort: tuple[Sort, ...] = ()
    count: int | None = None
    total: str | None = None
    summary: str = ""
    elements: tuple[str, ...] = ()
    page: str = ""
    ignored: tuple[str, ...] = ()

    @property
    def needs_texts(self) -> bool:
        """Whether matching needs the rows of words (`Extractor.rows(…, texts=True)`)."""
        return any(clause.modifier == "text" for clause in self.clauses)
