# SPDX-License-Identifier: Apache-2.0
"""Unusual but valid values for records, and questions that are bent from values that occur."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from random import Random
from typing import Any

from salus.fhir import json
from salus.fhir.search.parameters import Parameter
from salus.fhir.validate import check
from salus.kernel.errors import Problem
from tests.support.clinic import BASE, JSON

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


# ── bending records ──────────────────────────────────────────────────────────────────────────────────────────────────


def bent_copy(random: Random, originals: list[JSON], id_: str) -> JSON:
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


def modifier_of(random: Random, known: Parameter) -> str:
    if random.random() < 0.5 or known.code in {"_id", "_lastUpdated", "phonetic"}:
        return ""
    if known.kind == "reference":
        return random.choice(("identifier", "text", random.choice(known.targets) if known.targets else "Patient"))
    known_by_kind = {
        "string": ("exact", "contains", "text"),
        "token": ("not", "text", "of-type"),
        "uri": ("above", "below"),
    }
    return random.choice(known_by_kind.get(known.kind, ("",)))


def value_of(random: Random, known: Parameter, modifier: str, row: tuple[Any, ...] | None) -> str:
    if known.kind == "composite":
        return _parts(random, known, row)
    if known.code in {"_text", "_content"}:
        return _question(random, row[2].split() if row else [])
    if known.code == "phonetic":
        return random.choice(("meier", "anders", "schmid", "Aenstrom", "Braun"))
    if modifier == "of-type":
        return "|".join(map(_escaped, row[2:])) if row else "urn:x|MR|1"
    if modifier in {"above", "below"}:
        return _url(random, row[2] if row else "http://nowhere.example/a/b")
    if modifier == "text" and known.kind != "string":
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


def _parts(random: Random, known: Parameter, row: tuple[Any, ...] | None) -> str:
    """A value for each component, mostly from one element."""
    parts = []
    for number, component in enumerate(known.components):
        rows = [each for each in (row[2][number] if row else ()) if each[1] == component.kind]
        found = random.choice(rows) if rows and random.random() < 0.95 else None
        part = replace(known, kind=component.kind, targets=component.targets, code="part")
        parts.append(value_of(random, part, "", found))
    return "$".join(part.replace("$", "\\$") if "\\$" not in part else part for part in parts)


def _question(random: Random, words: list[str]) -> str:
    some = [word for word in words if word.isalnum()] or ["nothing"]
    one, other = random.choice(some), random.choice(some)
    forms = (one, one.upper(), f"{one} {other}", f"{one} OR zzz", f"{one} AND NOT {other}", f'"{one} {other}"', "zzz")
    return _escaped(random.choice((*forms, f"({one} or zzz) {other}")))


def _url(random: Random, text: str) -> str:
    parts = text.split("/")
    chosen = "/".join(parts[: random.randint(3, len(parts))]) if len(parts) > 3 else text
    return _escaped(
        random.choice((chosen, text, f"{text}/more", chosen + "/")) if "://" in text else "http://x.example/a"
    )


def _words(random: Random, text: str) -> str:
    word = random.choice(text.split() or ["x"])
    forms = (text, text.swapcase(), text[: len(text) // 2 + 1], word, word.upper(), word[: random.randint(1, 6)], "zz")
    chosen = random.choice((*forms, word[1:4], f"{word} {word}", text[1:]))
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
