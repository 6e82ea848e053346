# SPDX-License-Identifier: Apache-2.0
"""What a thief learns from the search index: `python -m bench.leakage`.

A store of invented patients is made with the real server's parts. The thief has the database file with its page key:
tokens, types, lengths and facts, but no key of the tenant. He also has another population, differently seeded, and the
program. The same is tried on an index that Salus does not keep: one that holds the families of few values and the words
of their displays as well ("before").
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import date
from itertools import accumulate
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from bench import thief
from salus.app.found import found
from salus.app.house import House
from salus.audit.event import EventType
from salus.crypto.blind_index import BlindIndex
from salus.fhir.search import words
from salus.fhir.search.extract import Extractor
from salus.kernel.db import open_database
from salus.records.context import Context
from salus.records.draft import unit_of
from salus.records.interactions import update
from salus.records.terms import terms_of
from salus.synthetic.clinic import clinic as clinic_of
from salus.synthetic.generate import population
from salus.synthetic.people import invent

Json = dict[str, Any]
Indexing = Callable[[BlindIndex, Extractor, Json], set[str]]
TODAY = date(2026, 1, 1)
_MOST_ROWS = 3_000
"""Of a type: more rows make the thief slower and hardly wiser."""


class Stolen(NamedTuple):
    """A row as the thief sees it."""

    tokens: thief.Row
    length: int
    labels: bytes


class Attribute(NamedTuple):
    """Something that the thief wants to know of each record of a type."""

    type: str
    name: str
    of: Callable[[Json], str]
    few: bool = False
    """The values are few: the index must hold nothing of it."""


def _code(element: str) -> Callable[[Json], str]:
    def read(resource: Json) -> str:
        value = resource.get(element) or {}
        first = value[0] if isinstance(value, list) else value
        return str(first["coding"][0]["code"]) if "coding" in first else str(first.get("code", ""))

    return read


def _plain(element: str) -> Callable[[Json], str]:
    return lambda resource: str(resource.get(element, ""))


ATTRIBUTES = (
    Attribute("Patient", "gender", _plain("gender"), few=True),
    Attribute("Condition", "clinical status", _code("clinicalStatus"), few=True),
    Attribute("MedicationRequest", "status", _plain("status"), few=True),
    Attribute("Observation", "category", _code("category"), few=True),
    Attribute("Condition", "code", _code("code")),
    Attribute("Observation", "code", _code("code")),
    Attribute("Patient", "family name", lambda resource: str(resource["name"][0]["family"])),
    Attribute("Patient", "given name", lambda resource: str(resource["name"][0]["given"][0])),
    Attribute("Patient", "year of birth", lambda resource: str(resource["birthDate"][:4])),
    Attribute("Patient", "date of birth", _plain("birthDate")),
)


# ── two ways to index ────────────────────────────────────────────────────────────────────────────────────────────────


def as_kept(index: BlindIndex, extractor: Extractor, resource: Json) -> set[str]:
    """The tokens that Salus keeps."""
    return set(terms_of([index], extractor, resource).split())


def with_words(index: BlindIndex, extractor: Extractor, resource: Json) -> set[str]:
    """The tokens of an index that leaves out the families of few values, but not the words of their displays."""
    return as_kept(index, extractor, resource) | index.words(
        resource["resourceType"], "_content", *words.content(resource), words.split
    )


def with_everything(index: BlindIndex, extractor: Extractor, resource: Json) -> set[str]:
    """The tokens of an index that leaves nothing out."""
    type_ = resource["resourceType"]
    found = index.tokens(type_, (row for row in extractor.rows(resource) if row[1] != "position"), ())
    return found | index.words(type_, "_content", *words.content(resource), words.split)


# ── the theft ────────────────────────────────────────────────────────────────────────────────────────────────────────


def steal(file: Path, page_key: bytes | bytearray) -> dict[bytes, Stolen]:
    """What stands in the database beside the sealed bodies, by surrogate of the record."""
    db = open_database(file, page_key)
    db.execute("create virtual table temp.posting using fts5vocab('main', 'blind_token', 'instance')")
    tokens: dict[int, set[str]] = {}
    for token, seq in db.execute("select term, doc from temp.posting"):
        tokens.setdefault(seq, set()).add(token)
    rows = db.execute("select seq, rid, length(body), labels from record where current=1 and deleted=0")
    seen = {rid: Stolen(frozenset(tokens.get(seq, ())), length, labels) for seq, rid, length, labels in rows}
    db.close()
    return seen


class Tried:
    """What the thief makes of rows of one type.

    Args:
        stolen: their tokens.
        truth: what they are, to see afterwards what was right.
        known: tokens of his own rows.
        own: what those are.
    """

    def __init__(self, stolen: list[thief.Row], truth: list[Json], known: list[thief.Row], own: list[Json]) -> None:
        groups = thief.groups(stolen), thief.groups(known)
        self.by_frequency = thief.by_frequency(*groups)
        self.by_company = thief.by_company(*groups)
        self._truth = truth
        self._own = own

    def right(self, attribute: Attribute, matching: thief.Matching) -> float:
        """Share of rows whose attribute he guesses."""
        own, truth = ([attribute.of(each) for each in some] for some in (self._own, self._truth))
        guessed = thief.guesses(matching, len(truth), own)
        return thief.told_apart(guessed, truth) if attribute.few else thief.right(guessed, truth)

    def floor(self, attribute: Attribute) -> float:
        """Share of rows that he guesses without the index: always the commonest."""
        usual = Counter(attribute.of(each) for each in self._own).most_common(1)[0][0]
        return thief.told_apart([usual] * len(self._truth), [attribute.of(each) for each in self._truth])


def indexed(resources: list[Json], indexing: Indexing, whose: str) -> list[thief.Row]:
    """Tokens of some records under somebody's key."""
    index = BlindIndex(bytearray(hashlib.sha256(whose.encode()).digest()))
    extractor = Extractor()
    return [frozenset(indexing(index, extractor, each)) for each in resources]


class Result(NamedTuple):
    """Shares of rows whose attribute is guessed right."""

    attribute: Attribute
    floor: float
    frequency: tuple[float, float]
    """Before, after."""
    company: tuple[float, float]


class Clinic:
    """A store of invented patients, stolen; and the people that the thief knows."""

    def __init__(self, patients: int, seed: int) -> None:
        with tempfile.TemporaryDirectory(prefix="salus-leakage-") as temporary:
            self._rob(Path(temporary) / "data", patients, seed)
        self.own = [resource for chart in population(seed + 1, patients, TODAY) for resource in chart]

    def _rob(self, folder: Path, patients: int, seed: int) -> None:
        charts = [clinic_of(seed, TODAY), *population(seed, patients, TODAY)]
        house = House(found(folder))
        try:
            asyncio.run(_keep(house, charts))
            loot = steal(folder / "records.db", house.keyring.page_key("records"))
            surrogate = house.keyring.tenant("default").surrogate  # only to know afterwards what was right
            self.truth = [
                (loot[surrogate("record", f"{each['resourceType']}/{each['id']}")], each)
                for chart in charts
                for each in chart
            ]
        finally:
            house.close()

    def tried(self, type_: str, indexing: Indexing | None) -> Tried:
        """The thief's work on the rows of a type under an index; None for the stolen one."""
        theirs = [(row, each) for row, each in self.truth if each["resourceType"] == type_][:_MOST_ROWS]
        own = [each for each in self.own if each["resourceType"] == type_][:_MOST_ROWS]
        truth = [each for _, each in theirs]
        stolen = indexed(truth, indexing, "clinic") if indexing else [row.tokens for row, _ in theirs]
        return Tried(stolen, truth, indexed(own, indexing or as_kept, "thief"), own)

    def beside(self, attribute: Attribute) -> tuple[float, float]:
        """What lengths and labels say: shares guessed right from the padded length, and from the labels by rank."""
        pairs = [(row, attribute.of(each)) for row, each in self.truth if each["resourceType"] == attribute.type]
        truth = [value for _, value in pairs]
        own = [attribute.of(each) for each in self.own if each["resourceType"] == attribute.type]
        of_length: dict[int, Counter[str]] = {}
        half = len(pairs) // 2  # one half of the clinic's own rows stands for lengths that the thief knows
        for row, value in pairs[:half]:
            of_length.setdefault(row.length, Counter())[value] += 1
        usual = Counter(own).most_common(1)[0][0]
        by_length = [
            of_length[row.length].most_common(1)[0][0] if row.length in of_length else usual for row, _ in pairs[half:]
        ]
        labels = [row.labels.hex() for row, _ in pairs]
        ranks = thief.by_rank(labels, own)
        score = thief.told_apart if attribute.few else thief.right
        return score(by_length, truth[half:]), score([ranks.get(each, usual) for each in labels], truth)


async def _keep(house: House, charts: Iterable[Iterable[Json]]) -> None:
    """Write records as the server would."""
    context = Context(house.services, house.operator(roles=("service",)), "bench")
    for chart in charts:
        prepared = [update.stage(context, each["resourceType"], each["id"], dict(each))[0] for each in chart]
        touched = tuple(entity for one in prepared for entity in one.entities)
        await context.commit(
            unit_of(prepared), context.event(EventType.RECORD_IMPORT, reason="bench", entities=touched)
        )


def _compared(attribute: Attribute, before: Tried, after: Tried) -> Result:
    return Result(
        attribute,
        after.floor(attribute),
        (before.right(attribute, before.by_frequency), after.right(attribute, after.by_frequency)),
        (before.right(attribute, before.by_company), after.right(attribute, after.by_company)),
    )


def attack(clinic: Clinic) -> list[Result]:
    """Try every attribute of the stolen records."""
    types = dict.fromkeys(each.type for each in ATTRIBUTES)
    tries = {each: (clinic.tried(each, with_everything), clinic.tried(each, None)) for each in types}
    return [_compared(each, *tries[each.type]) for each in ATTRIBUTES]


# ── codes of few values, drawn by chance ─────────────────────────────────────────────────────────────────────────────

_DRAWN = {
    "clinicalStatus": (("active", "Active", 64), ("resolved", "Resolved", 26), ("remission", "Remission", 10)),
    "severity": (("255604002", "Mild", 46), ("6736007", "Moderate", 34), ("24484000", "Severe", 20)),
    "verificationStatus": (
        ("confirmed", "Confirmed", 80),
        ("provisional", "Provisional", 15),
        ("refuted", "Refuted", 5),
    ),
}
_SEXES = (("female", "A woman."), ("male", "A man."))


def by_chance(rows: int, seed: int, before: Indexing = with_everything) -> list[Result]:
    """Codes that nothing else in the record hints at, said in display and narrative too: only the index can tell."""
    their, own = ([_drawn(Random(f"drawn {one} {each}"), each) for each in range(rows)] for one in (seed, seed + 1))
    results = []
    for at, type_ in enumerate(("Condition", "Patient")):
        truth, known = [pair[at] for pair in their], [pair[at] for pair in own]
        tries = [
            Tried(indexed(truth, how, "clinic"), truth, indexed(known, how, "thief"), known)
            for how in (before, as_kept)
        ]
        few = [Attribute(type_, name, _code(name), few=True) for name in _DRAWN] if at == 0 else [ATTRIBUTES[0]]
        results += [_compared(each, *tries) for each in few]
    return results


def _drawn(random: Random, number: int) -> tuple[Json, Json]:
    """A Condition and a Patient."""
    chosen = {name: random.choices(choices, [each[2] for each in choices])[0] for name, choices in _DRAWN.items()}
    codes = {
        name: {"coding": [{"system": f"urn:{name}", "code": code, "display": display}]}
        for name, (code, display, _) in chosen.items()
    }
    sex, said = random.choices(_SEXES, [55, 45])[0]
    patient = {"resourceType": "Patient", "id": f"p{number}", "gender": sex, "text": {"div": f"<div>{said}</div>"}}
    return {
        "resourceType": "Condition",
        "id": f"c{number}",
        "subject": {"reference": f"Patient/{number}"},
        **codes,
    }, patient


# ── one family by itself ─────────────────────────────────────────────────────────────────────────────────────────────


class Alone(NamedTuple):
    """Shares of rows that are guessed right when the thief even knows which tokens are of which family."""

    what: str
    floor: float
    rank: float
    nested: float | None
    """With the frequencies of nested tokens too; None where there are none."""


def alone(rows: int, seed: int) -> list[Alone]:
    """One family by itself, over many rows."""
    their, own = Random(f"leakage {seed}"), Random(f"leakage {seed + 1}")
    numbers = range(2_000)
    weights = list(accumulate(1 / (rank + 1) ** 1.05 for rank in numbers))
    codes = [[str(code) for code in random.choices(numbers, cum_weights=weights, k=rows)] for random in (their, own)]
    people = [[invent(random, 0, number, TODAY) for number in range(rows)] for random in (their, own)]
    names = [[each.family for each in crowd] for crowd in people]
    births = [[each.birth for each in crowd] for crowd in people]
    years = [[str(each.year) for each in crowd] for crowd in births]
    keys = [BlindIndex(bytearray(hashlib.sha256(whose.encode()).digest())) for whose in ("clinic", "thief")]

    def tokens(whose: int, row: tuple[Any, ...]) -> thief.Row:
        return frozenset(keys[whose].tokens("Patient", [row], ()))

    named, known = ([tokens(whose, ("name.family", "string", each)) for each in names[whose]] for whose in (0, 1))
    born, own_born = ([tokens(whose, ("birthDate", "date", *_day(each))) for each in births[whose]] for whose in (0, 1))
    nested = {
        "family name": thief.right(thief.by_chain(named, known, names[1], None), names[0]),
        _EVERY_PREFIX: thief.right(thief.by_chain(*(_prefixed(each) for each in names), names[1], None), names[0]),
        "year of birth": thief.right(thief.by_chain(born, own_born, years[1], _YEAR_DEPTH), years[0]),
    }
    cases = {
        "code (2,000 codes, Zipf 1.05)": codes,
        "family name": names,
        _EVERY_PREFIX: names,
        "year of birth": years,
        "date of birth": [[each.isoformat() for each in crowd] for crowd in births],
    }
    return [Alone(what, *_ranked(keys[0], *pair), nested.get(what)) for what, pair in cases.items()]


_EVERY_PREFIX = "family name, were all its prefixes indexed"
_YEAR_DEPTH = 5  # the token of the type, and the nodes of 64, 16, 4 years and 1


def _prefixed(names: list[str]) -> list[thief.Row]:
    """A token for every prefix; keys do not matter to who only counts."""
    return [frozenset(["", f"{name}.", *(name[:length] for length in range(2, 13))]) for name in names]


def _day(day: date) -> tuple[int, int]:
    start = (day - date(1970, 1, 1)).days * 86_400_000
    return start, start + 86_400_000


def _ranked(index: BlindIndex, truth: list[str], known: list[str]) -> tuple[float, float]:
    stolen = [index.token_terms("Condition", "code", None, value)[0] for value in truth]
    match = thief.by_rank(stolen, known)
    usual = Counter(known).most_common(1)[0][0]
    return (
        thief.right([usual] * len(truth), truth),
        thief.right([match.get(token, usual) for token in stolen], truth),
    )


# ── the report ───────────────────────────────────────────────────────────────────────────────────────────────────────


def lines(patients: int, rows: int, seed: int) -> Iterator[str]:
    """The tables, as the documentation shows them; percent of rows guessed right."""
    yield "| drawn by chance | without the index | frequency: before | after | company: before | after |"
    yield "|---|---|---|---|---|---|"
    yield from map(_line, by_chance(2_000, seed))
    yield ""
    clinic = Clinic(patients, seed)
    yield "| stolen store | without the index | frequency: before | after | company: before | after |"
    yield "|---|---|---|---|---|---|"
    results = attack(clinic)
    yield from map(_line, results)
    yield ""
    yield "| beside the index | without | from the padded length | from the labels, by rank |"
    yield "|---|---|---|---|"
    for each in results:
        yield _cells(each.attribute, each.floor, *clinic.beside(each.attribute))
    yield ""
    yield "| one family alone | without | by rank | by rank of nested tokens |"
    yield "|---|---|---|---|"
    for one in alone(rows, seed):
        nested = "" if one.nested is None else f"{100 * one.nested:.1f}"
        yield f"| {one.what} | {100 * one.floor:.1f} | {100 * one.rank:.1f} | {nested} |"


def _line(each: Result) -> str:
    return _cells(each.attribute, each.floor, *each.frequency, *each.company)


def _cells(attribute: Attribute, *shares: float) -> str:
    return f"| {attribute.type}: {attribute.name} | {' | '.join(f'{100 * share:.0f}' for share in shares)} |"


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patients", type=int, default=200)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    for line in lines(options.patients, options.rows, options.seed):
        print(line)


if __name__ == "__main__":
    main()
