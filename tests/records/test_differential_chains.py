# SPDX-License-Identifier: Apache-2.0
"""Random chains and `_has` over random records: the encrypted index against a walk over plain values.

The walk knows nothing of the grammar, keys, index or permits of the program: it follows references from record to
record among those that the person may read, and asks `match` at the end of the way.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

import pytest

from salus.fhir import json
from salus.fhir.search.match import matches
from salus.fhir.search.parameters import Parameter, parameters
from salus.fhir.search.query import parse
from salus.kernel.errors import Problem
from salus.records.interactions import search
from tests.support.clinic import BASE, Clinic
from tests.support.differential import Oracle

# Ways between the types that the records refer by: (from, parameter, to).
WAYS = (
    *(("Observation", "subject", "Patient"), ("Observation", "patient", "Patient")),
    *(("Observation", "encounter", "Encounter"), ("Condition", "subject", "Patient")),
    *(("Condition", "encounter", "Encounter"), ("Encounter", "subject", "Patient")),
    *(("MedicationRequest", "subject", "Patient"), ("MedicationRequest", "encounter", "Encounter")),
    *(("Claim", "patient", "Patient"), ("Claim", "encounter", "Encounter")),
)
PEOPLE = ("service", "nurse", "anna")


class Walk:
    """Follows references among the records that one person may read."""

    def __init__(self, oracle: Oracle, name: str) -> None:
        self._rows: dict[str, dict[str, list[tuple[Any, ...]]]] = {}
        self.ctx = oracle.clinic.context(name)
        for type_, records in oracle._rows.items():
            answer = oracle.clinic.as_(name).get(f"/fhir/{type_}?_count=1")
            seen = (
                {r["id"] for r in oracle.clinic.as_(name).find(f"{type_}?_count=1000")} if answer.is_success else set()
            )
            self._rows[type_] = {id_: rows for id_, rows in records if id_ in seen}

    def ids(self, type_: str, name: str, text: str) -> set[str]:
        """Records of a type that fulfil a search."""
        if name.startswith("_has:"):
            _, source, code, rest = name.split(":", 3)
            found = self.ids(source, rest, text)
            return {
                target.partition("/")[2]
                for id_ in found
                for target in self._targets(source, code, id_)
                if target.startswith(f"{type_}/") and target.partition("/")[2] in self._rows[type_]
            }
        if "." in name:
            first, _, rest = name.partition(".")
            code, _, named = first.partition(":")
            asked = [named] if named else [to for source, way, to in WAYS if (source, way) == (type_, code)]
            ends = {f"{to}/{id_}" for to in asked for id_ in self.ids(to, rest, text)}
            return {id_ for id_ in self._rows[type_] if ends & self._targets(type_, code, id_)}
        (clause,) = parse(type_, [(name, text)], bases=[f"{BASE}/fhir"]).clauses
        return {id_ for id_, rows in self._rows[type_].items() if matches(clause, rows)}

    def _targets(self, type_: str, code: str, id_: str) -> set[str]:
        families = parameters(type_)[code].families
        return {row[2] for row in self._rows[type_][id_] if row[1] == "reference" and row[0] in families}


@pytest.fixture(scope="module")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Oracle]:
    clinic = Clinic(tmp_path_factory.mktemp("chains") / "data")
    yield Oracle(clinic, seed=5)
    clinic.close()
    clinic.loop.close()


def way(random: Random, type_: str, depth: int) -> tuple[str, str]:
    """A random way from a type: the name so far, and the type at its end."""
    ahead = [(code, to) for source, code, to in WAYS if source == type_]
    back = [(source, code) for source, code, to in WAYS if to == type_]
    if ahead and (not back or random.random() < 0.6):
        code, to = random.choice(ahead)
        name, end = f"{code}{random.choice((':' + to, ':' + to, ''))}.", to
    else:
        source, code = random.choice(back)
        name, end = f"_has:{source}:{code}:", source
    if depth > 1:
        rest, end = way(random, end, depth - 1)
        name += rest
    return name, end


def question(oracle: Oracle, random: Random, type_: str) -> list[tuple[str, str]]:
    """One way, or two, or a way and a plain clause; always understood."""
    while True:
        asked = []
        for _ in range(random.choice((1, 1, 2))):
            if asked and random.random() < 0.5:
                asked.append(_clause(oracle, random, type_))
                continue
            name, end = way(random, type_, random.choice((1, 1, 2, 3)))
            last, text = _clause(oracle, random, end)
            asked.append((name + last, text))
        try:
            parse(type_, asked, bases=[f"{BASE}/fhir"])
        except Problem:
            continue
        return asked


def _clause(oracle: Oracle, random: Random, type_: str) -> tuple[str, str]:
    known: list[Parameter] = [p for p in parameters(type_).values() if not p.unsupported]
    kinds = sorted({p.kind for p in known})
    kind = random.choice(kinds)
    return oracle._clause(random, type_, random.choice([p for p in known if p.kind == kind]))


@pytest.mark.parametrize("type_", ["Patient", "Observation", "Condition", "Encounter", "Claim"])
def test_random_chains_agree_with_a_walk_over_plain_values(oracle: Oracle, type_: str) -> None:
    walks = {name: Walk(oracle, name) for name in PEOPLE}
    random = Random(f"chains {type_}")
    answered = 0
    for _ in range(60):
        asked = question(oracle, random, type_)
        for name, walk in walks.items():
            expected = set.intersection(*(walk.ids(type_, *pair) for pair in asked))
            answer = _answer(oracle, walk, type_, [*asked, ("_count", "1000"), ("_total", "accurate")])
            if answer is None:  # the way leads through a type that this person may not search
                assert name != "service"
                assert expected == set()
                continue
            found = [entry["resource"]["id"] for entry in answer.get("entry", ())]
            assert set(found) == expected, (name, asked)
            assert answer["total"] == len(found) == len(expected)
            answered += bool(expected)
    assert answered > 5


def _answer(oracle: Oracle, walk: Walk, type_: str, asked: list[tuple[str, str]]) -> dict[str, Any] | None:
    try:
        return dict(json.decode(oracle.clinic.run(search.search(walk.ctx, type_, asked))))
    except Problem as problem:
        if problem.kind.value != "forbidden":
            raise
        return None
