# SPDX-License-Identifier: Apache-2.0
"""Random records and random questions about them, and what plain values answer.

The questions are made of values that occur in the records, bent a little, so that most have answers. The naive side
evaluates `salus.fhir.search.match` over the rows of every record, without keys, index, SQL or pages.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from random import Random
from typing import Any

from salus.audit.event import EventType
from salus.fhir import json
from salus.fhir.search.clauses import Query
from salus.fhir.search.extract import Extractor
from salus.fhir.search.match import matches
from salus.fhir.search.parameters import Parameter, parameters
from salus.fhir.search.query import parse
from salus.fhir.search.sort import sort_key
from salus.fhir.validate import check
from salus.kernel.errors import Problem
from salus.records.context import Context
from salus.records.draft import unit_of
from salus.records.interactions import search, update
from salus.synthetic.generate import population
from tests.support.clinic import BASE, Clinic

TYPES = ("Patient", "Observation", "Condition", "Encounter", "MedicationRequest", "Claim")
Pairs = list[tuple[str, str]]
JSON = dict[str, Any]

_PER_TYPE = 60
_NAMES = (
    "Ångström",
    "O'Neil",
    "van der Berg",
    "VAN DYKE",
    "müller",
    "Mu",
    "X",
    "Ünal Çelik",
    "a,b|c$d\\e",
    "  Two  words ",
)
_DATES = (
    "1999",
    "2024-02",
    "2024-02-29",
    "2024-02-29T23:59:59.999Z",
    "2024-03-01T00:30:00+01:00",
    "2024-12-31T23:59:60Z",
    "1750-06-01",
    "2150",
    "2023-07-04T12:00:00-04:00",
)
_NUMBERS = ("0", "-1.5", "0.00", "100", "1e2", "99.5", "99.499", "1234567.891", "0.000001", "-273.15")
_SYSTEMS = ("http://loinc.org", "urn:x:1", "")


class Oracle:
    """A store full of random records, and the same records in the plain.

    Args:
        bent: with unusual values; without them dates are points and single days, which are answered in another way.

    Attributes:
        plain: (resource, lastUpdated in ms) by type, in the order of writing.
    """

    def __init__(self, clinic: Clinic, seed: int, *, bent: bool = True) -> None:
        self.clinic = clinic
        self.ctx: Context = clinic.context()
        self.plain: dict[str, list[tuple[JSON, int]]] = {type_: [] for type_ in TYPES}
        self._extractor = Extractor([f"{BASE}/fhir"])
        for type_ in TYPES:  # what every clinic has
            for resource in reversed(clinic.as_("service").find(type_)):
                self.plain[type_].append((resource, _ms(resource["meta"]["lastUpdated"])))
        random = Random(seed)
        chosen: dict[str, list[JSON]] = {type_: [] for type_ in TYPES}
        for chart in population(seed, 3, date(2026, 1, 1)):
            for resource in chart:
                if resource["resourceType"] in chosen:
                    chosen[resource["resourceType"]].append(resource)
        for type_, found in chosen.items():
            kept = random.sample(found, min(len(found), _PER_TYPE // 2))
            made = [_valid(random, found, f"bent-{number}") for number in range(_PER_TYPE - len(kept) if bent else 0)]
            for resource in [*kept, *made]:
                self.put(type_, resource)
        self._rows = {
            type_: [(plain["id"], self._all_rows(plain, updated)) for plain, updated in records]
            for type_, records in self.plain.items()
        }

    def put(self, type_: str, resource: JSON) -> None:
        """Keep a record."""
        prepared, _ = update.stage(self.ctx, type_, resource["id"], resource)
        event = self.ctx.event(EventType.RECORD_UPDATE, reason="test", entities=prepared.entities)
        self.clinic.run(self.ctx.commit(unit_of([prepared]), event))
        self.plain[type_].append((json.decode(prepared.version.body), prepared.version.updated))

    def _all_rows(self, resource: JSON, updated: int) -> list[tuple[Any, ...]]:
        own = [("_id", "token", "", resource["id"]), ("_lastUpdated", "date", updated, updated + 1)]
        return [*self._extractor.rows(resource, texts=True), *own]

    # ── the two sides ────────────────────────────────────────────────────────────────────────────────────────────

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
        asked = [self._clause(random, type_, random.choice(known)) for _ in range(random.choice((1, 1, 1, 2, 2, 3)))]
        if random.random() < 0.4:
            keys = random.sample([p.code for p in known], random.choice((1, 1, 2)))
            asked.append(("_sort", ",".join(random.choice(("", "-")) + key for key in keys)))
        asked.append(("_count", str(random.choice((1, 3, 7, 20, 100)))))
        return asked

    def _clause(self, random: Random, type_: str, known: Parameter) -> tuple[str, str]:
        if known.code not in {"_id", "_lastUpdated"} and random.random() < 0.08:
            return f"{known.code}:missing", random.choice(("true", "false"))
        rows = [row for _, rows in self._rows[type_] for row in rows if row[0] in known.families]
        modifier = _modifier(random, known)
        if modifier in {"text", "identifier"}:
            rows = [row for row in rows if row[1] == modifier]
        else:
            rows = [row for row in rows if row[1] == known.kind]
        values = [
            _value(random, known, modifier, random.choice(rows) if rows and random.random() < 0.95 else None)
            for _ in range(random.choice((1, 1, 1, 2, 3)))
        ]
        return (f"{known.code}:{modifier}" if modifier else known.code), ",".join(values)


def _holds(query: Query, rows: list[tuple[Any, ...]]) -> bool:
    return all(matches(clause, rows) for clause in query.clauses)


def _ms(instant: str) -> int:
    moment = datetime.fromisoformat(instant)
    return int((moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1000 + 0.5)


# ── bending records ──────────────────────────────────────────────────────────────────────────────────────────────────


def _valid(random: Random, originals: list[JSON], id_: str) -> JSON:
    """A bent copy that FHIR still allows."""
    while True:
        resource = _bent(random, random.choice(originals), id_)
        try:
            check(resource)
        except Problem:
            continue
        return resource


def _bent(random: Random, original: JSON, id_: str) -> JSON:
    """A copy under another id with unusual values in it."""
    resource = json.decode(json.encode(original))
    resource["id"] = id_
    resource.pop("text", None)
    resource.pop("contained", None)
    for holder, name, value in list(_elements(resource)):
        if random.random() < 0.5:
            continue
        if name in {"family", "city"}:
            holder[name] = random.choice(_NAMES)
        elif name in {"birthDate", "recordedDate", "authoredOn", "onsetDateTime", "effectiveDateTime"}:
            chosen = random.choice(_DATES)
            holder[name] = chosen[:10] if name == "birthDate" else chosen
        elif name == "period" and isinstance(value, dict):
            holder[name] = random.choice(
                ({"start": "2024-02"}, {"end": "2024-02-29"}, {"start": "1999", "end": "2024"})
            )
        elif name == "valueQuantity":
            value["value"] = Decimal(random.choice(_NUMBERS))
        elif name == "coding" and value and "system" in value[0] and random.random() < 0.2:
            system = random.choice(_SYSTEMS)
            value[0].pop("system")
            value[0].pop("display", None)
            if system:
                value[0]["system"] = system
        elif name in {"subject", "patient"} and "reference" in value:
            value["reference"] = random.choice(
                (
                    value["reference"],
                    f"{BASE}/fhir/{value['reference']}",
                    f"{value['reference']}/_history/1",
                    "http://elsewhere.example/fhir/Patient/anna",
                    "Patient/anna",
                )
            )
            if random.random() < 0.3:
                value["identifier"] = {"system": "urn:mrn", "value": random.choice(("A1", "B|2"))}
    return resource


def _elements(node: Any) -> Iterator[tuple[JSON, str, Any]]:
    if isinstance(node, dict):
        for name, value in list(node.items()):
            yield node, name, value
            yield from _elements(value)
    elif isinstance(node, list):
        for item in node:
            yield from _elements(item)


# ── bending values ───────────────────────────────────────────────────────────────────────────────────────────────────


def _modifier(random: Random, known: Parameter) -> str:
    if random.random() < 0.6 or known.code in {"_id", "_lastUpdated"}:
        return ""
    if known.kind == "reference":
        return random.choice(("identifier", random.choice(known.targets) if known.targets else "Patient"))
    return random.choice({"string": ("exact", "contains"), "token": ("not", "text")}.get(known.kind, ("",)))


def _value(random: Random, known: Parameter, modifier: str, row: tuple[Any, ...] | None) -> str:
    if modifier == "text":
        return _escaped(random.choice(row[2].split() or ["x"]).strip() or "x" if row else "blood")
    kind = "token" if modifier in {"identifier", "not"} else known.kind
    match kind:
        case "token":
            system, code = (row[2], row[3]) if row else ("urn:none", "nothing")
            forms = [_escaped(code), f"{_escaped(system)}|{_escaped(code)}" if system else f"|{_escaped(code)}"]
            if system:
                forms += [f"{_escaped(system)}|", f"|{_escaped(code)}", _escaped(code.swapcase())]
            return random.choice(forms)
        case "string":
            return _words(random, row[2] if row else "Zzyzx")
        case "reference":
            return _target(random, modifier, row[2] if row else "Patient/nobody")
        case "date":
            return _moment(random, row)
        case "number":
            return _prefix(random) + _digits(random, row[2] if row else Decimal(1))
        case "quantity":
            if row is None:
                return "5"
            unit = random.choice(("", f"|{_escaped(row[3])}|{_escaped(row[4])}", f"||{_escaped(row[5] or row[4])}"))
            return _prefix(random) + _digits(random, row[2]) + unit
    return _escaped(row[2]) if row else "urn:nothing"


def _words(random: Random, text: str) -> str:
    word = random.choice(text.split() or ["x"])
    chosen = random.choice((text, text.strip()[:3], word, word.upper(), word[: random.randint(1, 6)], word[1:4], "zz"))
    return _escaped(chosen if chosen.strip() else "x")


def _target(random: Random, modifier: str, target: str) -> str:
    type_, _, id_ = target.partition("/")
    if modifier and type_ != modifier:
        return "pt-1-0"
    if "://" in target or not id_:
        return _escaped(target)
    forms = [id_, target, f"{BASE}/fhir/{target}"]
    return _escaped(random.choice(forms[:1] if modifier else forms))


def _moment(random: Random, row: tuple[Any, ...] | None) -> str:
    bounds = [ms for ms in (row[2:4] if row else ()) if ms is not None] or [1_709_251_199_000]
    ms = random.choice(bounds) + random.choice((0, 0, -1, 1, 3_600_000, -86_400_000))
    moment = datetime.fromtimestamp(ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return _prefix(random) + random.choice((moment[:4], moment[:7], moment[:10], moment[:16] + "Z", moment + "Z"))


def _digits(random: Random, value: Decimal) -> str:
    bent = random.choice((value, value, value + Decimal("0.5"), value * 2, -value, round(value, 1)))
    return format(bent, "f")[:20].rstrip(".") or "0"


def _prefix(random: Random) -> str:
    return random.choice(("", "", "eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"))


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace(",", "\\,").replace("|", "\\|").replace("$", "\\$")
