# SPDX-License-Identifier: Apache-2.0
"""Random records, random questions and what they find, worked out from the specification over plain JSON.

Shares no code with `salus.fhir.search`: every question carries its own predicate, written here with the standard
library (https://hl7.org/fhir/R4/search.html). Each kind of parameter, modifier and prefix has its questions.
"""

from __future__ import annotations

import unicodedata
from calendar import monthrange
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

from tests.support.second_records import (
    CODES,
    DATES,
    IN_SET,
    JSON,
    NAMES,
    NUMBERS,
    PARTS,
    UCUM,
    UNITS,
    URLS,
    VALUE_SET,
    WORDS,
)

Holds = Callable[[JSON], bool]
Question = tuple[str, str, Holds]

TYPES = ("Patient", "Observation", "Encounter", "RiskAssessment", "ValueSet")
_PREFIXES = ("", "eq", "ne", "gt", "lt", "ge", "le", "sa", "eb")


# ── what the standard says ───────────────────────────────────────────────────────────────────────────────────────────


def _fold(text: str) -> str:
    plain = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return " ".join(plain.casefold().split())


def _begins(text: str, asked: str) -> bool:
    return _fold(text).startswith(_fold(asked)) or f" {_fold(asked)}" in _fold(text)


def _span(text: str) -> tuple[datetime, datetime]:
    if len(text) == 4:
        return datetime(int(text), 1, 1, tzinfo=UTC), datetime(int(text) + 1, 1, 1, tzinfo=UTC)
    if len(text) == 7:
        first = datetime(int(text[:4]), int(text[5:7]), 1, tzinfo=UTC)
        return first, first + timedelta(days=monthrange(first.year, first.month)[1])
    if len(text) == 10:
        first = datetime.fromisoformat(text).replace(tzinfo=UTC)
        return first, first + timedelta(days=1)
    first = datetime.fromisoformat(text)
    if text[16] != ":":
        return first, first + timedelta(minutes=1)
    return first, first + (timedelta(milliseconds=1) if "." in text else timedelta(seconds=1))


_FIRST, _LAST = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)


def _compare_ranges(prefix: str, low: Any, high: Any, a: Any, b: Any) -> bool:
    """R4's prefixes: [low, high) of the record against [a, b) of the search."""
    within = a <= low and high <= b
    return {
        "": within, "eq": within, "ne": not within, "gt": high > b, "lt": low < a, "ge": high > b or within,
        "le": low < a or within, "sa": low >= b, "eb": high <= a,
    }[prefix]  # fmt: skip


def _compare_numbers(prefix: str, found: Decimal, asked: Decimal, low: Decimal, high: Decimal) -> bool:
    within = low <= found < high
    return {
        "": within, "eq": within, "ne": not within, "gt": found > asked, "sa": found > asked, "lt": found < asked,
        "eb": found < asked, "ge": found >= asked, "le": found <= asked,
    }[prefix]  # fmt: skip


def _implied(text: str) -> tuple[Decimal, Decimal, Decimal]:
    value = Decimal(text)
    places = len(text.partition(".")[2])
    half = Decimal(5) / 10 ** (places + 1)
    return value, value - half, value + half


def _words(text: str) -> list[str]:
    return "".join(c if c.isalnum() else " " for c in _fold(text)).split()


# ── questions ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _codings(concept: JSON) -> list[tuple[str, str]]:
    return [(each.get("system", ""), each["code"]) for each in concept.get("coding", ())]


def _token(random: Random, name: str, read: Callable[[JSON], list[tuple[str, str]]], codes: Any) -> Question:
    system, code = random.choice(codes)
    asked = random.choice((code, f"{system}|{code}", f"{system}|" if system else code, f"|{code}", code.upper()))

    def has(record: JSON) -> bool:
        found = read(record)
        if "|" not in asked:
            return any(each[1] == asked for each in found)
        of, _, one = asked.partition("|")
        return any(each[0] == of and (not one or each[1] == one) for each in found)

    if random.random() < 0.25:
        return f"{name}:not", asked, lambda record: not has(record)
    return name, asked, has


def _set(random: Random, name: str, read: Callable[[JSON], list[tuple[str, str]]]) -> Question:
    if random.random() < 0.5:
        return f"{name}:in", VALUE_SET, lambda record: bool(IN_SET & set(read(record)))
    return f"{name}:not-in", VALUE_SET, lambda record: not IN_SET & set(read(record))


def _text(random: Random, name: str, read: Callable[[JSON], list[str]]) -> Question:
    asked = random.choice(WORDS)[: random.randint(1, 5)].strip()
    return f"{name}:text", asked, lambda record: any(_begins(text, asked) for text in read(record))


def _string(random: Random, name: str, read: Callable[[JSON], list[str]], values: tuple[str, ...]) -> Question:
    value = random.choice(values)
    word = random.choice(value.split())
    forms = (value, value.upper(), value[: random.randint(1, len(value))], word, word[1:] or word, "zz")
    asked = random.choice(forms).strip() or "x"
    kind = random.choice(("", "", "exact", "contains", "text"))
    tests: dict[str, Callable[[str], bool]] = {
        "": lambda text: _begins(text, asked),
        "exact": lambda text: text == asked,
        "contains": lambda text: _fold(asked) in _fold(text),
        "text": lambda text: all(_begins(text, each) for each in asked.split()),
    }
    return f"{name}:{kind}" if kind else name, asked, lambda record: any(map(tests[kind], read(record)))


def _date(random: Random, name: str, read: Callable[[JSON], list[tuple[datetime, datetime]]]) -> Question:
    prefix, moment = random.choice(_PREFIXES), random.choice((*DATES, "2024", "2023-05", "2024-02-29T23:59Z"))
    a, b = _span(moment)
    return name, f"{prefix}{moment}", lambda r: any(_compare_ranges(prefix, *found, a, b) for found in read(r))


def _number(random: Random, name: str, read: Callable[[JSON], list[Decimal]]) -> Question:
    prefix, text = random.choice(_PREFIXES), random.choice(NUMBERS)
    limits = _implied(text)
    return (
        name,
        f"{prefix}{text}",
        lambda record: any(_compare_numbers(prefix, found, *limits) for found in read(record)),
    )


def _amount(random: Random) -> tuple[str, Callable[[JSON], bool]]:
    """A quantity as a search value, and whether a Quantity is it."""
    prefix, text = random.choice(_PREFIXES), random.choice(NUMBERS)
    limits = _implied(text)
    kind = random.random()
    if kind < 0.3:
        return f"{prefix}{text}", lambda found: _compare_numbers(prefix, found["value"], *limits)
    if kind < 0.45:
        code = random.choice(("TAB", "mg", "tablets"))
        return (
            f"{prefix}{text}||{code}",
            lambda found: (
                code in (found.get("code"), found.get("unit")) and _compare_numbers(prefix, found["value"], *limits)
            ),
        )
    if kind < 0.6:
        return (
            f"{prefix}{text}|urn:forms|TAB",
            lambda found: (
                (found.get("system"), found.get("code")) == ("urn:forms", "TAB")
                and _compare_numbers(prefix, found["value"], *limits)
            ),
        )
    unit = random.choice(list(UNITS))
    base, factor = UNITS[unit]
    scaled = [limit * Decimal(factor) for limit in limits]

    def same(found: JSON) -> bool:
        if found.get("system") != UCUM:
            return False
        of, times = UNITS.get(found["code"], (found["code"], "1"))
        return of == base and _compare_numbers(prefix, found["value"] * Decimal(times), *scaled)  # type: ignore[arg-type]

    return f"{prefix}{text}|{UCUM}|{unit}", same


def _composite(random: Random) -> Question:
    asked, holds = _amount(random)
    where = random.choice(("code", "component-code", "combo-code"))
    code = random.choice(PARTS if where == "component-code" else CODES + PARTS)[1]

    def elements(record: JSON) -> list[JSON]:
        parts = record.get("component", [])
        return {"code": [record], "component-code": parts, "combo-code": [record, *parts]}[where]

    return (
        f"{where}-value-quantity",
        f"{code}${asked}",
        lambda record: any(
            any(each[1] == code for each in _codings(element["code"]))
            and "valueQuantity" in element
            and holds(element["valueQuantity"])
            for element in elements(record)
        ),
    )


def _reference_to(random: Random, name: str) -> Question:
    id_ = random.choice(("p0", "p1", "p2", "p9"))

    def points(record: JSON, types: tuple[str, ...]) -> bool:
        found = record.get("subject", {}).get("reference", "").partition("/_history/")[0]
        return found in {f"{type_}/{id_}" for type_ in types}

    kind = random.randrange(6)
    if kind == 0:
        return name, f"Patient/{id_}", lambda record: points(record, ("Patient",))
    if kind == 1:
        return f"{name}:Patient", id_, lambda record: points(record, ("Patient",))
    if kind == 2:
        return name, id_, lambda record: points(record, ("Patient", "Group"))
    if kind == 3:
        return f"{name}:missing", "true", lambda record: "subject" not in record
    if kind == 4:
        return _text(random, name, lambda record: [d for d in [record.get("subject", {}).get("display")] if d])
    value, system = random.choice(("A1", "B2")), random.choice(("urn:mrn", ""))

    def logical(record: JSON) -> bool:
        found = record.get("subject", {}).get("identifier", {})
        return found.get("value") == value and system in ("", found.get("system"))

    return f"{name}:identifier", f"{system}|{value}" if system else value, logical


def _uri(random: Random) -> Question:
    asked = random.choice((*URLS[:4], "http://a.example", "http://a.example/x/y/z/more"))
    kind = random.choice(("", "above", "below"))

    def holds(record: JSON) -> bool:
        found = record.get("url")
        if found is None:
            return False
        return {
            "": found == asked,
            "above": found == asked or asked.startswith(f"{found}/"),
            "below": found == asked or found.startswith(f"{asked}/"),
        }[kind]

    return f"url:{kind}" if kind else "url", asked, holds


def _of_words(random: Random) -> Question:
    def narrative(record: JSON) -> list[str]:
        div = record.get("text", {}).get("div", "")
        return _words(div.partition(">")[2].replace("<p>", " ").replace("</p>", " ").replace("</div>", " "))

    def everything(record: JSON) -> list[str]:
        found = narrative(record)
        concepts = [record["code"], record.get("valueCodeableConcept", {})]
        concepts += [part["code"] for part in record.get("component", ())]
        texts = [concept.get("text", "") for concept in concepts]
        texts += [coding.get("display", "") for concept in concepts for coding in concept.get("coding", ())]
        texts += [record.get("valueString", ""), record.get("subject", {}).get("display", "")]
        texts += [note["text"] for note in record.get("note", ())]
        return found + [word for text in texts for word in _words(text)]

    name = random.choice(("_text", "_content"))
    read = narrative if name == "_text" else everything
    one, other = (random.choice(_words(random.choice(WORDS))) for _ in range(2))
    forms: tuple[tuple[str, Callable[[list[str]], bool]], ...] = (
        (one.upper(), lambda words: one in words),
        (f"{one} {other}", lambda words: one in words and other in words),
        (f"{one} OR {other}", lambda words: one in words or other in words),
        (f"{one} NOT {other}", lambda words: one in words and other not in words),
        (f"NOT ({one} or {other})", lambda words: one not in words and other not in words),
    )
    asked, test = random.choice(forms)
    return name, asked, lambda record: test(read(record))


def _of_observation(random: Random) -> Question:
    def code(record: JSON) -> list[tuple[str, str]]:
        return _codings(record["code"])

    def both(record: JSON) -> list[tuple[str, str]]:
        return [each for part in (record, *record.get("component", ())) for each in _codings(part["code"])]

    def texts(record: JSON) -> list[str]:
        concept = record["code"]
        return [t for t in (concept.get("text"), *(c.get("display") for c in concept["coding"])) if t]

    def times(record: JSON) -> list[tuple[datetime, datetime]]:
        return [_span(record["effectiveDateTime"])] if "effectiveDateTime" in record else []

    def said(record: JSON) -> list[str]:
        return [t for t in (record.get("valueString"), record.get("valueCodeableConcept", {}).get("text")) if t]

    match random.randrange(9):
        case 0:
            return _token(random, "code", code, CODES)
        case 1:
            return _token(random, "combo-code", both, CODES + PARTS)
        case 2:
            return random.choice((_set(random, "code", code), _text(random, "code", texts)))
        case 3:
            return _date(random, "date", times)
        case 4:
            asked, holds = _amount(random)
            return "value-quantity", asked, lambda r: "valueQuantity" in r and holds(r["valueQuantity"])
        case 5:
            return _composite(random)
        case 6:
            return _of_words(random)
        case 7:
            return _string(random, "value-string", said, WORDS)
    return _reference_to(random, "subject")


def _of_patient(random: Random) -> Question:
    def names(record: JSON) -> list[str]:
        return [text for name in record.get("name", ()) for text in (name["family"], *name["given"])]

    match random.randrange(6):
        case 0:
            return _string(random, "name", names, NAMES)
        case 1:
            return _string(random, "family", lambda r: [name["family"] for name in r.get("name", ())], NAMES)
        case 2:
            codes = (("urn:mrn", "A1"), ("urn:mrn", "B2"))
            return _token(
                random, "identifier", lambda r: [(i["system"], i["value"]) for i in r.get("identifier", ())], codes
            )
        case 3:
            kind, value = random.choice(("MR", "SS")), random.choice(("A1", "B2"))
            return (
                "identifier:of-type",
                f"urn:types|{kind}|{value}",
                lambda record: any(
                    each["value"] == value and ("urn:types", kind) in _codings(each["type"])
                    for each in record.get("identifier", ())
                ),
            )
        case 4:
            system = "http://hl7.org/fhir/administrative-gender"
            codes = ((system, "male"), (system, "female"))
            return _token(random, "gender", lambda r: [(system, r["gender"])] if "gender" in r else [], codes)
    return _date(random, "birthdate", lambda r: [_span(r["birthDate"])] if "birthDate" in r else [])


def _periods(record: JSON) -> list[tuple[datetime, datetime]]:
    period = record.get("period")
    if not period:
        return []
    low = _span(period["start"])[0] if "start" in period else _FIRST
    return [(low, _span(period["end"])[1] if "end" in period else _LAST)]


def _simple(random: Random, type_: str) -> Question:
    match type_:
        case "Observation":
            return _of_observation(random)
        case "Patient":
            return _of_patient(random)
        case "Encounter":
            return _date(random, "date", _periods)
        case "RiskAssessment":
            return _number(
                random, "probability", lambda r: [each["probabilityDecimal"] for each in r.get("prediction", ())]
            )
    if random.random() < 0.2:
        return "url:missing", "false", lambda record: "url" in record
    return _uri(random)


def question(random: Random) -> tuple[str, list[tuple[str, str]], Holds]:
    """A type, a search on it of one to three parameters, and what it finds."""
    type_ = random.choice(("Observation",) * 5 + ("Patient",) * 3 + ("Encounter", "RiskAssessment", "ValueSet"))
    if random.random() < 0.15:
        text, holds = _filter(random, type_, 2)
        return type_, [("_filter", text)], holds
    asked = [_simple(random, type_) for _ in range(random.choice((1, 1, 1, 2, 2, 3)))]
    return type_, [(name, value) for name, value, _ in asked], lambda r: all(holds(r) for _, _, holds in asked)


def _filter(random: Random, type_: str, depth: int) -> tuple[str, Holds]:
    """A filter of conditions that it can say."""
    if depth and random.random() < 0.7:
        one, other = _filter(random, type_, depth - 1), _filter(random, type_, depth - 1)
        match random.choice(("and", "or", "not")):
            case "and":
                return f"({one[0]}) and ({other[0]})", lambda r: one[1](r) and other[1](r)
            case "or":
                return f"({one[0]}) or ({other[0]})", lambda r: one[1](r) or other[1](r)
        return f"not ({one[0]})", lambda r: not one[1](r)
    while True:
        name, value, holds = _simple(random, type_)
        prefix = (
            value[:2]
            if value[:2] in _PREFIXES[1:] and name in ("date", "birthdate", "probability", "value-quantity")
            else ""
        )
        if ":" in name or "$" in value or name.startswith("_") or name in ("name", "family", "value-string", "subject"):
            continue
        return f"{name} {prefix or 'eq'} {value[len(prefix) :]}", holds
