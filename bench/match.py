# SPDX-License-Identifier: Apache-2.0
"""How well `Patient/$match` finds people: invented patients are described again with mistakes, and looked for.

    .venv/bin/python -m bench.match --patients 2000 --asked 500

Prints for each kind of mistake how many were found (recall), and how many of those given were right (precision). It
compares everybody with everybody, so it measures the judgement and not the index; `tests/records/operations` tries the
way through the index.
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from random import Random
from typing import Any

from salus.fhir.matching.judge import judge
from salus.synthetic.people import invent, patient_resource

Json = dict[str, Any]
TODAY = date(2026, 1, 1)
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def population(seed: int, number: int) -> list[Json]:
    """Invented patients."""
    made = []
    for each in range(number):
        random = Random(f"{seed}/{each}")
        made.append(patient_resource(invent(random, seed, each, TODAY), random, TODAY))
    return made


# ── mistakes ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def typed_wrong(text: str, random: Random) -> str:
    """One letter left out, doubled, swapped or replaced; never the only one."""
    at = random.randrange(1, max(2, len(text)))
    match random.randrange(4):
        case 0:
            return text[:at] + text[at + 1 :]
        case 1:
            return text[:at] + text[at - 1] + text[at:]
        case 2 if at + 1 < len(text):
            return text[:at] + text[at + 1] + text[at] + text[at + 2 :]
        case _:
            return text[:at] + random.choice(_LETTERS) + text[at + 1 :]


def _family(patient: Json, random: Random) -> None:
    patient["name"][0]["family"] = typed_wrong(patient["name"][0]["family"], random)


def _given(patient: Json, random: Random) -> None:
    patient["name"][0]["given"][0] = typed_wrong(patient["name"][0]["given"][0], random)


def _married(patient: Json, random: Random) -> None:
    patient["name"][0]["family"] = random.choice(("Newname", "Winterbottom", "Oyelaran", "Castellanos"))


def _digit(patient: Json, random: Random) -> None:
    born = list(patient["birthDate"])
    born[9] = random.choice([each for each in "123456789" if each != born[9]])
    patient["birthDate"] = "".join(born)


def _year_only(patient: Json, random: Random) -> None:
    patient["birthDate"] = patient["birthDate"][:4]


def _moved(patient: Json, random: Random) -> None:
    patient["address"] = [{"line": ["1 Elsewhere Way"], "city": "Faraway", "postalCode": "90210"}]
    patient["telecom"] = [{"system": "phone", "value": f"(415) 555-{random.randrange(10_000):04d}"}]


def _only_name(patient: Json, random: Random) -> None:
    del patient["address"], patient["telecom"]


def _all(patient: Json, random: Random) -> None:
    _family(patient, random)
    _given(patient, random)
    _moved(patient, random)


MISTAKES: dict[str, Callable[[Json, Random], None]] = {
    "none": lambda patient, random: None,
    "typing error in the family name": _family,
    "typing error in the given name": _given,
    "another family name": _married,
    "a digit of the birth date": _digit,
    "only the year of birth": _year_only,
    "moved, with another phone": _moved,
    "name and birth date only": _only_name,
    "typing errors in both names, moved": _all,
}


def described(patient: Json, mistake: str, random: Random) -> Json:
    """The same person as somebody at the desk might describe them: without id and record number."""
    said = {name: copy.deepcopy(patient[name]) for name in ("name", "birthDate", "gender", "address", "telecom")}
    MISTAKES[mistake](said, random)
    return {"resourceType": "Patient", **said}


# ── the measure ──────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(slots=True)
class Tally:
    """Counts for one grade: right and wrong among those given, and how many were looked for."""

    right: int = 0
    wrong: int = 0
    asked: int = 0

    @property
    def recall(self) -> float:
        return self.right / self.asked if self.asked else 0.0

    @property
    def precision(self) -> float:
        given = self.right + self.wrong
        return self.right / given if given else 1.0


def measure(people: list[Json], asked: int, seed: int, mistake: str) -> dict[str, Tally]:
    """Look for `asked` of the people; by grade and better, and for the best of each answer."""
    random = Random(f"{seed}/{mistake}")
    tallies = {"certain": Tally(), "probable": Tally(), "best": Tally()}
    for patient in random.sample(people, asked):
        query = described(patient, mistake, random)
        verdicts = sorted(((judge(query, each), each["id"]) for each in people), key=lambda pair: -pair[0].score)
        given = {"certain": {"certain"}, "probable": {"certain", "probable"}}
        for name, grades in given.items():
            for verdict, id_ in verdicts:
                if verdict.grade in grades:
                    _count(tallies[name], id_ == patient["id"])
            tallies[name].asked += 1
        _count(tallies["best"], verdicts[0][1] == patient["id"])
        tallies["best"].asked += 1
    return tallies


def _count(tally: Tally, right: bool) -> None:
    tally.right += right
    tally.wrong += not right


def lines(patients: int, asked: int, seed: int) -> Iterator[str]:
    """The table, as the documentation shows it."""
    people = population(seed, patients)
    yield "| mistake | certain: recall | precision | probable or better: recall | precision | best is right |"
    yield "|---|---|---|---|---|---|"
    for mistake in MISTAKES:
        found = measure(people, asked, seed, mistake)
        certain, probable, best = found["certain"], found["probable"], found["best"]
        cells = (certain.recall, certain.precision, probable.recall, probable.precision, best.recall)
        yield f"| {mistake} | {' | '.join(f'{cell:.3f}' for cell in cells)} |"


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patients", type=int, default=2000)
    parser.add_argument("--asked", type=int, default=200)
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    for line in lines(options.patients, options.asked, options.seed):
        print(line)


if __name__ == "__main__":
    main()
