# SPDX-License-Identifier: Apache-2.0
"""Filters of a value set as SQL over the tables of a loaded code system. Pure: text and values, nothing is run.

The most telling condition leads: words, then a place in the hierarchy, then the value of a property; the index of each
gives concepts in the order of their ids, so that a page needs no sorting. What SQL cannot say is left over in `rest`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from salus.fhir.terminology.filters import SELF
from salus.fhir.terminology.source import Filter, listed, words_of

Lookup = Callable[[str], int | None]
_FIXED = frozenset({"display", "definition", "designation", "parent", "child", "inactive", "notSelectable", "abstract"})


@dataclass(slots=True)
class Question:
    """A query that gives ids of concepts, its values, and the filters that are still to be judged."""

    sql: str
    values: list[Any]
    rest: list[Filter] = field(default_factory=list)


@dataclass(slots=True)
class _Part:
    """One condition: as a test of a concept `c`, and as the leading table if it can lead; the lowest rank leads."""

    test: str
    values: list[Any]
    lead: str = ""
    lead_values: list[Any] = field(default_factory=list)
    rank: int = 9


def question(
    system: int,
    span: tuple[int, int],
    conditions: Sequence[Filter],
    text: str,
    lookup: Lookup,
    is_refset: Callable[[str], bool],
) -> Question:
    """The query for concepts that pass every condition and hold every word.

    Args:
        span: first and last id of the system.
        lookup: the id of a code.
        is_refset: whether a code names a reference set.
    """
    parts: list[_Part] = []
    rest: list[Filter] = []
    match = _match(text)
    if match:
        lead = "select rowid as id from concept_text where concept_text match ? and rowid between ? and ?"
        parts.append(_Part("", [], lead, [match, *span], 0))
    elif text.strip():
        parts.append(_Part("0", []))  # signs that are in no word
    for condition in conditions:
        part = _part(system, condition, lookup, is_refset)
        if part is None:
            rest.append(condition)
        else:
            parts.append(part)
    parts.sort(key=lambda part: part.rank)
    values: list[Any] = []
    if parts and parts[0].lead:
        leading = parts.pop(0)
        source = f"({leading.lead}) l cross join concept c on c.id=l.id"  # cross: in this order
        values += leading.lead_values
        tests = []
    else:
        source, tests = "concept c", ["c.id between ? and ?"]
        values += span
    for part in parts:
        tests.append(part.test)
        values += part.values
    where = f" where {' and '.join(tests)}" if tests else ""
    return Question(f"select c.id from {source}{where}", values, rest)


def _match(text: str) -> str:
    """Words for the full-text index: each must begin a word of a name."""
    words = ("".join(sign for sign in word if sign.isalnum() or sign in "-_.") for word in words_of(text))
    return " ".join(f'"{word}"*' for word in words if any(sign.isalnum() for sign in word))


def _part(system: int, condition: Filter, lookup: Lookup, is_refset: Callable[[str], bool]) -> _Part | None:
    if condition.property in SELF:
        return _by_place(system, condition, lookup, is_refset)
    if condition.property in {"parent", "ancestor"} and condition.op == "=":
        op = "child-of" if condition.property == "parent" else "descendent-of"
        return _by_place(system, Filter("concept", op, condition.value), lookup, is_refset)
    if condition.property == "inactive" and condition.op == "=":
        return _Part("c.active=?", [int(condition.value != "true")])
    if condition.property in _FIXED:
        return None
    return _by_property(system, condition)


def _by_place(system: int, condition: Filter, lookup: Lookup, is_refset: Callable[[str], bool]) -> _Part | None:
    op, value = condition.op, condition.value
    if op in {"in", "not-in"}:
        if op == "in" and is_refset(value):
            return _by_property(system, Filter("refset", "=", value))
        ids = sorted(id_ for one in listed(value) if (id_ := lookup(one)) is not None)
        marks = ",".join("?" * len(ids))
        return _Part(f"c.id {'not ' if op == 'not-in' else ''}in ({marks})", list(ids))
    id_ = lookup(value)
    if op == "exists":
        return _Part("1" if value == "true" else "0", [])
    if id_ is None:  # nothing is below or equal to a code that is not there, everything is not a kind of it
        known = {"=", "is-a", "descendent-of", "generalizes", "child-of", "descendent-leaf", "is-not-a"}
        return _Part("1" if op == "is-not-a" else "0", []) if op in known else None
    below = "exists (select 1 from ancestry a where a.ancestor=? and a.descendant=c.id)"
    descendants = "select descendant as id from ancestry where ancestor=?"
    if op == "=":
        return _Part("c.id=?", [id_], "select ? as id", [id_], 1)
    if op == "is-a":
        lead = f"select ? as id union all {descendants}"
        return _Part(f"(c.id=? or {below})", [id_, id_], lead, [id_, id_], 2)
    if op == "descendent-of":
        return _Part(below, [id_], descendants, [id_], 2)
    if op == "is-not-a":
        return _Part(f"c.id<>? and not {below}", [id_, id_])
    if op == "child-of":
        test = "exists (select 1 from parent p where p.child=c.id and p.parent=?)"
        return _Part(test, [id_], "select child as id from parent where parent=?", [id_], 1)
    if op == "generalizes":
        above = "exists (select 1 from ancestry a where a.ancestor=c.id and a.descendant=?)"
        return _Part(f"(c.id=? or {above})", [id_, id_])
    if op == "descendent-leaf":
        leaf = "not exists (select 1 from parent p where p.parent=c.id)"
        return _Part(f"{below} and {leaf}", [id_])
    return None


def _by_property(system: int, condition: Filter) -> _Part | None:
    name, op, value = condition
    of = "select 1 from property p where p.concept=c.id and p.name=?"
    if op == "=":
        lead = "select concept as id from property where system=? and name=? and value=?"
        return _Part(f"exists ({of} and p.value=?)", [name, value], lead, [system, name, value], 3)
    if op in {"in", "not-in"}:
        some = listed(value)
        marks = ",".join("?" * len(some))
        return _Part(f"{'not ' if op == 'not-in' else ''}exists ({of} and p.value in ({marks}))", [name, *some])
    if op == "exists":
        return _Part(f"{'' if value == 'true' else 'not '}exists ({of})", [name])
    return None
