# SPDX-License-Identifier: Apache-2.0
"""Random records and random questions about them, and what plain values answer.

The questions are made of values that occur in the records, bent a little, so that most have answers. The naive side
evaluates `salus.fhir.search.match` over the rows of every record, without keys, index, SQL or pages.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from random import Random
from typing import Any

from salus.audit.event import EventType
from salus.fhir import json
from salus.fhir.search import words
from salus.fhir.search.clauses import Query
from salus.fhir.search.extract import Extractor
from salus.fhir.search.match import filter_matcher, matches
from salus.fhir.search.parameters import Parameter, parameters
from salus.fhir.search.query import parse
from salus.fhir.search.sort import sort_key
from salus.kernel.errors import Problem
from salus.records.context import Context
from salus.records.draft import unit_of
from salus.records.interactions import search, update
from salus.synthetic.generate import population
from tests.support.bending import bent_copy, modifier_of, value_of
from tests.support.clinic import BASE, Clinic

TYPES = ("Patient", "Observation", "Condition", "Encounter", "MedicationRequest", "Claim")
Pairs = list[tuple[str, str]]
JSON = dict[str, Any]

_PER_TYPE = 60
_UNORDERED = {"phonetic", "_text", "_content"}
_ORDERED = {"token", "string", "date", "reference", "number", "quantity", "uri"}


class Plain:
    """A store, and the records in it in the plain.

    Attributes:
        plain: (resource, lastUpdated in ms) by type, in the order of writing.
    """

    def __init__(self, clinic: Clinic, types: Sequence[str]) -> None:
        self.clinic = clinic
        self.ctx: Context = clinic.context()
        self.plain: dict[str, list[tuple[JSON, int]]] = {}
        for type_ in types:  # what every clinic has
            here = reversed(clinic.as_("service").find(type_))
            self.plain[type_] = [(each, _ms(each["meta"]["lastUpdated"])) for each in here]

    def put(self, type_: str, resource: JSON) -> None:
        """Keep a record."""
        prepared, _ = update.stage(self.ctx, type_, resource["id"], resource)
        event = self.ctx.event(EventType.RECORD_UPDATE, reason="test", entities=prepared.entities)
        self.clinic.run(self.ctx.commit(unit_of([prepared]), event))
        self.plain[type_].append((json.decode(prepared.version.body), prepared.version.updated))

    def stored(self, type_: str, asked: Pairs) -> list[str]:
        """Ids that the encrypted store answers with, over all pages."""
        found: list[str] = []
        while True:
            bundle = json.decode(self.clinic.run(search.search(self.ctx, type_, asked)))
            found += [entry["resource"]["id"] for entry in bundle.get("entry", ())]
            following = [link["url"] for link in bundle["link"] if link["relation"] == "next"]
            if not following:
                return found
            asked = [("_page", following[0].partition("_page=")[2])]


class Oracle(Plain):
    """A store full of random records, and the same records in the plain.

    Args:
        bent: with unusual values; without them dates are points and single days, which are answered in another way.

    Attributes:
        plain: (resource, lastUpdated in ms) by type, in the order of writing.
    """

    def __init__(self, clinic: Clinic, seed: int, *, bent: bool = True) -> None:
        super().__init__(clinic, TYPES)
        self._extractor = Extractor([f"{BASE}/fhir"])
        random = Random(seed)
        chosen: dict[str, list[JSON]] = {type_: [] for type_ in TYPES}
        for chart in population(seed, 3, date(2026, 1, 1)):
            for resource in chart:
                if resource["resourceType"] in chosen:
                    chosen[resource["resourceType"]].append(resource)
        for type_, found in chosen.items():
            kept = random.sample(found, min(len(found), _PER_TYPE // 2))
            made = [
                bent_copy(random, found, f"bent-{number}") for number in range(_PER_TYPE - len(kept) if bent else 0)
            ]
            for resource in [*kept, *made]:
                self.put(type_, resource)
        self._rows = {
            type_: [(plain["id"], self._all_rows(plain, updated)) for plain, updated in records]
            for type_, records in self.plain.items()
        }

    def _all_rows(self, resource: JSON, updated: int) -> list[tuple[Any, ...]]:
        own = [("_id", "token", "", resource["id"]), ("_lastUpdated", "date", updated, updated + 1)]
        known = parameters(resource["resourceType"]).values()
        items = [row for p in known if p.items for row in self._extractor.items(resource, p.code)]
        return [*self._extractor.rows(resource, texts=True), *items, *words.rows(resource), *own]

    # ── the two sides ────────────────────────────────────────────────────────────────────────────────────────────

    def naive(self, type_: str, asked: Pairs) -> list[str]:
        """The same by looking at every record."""
        query = parse(type_, asked, bases=[f"{BASE}/fhir"])
        found = [(id_, rows) for id_, rows in reversed(self._rows[type_]) if _holds(query, rows)]
        for sort in reversed(query.sort):
            if (sort.parameter, sort.descending) == ("_lastUpdated", True) and len(query.sort) == 1:
                continue  # the order of writing
            known = parameters(type_)[sort.parameter]
            found.sort(key=lambda pair: sort_key(known, pair[1], descending=sort.descending), reverse=sort.descending)
        return [id_ for id_, _ in found]

    # ── questions ────────────────────────────────────────────────────────────────────────────────────────────────

    def question(self, random: Random, type_: str) -> Pairs:
        """One to three clauses, a page size, sometimes an order; always understood."""
        while True:
            asked = self._question(random, type_)
            try:
                parse(type_, asked, bases=[f"{BASE}/fhir"])
            except Problem:
                continue
            return asked

    def _question(self, random: Random, type_: str) -> Pairs:
        known = [p for p in parameters(type_).values() if not p.unsupported]
        kinds = sorted({p.kind for p in known})  # so that the many tokens do not crowd out the others
        chosen = [random.choice(kinds) for _ in range(random.choice((1, 1, 1, 2, 2, 3)))]
        asked = [self._clause(random, type_, random.choice([p for p in known if p.kind == kind])) for kind in chosen]
        if random.random() < 0.4:
            keys = random.sample(
                [p.code for p in known if p.kind in _ORDERED and p.code not in _UNORDERED], random.choice((1, 1, 2))
            )
            asked.append(("_sort", ",".join(random.choice(("", "-")) + key for key in keys)))
        asked.append(("_count", str(random.choice((1, 3, 7, 20, 100)))))
        return asked

    def _clause(self, random: Random, type_: str, known: Parameter) -> tuple[str, str]:
        if known.code not in {"_id", "_lastUpdated"} and random.random() < 0.08:
            return f"{known.code}:missing", random.choice(("true", "false"))
        rows = [row for _, rows in self._rows[type_] for row in rows if row[0] in known.families]
        modifier = modifier_of(random, known)
        if modifier in {"identifier", "of-type"} or (modifier == "text" and known.kind != "string"):
            rows = [row for row in rows if row[1] == modifier]
        else:
            rows = [row for row in rows if row[1] in {known.kind, "words"}]
        values = [
            value_of(random, known, modifier, random.choice(rows) if rows and random.random() < 0.95 else None)
            for _ in range(random.choice((1, 1, 1, 2, 3)))
        ]
        return (f"{known.code}:{modifier}" if modifier else known.code), ",".join(values)


def _holds(query: Query, rows: list[tuple[Any, ...]]) -> bool:
    clauses = all(matches(clause, rows) for clause in query.clauses)
    return clauses and all(filter_matcher(each)(rows) for _, each in query.filters)


def _ms(instant: str) -> int:
    moment = datetime.fromisoformat(instant)
    return int((moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1000 + 0.5)
