# SPDX-License-Identifier: Apache-2.0
"""A second, independent opinion on tokens, dates and references: written from the specification with the standard
library only, over the plain JSON, sharing no code with Salus (https://hl7.org/fhir/R4/search.html).
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.support.clinic import BASE, Clinic
from tests.support.differential import Oracle

JSON = dict[str, Any]
_PATIENT = f"{BASE}/fhir/"


@pytest.fixture(scope="module", params=["bent", "plain"])
def oracle(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Oracle]:
    folder: Path = tmp_path_factory.mktemp("oracles")
    clinic = Clinic(folder / "data")
    try:
        yield Oracle(clinic, seed=77, bent=request.param == "bent")
    finally:
        clinic.close()
        clinic.loop.close()


# ── the second opinion ───────────────────────────────────────────────────────────────────────────────────────────────


def _codings(resource: JSON, element: str) -> list[tuple[str, str]]:
    found = resource.get(element, {})
    concepts = found if isinstance(found, list) else [found]
    return [(c.get("system", ""), c["code"]) for concept in concepts for c in concept.get("coding", ()) if "code" in c]


def _has_token(tokens: list[tuple[str, str]], asked: str) -> bool:
    if "|" not in asked:
        return any(code == asked for _, code in tokens)
    system, _, code = asked.partition("|")
    return any(s == system and (not code or c == code) for s, c in tokens)


def _span(text: str) -> tuple[datetime, datetime]:
    """First moment and the moment after the last of a partial date."""
    if len(text) == 4:
        return datetime.fromisoformat(f"{text}-01-01T00:00:00+00:00"), datetime.fromisoformat(
            f"{int(text) + 1}-01-01T00:00:00+00:00"
        )
    if len(text) == 7:
        first = datetime.fromisoformat(f"{text}-01T00:00:00+00:00")
        return first, first + timedelta(days=monthrange(first.year, first.month)[1])
    if len(text) == 10:
        first = datetime.fromisoformat(f"{text}T00:00:00+00:00")
        return first, first + timedelta(days=1)
    leap = text[16:19] == ":60"
    first = datetime.fromisoformat(text.replace(":60", ":59", 1) if leap else text) + timedelta(seconds=int(leap))
    if text[16] != ":":
        return first, first + timedelta(minutes=1)
    return first, first + (timedelta(milliseconds=1) if "." in text else timedelta(seconds=1))


_PREFIXES: dict[str, Callable[[datetime, datetime, datetime, datetime], bool]] = {
    "eq": lambda low, high, a, b: a <= low and high <= b,
    "ne": lambda low, high, a, b: not (a <= low and high <= b),
    "gt": lambda _low, high, _a, b: high > b,
    "lt": lambda low, _high, a, _b: low < a,
    "ge": lambda low, high, a, b: high > b or (a <= low and high <= b),
    "le": lambda low, high, a, b: low < a or (a <= low and high <= b),
    "sa": lambda low, _high, _a, b: low >= b,
    "eb": lambda _low, high, a, _b: high <= a,
}


def _names_patient(resource: JSON, element: str, asked: str) -> bool:
    reference = resource.get(element, {}).get("reference", "").removeprefix(_PATIENT).partition("/_history/")[0]
    return reference == (asked if "/" in asked else f"Patient/{asked}")


def _fine(random: Random, value: str) -> list[str]:
    """The minute and some second of it, for values that have a time."""
    if len(value) <= 10:
        return []
    return [f"{value[:16]}Z", f"{value[:16]}:{random.randint(0, 59):02}Z", f"{value[:19]}Z"]


# ── questions ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _compare(oracle: Oracle, type_: str, name: str, asked: str, holds: Callable[[JSON], bool]) -> bool:
    expected = {resource["id"] for resource, _ in oracle.plain[type_] if holds(resource)}
    found = oracle.stored(type_, [(name, asked), ("_count", "50")])
    assert len(found) == len(set(found))
    assert set(found) == expected, (type_, name, asked)
    return bool(expected)


@pytest.mark.parametrize("type_", ["Observation", "Condition"])
def test_codes_agree_with_a_second_opinion(oracle: Oracle, type_: str) -> None:
    random = Random(f"token {type_}")
    every = [pair for resource, _ in oracle.plain[type_] for pair in _codings(resource, "code")]
    answered = 0
    for _ in range(60):
        system, code = random.choice(every)
        asked = random.choice(
            (code, f"{system}|{code}", f"|{code}", f"{system}|" if system else code, code.upper() + "x")
        )
        answered += _compare(oracle, type_, "code", asked, lambda r, a=asked: _has_token(_codings(r, "code"), a))
    assert answered > 30


@pytest.mark.parametrize(
    ("type_", "name", "element"),
    [("Patient", "birthdate", "birthDate"), ("Observation", "date", "effectiveDateTime"),
     ("Condition", "onset-date", "onsetDateTime"), ("MedicationRequest", "authoredon", "authoredOn")],
)  # fmt: skip
def test_dates_agree_with_a_second_opinion(oracle: Oracle, type_: str, name: str, element: str) -> None:
    random = Random(f"date {type_}")
    values = [resource[element] for resource, _ in oracle.plain[type_] if element in resource]
    answered = 0
    for _ in range(60):
        value = random.choice(values).replace(":60Z", ":59Z")
        moment = random.choice((value[:4], value[:7], value[:10], *_fine(random, value)))
        prefix = random.choice(list(_PREFIXES))
        a, b = _span(moment)

        def holds(resource: JSON, p: str = prefix, a: datetime = a, b: datetime = b) -> bool:
            return element in resource and _PREFIXES[p](*_span(resource[element]), a, b)

        answered += _compare(oracle, type_, name, f"{prefix}{moment}", holds)
    assert answered > 30


@pytest.mark.parametrize("type_", ["Observation", "Condition", "Encounter", "MedicationRequest"])
def test_references_agree_with_a_second_opinion(oracle: Oracle, type_: str) -> None:
    ids = {"anna", "bert", *(resource["id"] for resource, _ in oracle.plain["Patient"])}
    answered = 0
    for id_ in sorted(ids)[:20]:
        for asked in (f"Patient/{id_}", id_, f"{BASE}/fhir/Patient/{id_}"):
            plain = asked.removeprefix(_PATIENT)
            answered += _compare(oracle, type_, "patient", asked, lambda r, p=plain: _names_patient(r, "subject", p))
    assert answered > 0


def test_open_periods_of_encounters_agree_with_a_second_opinion(oracle: Oracle) -> None:
    first, last = (
        datetime.fromisoformat("0001-01-01T00:00:00+00:00"),
        datetime.fromisoformat("9999-12-31T00:00:00+00:00"),
    )

    def ends(resource: JSON) -> tuple[datetime, datetime] | None:
        period = resource.get("period", {})
        if not period:
            return None
        low = _span(period["start"])[0] if "start" in period else first
        return low, (_span(period["end"])[1] if "end" in period else last)

    random = Random("period")
    moments = [value for r, _ in oracle.plain["Encounter"] for value in r.get("period", {}).values()]
    answered = 0
    for _ in range(60):
        prefix, moment = random.choice(list(_PREFIXES)), random.choice(moments)[:10]
        a, b = _span(moment)

        def holds(resource: JSON, p: str = prefix, a: datetime = a, b: datetime = b) -> bool:
            found = ends(resource)
            return found is not None and _PREFIXES[p](*found, a, b)

        answered += _compare(oracle, "Encounter", "date", f"{prefix}{moment}", holds)
    assert answered > 30
