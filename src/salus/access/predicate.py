# SPDX-License-Identifier: Apache-2.0
"""The closed language of access conditions, with two compilers that must agree.

A predicate speaks about the facts of one record. `to_python` turns it into a closure over `Facts`, `to_sql`
into a WHERE fragment with bound parameters over the table alias `r`. A property test runs both over random
predicates and facts. There is no free text, no FHIRPath and no SQL in a policy: a new condition is a new
atom here, in both compilers.

Rules kept: every value is 16 opaque bytes and is bound, never written into the SQL; `Subset` is true for an
empty column; `Related` is false for a record without owner, and for a record of several patients it holds
only when it holds for all of them. `Contains` looks for the bytes anywhere in the column: surrogates are
keyed 128-bit values, so a match across two neighbours does not occur, and both engines would treat it
alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from salus.access.facts import SURROGATE, Facts, split

Column = Literal["owners", "author", "labels", "sensitivity"]
Test = Callable[[Facts], bool]
RelatedTo = Callable[[str, bytes, bytes], bool]
"""(tenant, party, owner) -> whether the party has a care relationship to the patient."""
Fragment = tuple[str, tuple[str | bytes | int, ...]]
"""SQL and the values for its placeholders."""


@dataclass(frozen=True, slots=True)
class Always:
    """True for every record."""


@dataclass(frozen=True, slots=True)
class Never:
    """True for no record."""


@dataclass(frozen=True, slots=True)
class Equal:
    """The column holds exactly this one surrogate."""

    column: Column
    value: bytes


@dataclass(frozen=True, slots=True)
class OneOf:
    """The column is exactly one of these surrogates."""

    column: Column
    values: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Contains:
    """This surrogate is among those of the column."""

    column: Column
    value: bytes


@dataclass(frozen=True, slots=True)
class Subset:
    """Every surrogate of the column is among these."""

    column: Column
    values: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class AtMost:
    """The confidentiality rank is not above this one."""

    rank: int


@dataclass(frozen=True, slots=True)
class Related:
    """The party has a care relationship to every patient who owns the record, and there is at least one."""

    tenant: str
    party: bytes


@dataclass(frozen=True, slots=True)
class And:
    """All of the parts; true without parts."""

    parts: tuple[Predicate, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Any of the parts; false without parts."""

    parts: tuple[Predicate, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite."""

    part: Predicate


Predicate = Always | Never | Equal | OneOf | Contains | Subset | AtMost | Related | And | Or | Not


def every(parts: Iterable[Predicate]) -> Predicate:
    """Join with AND, leaving out what changes nothing: `Always` parts and repetitions."""
    kept = tuple(dict.fromkeys(part for part in parts if not isinstance(part, Always)))
    if any(isinstance(part, Never) for part in kept):
        return Never()
    if not kept:
        return Always()
    return kept[0] if len(kept) == 1 else And(kept)


def either(parts: Iterable[Predicate]) -> Predicate:
    """Join with OR, leaving out what changes nothing: `Never` parts and repetitions."""
    kept = tuple(dict.fromkeys(part for part in parts if not isinstance(part, Never)))
    if any(isinstance(part, Always) for part in kept):
        return Always()
    if not kept:
        return Never()
    return kept[0] if len(kept) == 1 else Or(kept)


def to_python(predicate: Predicate, related: RelatedTo) -> Test:
    """Compile to a closure.

    Args:
        predicate: what must hold.
        related: looks up care relationships; asked afresh at every call, so that an ended relationship
            counts at once.

    Returns:
        A function of `Facts`.
    """
    match predicate:
        case Always():
            return lambda _: True
        case Never():
            return lambda _: False
        case Equal("owners", value):
            return lambda facts: facts.owners == value
        case Equal("author", value):
            return lambda facts: facts.author == value
        case Equal("labels", value):
            return lambda facts: facts.labels == value
        case Equal(_, value):
            return lambda facts: facts.sensitivity == value
        case OneOf(column, values):
            chosen = frozenset(values)
            return lambda facts: getattr(facts, column) in chosen
        case Contains(column, value):
            return lambda facts: value in getattr(facts, column)
        case Subset("sensitivity", ()):
            return lambda facts: not facts.sensitivity
        case Subset(column, values):
            allowed = frozenset(values)
            return lambda facts: not getattr(facts, column) or allowed.issuperset(split(getattr(facts, column)))
        case AtMost(rank):
            return lambda facts: facts.rank <= rank
        case Related(tenant, party):
            return lambda facts: (
                bool(facts.owners) and all(related(tenant, party, owner) for owner in split(facts.owners))
            )
        case And((one, other)):  # pairs are frequent, and the loop dearer than they are
            first, second = to_python(one, related), to_python(other, related)
            return lambda facts: first(facts) and second(facts)
        case And(parts):
            tests = tuple(to_python(part, related) for part in parts)
            return lambda facts: all(test(facts) for test in tests)
        case Or((one, other)):
            first, second = to_python(one, related), to_python(other, related)
            return lambda facts: first(facts) or second(facts)
        case Or(parts):
            tests = tuple(to_python(part, related) for part in parts)
            return lambda facts: any(test(facts) for test in tests)
        case Not(part):
            test = to_python(part, related)
            return lambda facts: not test(facts)


def to_sql(predicate: Predicate) -> Fragment:
    """Compile to a WHERE fragment.

    Returns:
        SQL over the alias `r`, in brackets where needed, and the values for its placeholders in order. It
        says nothing
        about tenant or type of `r`: the store adds those.
    """
    match predicate:
        case Always():
            return "1", ()
        case Never():
            return "0", ()
        case Equal(column, value):
            return f"r.{column} = ?", (value,)
        case OneOf(column, values):
            return f"r.{column} in ({_marks(values)})", values
        case Contains(column, value):
            return f"instr(r.{column}, ?) > 0", (value,)
        case Subset(column, ()):
            return f"r.{column} = x''", ()
        case Subset(column, values):
            stray = _some(column, f"not in ({_marks(values)})")
            return f"(r.{column} = x'' or not {stray})", values
        case AtMost(rank):
            return "r.rank <= ?", (rank,)
        case Related(tenant, party):
            # One owner is the rule: a semi-join that the planner can drive from, not a sub-query for each
            # row.
            known = "(select owner from relation where tenant = ? and party = ?)"
            several = f"(length(r.owners) > {SURROGATE} and not {_some('owners', 'not in ' + known)})"
            return f"(r.owners in {known} or {several})", (tenant, party, tenant, party)
        case And(parts):
            return _joined(" and ", parts, "1")
        case Or(parts):
            return _joined(" or ", parts, "0")
        case Not(part):
            sql, bound = to_sql(part)
            return f"not ({sql})", bound


def _joined(word: str, parts: tuple[Predicate, ...], empty: str) -> Fragment:
    compiled = [to_sql(part) for part in parts]
    sql = "(" + word.join(text for text, _ in compiled) + ")" if compiled else empty
    return sql, tuple(value for _, values in compiled for value in values)


def _marks(values: tuple[bytes, ...]) -> str:
    return ",".join("?" * len(values))


def _some(column: Column, test: str) -> str:
    """SQL: some 16-byte piece of the column passes the test."""
    return (
        f"exists (with recursive piece(at) as (select 1 where length(r.{column}) > 0 union all "
        f"select at + {SURROGATE} from piece where at + {SURROGATE} <= length(r.{column})) "
        f"select 1 from piece where substr(r.{column}, at, {SURROGATE}) {test})"
    )
