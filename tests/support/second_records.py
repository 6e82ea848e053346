# SPDX-License-Identifier: Apache-2.0
"""Random records of a few types, full of values that meet: the ground for `second_opinion`."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from random import Random
from typing import Any

JSON = dict[str, Any]
LOINC, UCUM, VALUE_SET = "http://loinc.org", "http://unitsofmeasure.org", "http://oracle.example/vs"
CODES = (
    (LOINC, "8480-6"),
    (LOINC, "8462-4"),
    ("urn:x", "8480-6"),
    ("", "local"),
    ("http://snomed.info/sct", "22298006"),
)
PARTS = ((LOINC, "part-1"), (LOINC, "part-2"), ("urn:x", "part-1"))
IN_SET = {CODES[0], CODES[4]}
WORDS = ("Systolic", "pressure", "über", "night", "cough", "two  spaces", "O'Neil", "Ward7", "no", "x")
NAMES = ("Ångström", "van der Berg", "VAN DYKE", "müller", "Mu", "X", "Ünal Çelik", "O'Neil", "berg")
DATES = (
    "1999",
    "2024-02",
    "2024-02-29",
    "2024-02-29T23:59:59.999Z",
    "2024-03-01T00:30:00+01:00",
    "2150",
    "2024-12-31",
)
NUMBERS = ("0", "-1.5", "0.8", "0.80", "100", "99.5", "99.499", "5.4", "5400", "0.0054", "1234.5")
UNITS = {"g": ("g", "1"), "mg": ("g", "0.001"), "kg": ("g", "1000"), "cm": ("m", "0.01"), "m": ("m", "1")}
URLS = ("http://a.example/x", "http://a.example/x/y", "http://a.example/x/y/z", "http://b.example", "urn:oid:1.2.3")


def records(random: Random, count: int) -> Iterator[JSON]:
    """Records of every type that is asked about, the value set first."""
    concepts = [{"system": system, "concept": [{"code": code}]} for system, code in sorted(IN_SET)]
    yield {
        "resourceType": "ValueSet",
        "id": "vs",
        "url": VALUE_SET,
        "status": "active",
        "compose": {"include": concepts},
    }
    makers = (_observation, _observation, _patient, _encounter, _risk, _value_set)
    for number in range(count):
        made = random.choice(makers)(random)
        made["id"] = f"r{number}"
        yield made


def _concept(random: Random, codes: tuple[tuple[str, str], ...] = CODES) -> JSON:
    codings = []
    for system, code in random.sample(codes, random.choice((1, 1, 2))):
        coding: JSON = {"code": code}
        if system:
            coding["system"] = system
        if random.random() < 0.4:
            coding["display"] = _phrase(random)
        codings.append(coding)
    return {"coding": codings, **({"text": _phrase(random)} if random.random() < 0.4 else {})}


def _phrase(random: Random) -> str:
    return " ".join(random.choice(WORDS) for _ in range(random.choice((1, 2, 3))))


def _quantity(random: Random) -> JSON:
    made: JSON = {"value": Decimal(random.choice(NUMBERS))}
    kind = random.random()
    if kind < 0.7:
        unit = random.choice(list(UNITS))
        made |= {"unit": unit, "system": UCUM, "code": unit}
    elif kind < 0.85:
        made |= {"unit": "tablets", "system": "urn:forms", "code": "TAB"}
    return made


def _reference(random: Random) -> JSON:
    made: JSON = {}
    if random.random() < 0.8:
        id_ = random.choice(("p0", "p1", "p2"))
        made["reference"] = random.choice((f"Patient/{id_}", f"Patient/{id_}/_history/1", f"Group/{id_}"))
    if random.random() < 0.4 or not made:
        made["identifier"] = {"system": random.choice(("urn:mrn", "urn:other")), "value": random.choice(("A1", "B2"))}
    if random.random() < 0.3:
        made["display"] = _phrase(random)
    return made


def _observation(random: Random) -> JSON:
    made: JSON = {"resourceType": "Observation", "status": "final", "code": _concept(random)}
    if random.random() < 0.8:
        made["subject"] = _reference(random)
    if random.random() < 0.8:
        made["effectiveDateTime"] = _moment(random)
    kind = random.random()
    if kind < 0.5:
        made["valueQuantity"] = _quantity(random)
    elif kind < 0.7:
        made["valueString"] = _phrase(random)
    elif kind < 0.85:
        made["valueCodeableConcept"] = _concept(random)
    if random.random() < 0.5:
        made["component"] = [
            {"code": _concept(random, PARTS), "valueQuantity": _quantity(random)} for _ in range(random.choice((1, 2)))
        ]
    if random.random() < 0.4:
        made["note"] = [{"text": _phrase(random)}]
    if random.random() < 0.4:
        made["text"] = {
            "status": "generated",
            "div": f'<div xmlns="http://www.w3.org/1999/xhtml"><p>{_phrase(random)}</p><p>{_phrase(random)}</p></div>',
        }
    return made


def _patient(random: Random) -> JSON:
    made: JSON = {"resourceType": "Patient"}
    if random.random() < 0.9:
        made["name"] = [{"family": random.choice(NAMES), "given": [random.choice(NAMES)]}]
    if random.random() < 0.7:
        made["birthDate"] = random.choice(("1999", "2024-02", "2024-02-29", "1980-01-01"))
    if random.random() < 0.6:
        made["identifier"] = [
            {
                "type": {"coding": [{"system": "urn:types", "code": random.choice(("MR", "SS"))}]},
                "system": "urn:mrn",
                "value": random.choice(("A1", "B2", "C,3")),
            }
        ]
    if random.random() < 0.7:
        made["gender"] = random.choice(("male", "female", "unknown"))
    return made


def _encounter(random: Random) -> JSON:
    made: JSON = {"resourceType": "Encounter", "status": "finished", "class": {"system": "urn:class", "code": "AMB"}}
    if random.random() < 0.8:
        ends = sorted(random.sample(("1999", "2023-05", "2024-02-29", "2024-03-01T10:00:00Z", "2025"), 2))
        made["period"] = random.choice(({"start": ends[0]}, {"end": ends[1]}, {"start": ends[0], "end": ends[1]}))
    return made


def _risk(random: Random) -> JSON:
    made: JSON = {"resourceType": "RiskAssessment", "status": "final", "subject": {"reference": "Patient/p0"}}
    if random.random() < 0.9:
        made["prediction"] = [
            {"probabilityDecimal": Decimal(random.choice(("0", "0.8", "0.80", "5.4", "99.5", "99.499")))}
        ]
    return made


def _value_set(random: Random) -> JSON:
    made: JSON = {"resourceType": "ValueSet", "status": "active"}
    if random.random() < 0.9:
        made["url"] = random.choice(URLS)
    return made


def _moment(random: Random) -> str:
    return random.choice(DATES)
