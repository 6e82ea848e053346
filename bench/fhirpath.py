# SPDX-License-Identifier: Apache-2.0
"""How fast expressions run: ours, and those of fhirpathpy where it is installed.

`python -m bench.fhirpath` takes a Python of another environment that has fhirpathpy as its argument, or does without:

    python -m venv other && other/bin/pip install fhirpathpy
    .venv/bin/python -m bench.fhirpath other/bin/python

Both compile each expression once, evaluate it on the same invented resources and answer with plain values; the rounds
of the two alternate, so that whatever else the machine does falls on both. Times are the least of the rounds, in CPU
time.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

ROUNDS = 7

PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "id": "p1",
    "extension": [{"url": "http://x.org/birthplace", "valueAddress": {"city": "Leiden"}}],
    "identifier": [{"system": f"http://x.org/{n}", "value": str(n)} for n in range(3)],
    "name": [{"use": "official", "family": "Nero", "given": ["Ada", "Maria"]}, {"use": "usual", "given": ["Ad"]}],
    "telecom": [{"system": "phone", "value": "555", "use": "home"}, {"system": "email", "value": "a@x.org"}],
    "gender": "female",
    "birthDate": "1980-02-29",
    "address": [{"line": ["Street 1"], "city": "Leiden", "country": "NL", "period": {"start": "2001", "end": "2009"}}],
}
OBSERVATION: dict[str, Any] = {
    "resourceType": "Observation",
    "status": "final",
    "category": [{"coding": [{"system": "http://x.org/c", "code": "vital-signs"}]}],
    "code": {"coding": [{"system": "http://loinc.org", "code": "85354-9"}]},
    "subject": {"reference": "Patient/p1"},
    "effectiveDateTime": "2024-01-31T08:00:00Z",
    "component": [
        {
            "code": {"coding": [{"system": "http://loinc.org", "code": code}]},
            "valueQuantity": {"value": 120, "unit": "mmHg", "system": "http://unitsofmeasure.org", "code": "mm[Hg]"},
        }
        for code in ("8480-6", "8462-4")
    ],
}
ENCOUNTER: dict[str, Any] = {
    "resourceType": "Encounter",
    "status": "finished",
    "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
    "type": [{"coding": [{"system": "http://snomed.info/sct", "code": "1", "display": "Visit"}], "text": "Visit"}],
    "subject": {"reference": "Patient/p1"},
    "participant": [
        {"individual": {"reference": "Practitioner/9"}, "period": {"start": "2020-01-01T08:00:00Z"}},
        {"individual": {"reference": "Practitioner/10"}},
    ],
    "period": {"start": "2020-01-01T08:00:00+01:00", "end": "2020-01-01T09:00:00+01:00"},
}
_STATUS = "http://terminology.hl7.org/CodeSystem/condition-clinical"
CONDITION: dict[str, Any] = {
    "resourceType": "Condition",
    "clinicalStatus": {"coding": [{"system": _STATUS, "code": "active"}]},
    "category": [{"coding": [{"system": "http://x.org/c", "code": "problem-list-item"}]}],
    "code": {"coding": [{"system": "http://snomed.info/sct", "code": "44054006"}], "text": "Diabetes"},
    "subject": {"reference": "Patient/p1"},
    "onsetAge": {"value": 50, "unit": "a", "system": "http://unitsofmeasure.org", "code": "a"},
}
EXPRESSIONS: list[tuple[str, dict[str, Any]]] = [
    ("Patient.name.given", PATIENT),
    ("name.where(use = 'official').given.first()", PATIENT),
    ("telecom.where(system = 'phone' and use = 'home').exists()", PATIENT),
    ("address.period.all(start.empty() or end.empty() or start <= end)", PATIENT),
    ("birthDate < @2000-01-01", PATIENT),
    ("identifier.select(system & '|' & value).isDistinct()", PATIENT),
    ("extension.where(url = 'http://x.org/birthplace').value.ofType(Address).city", PATIENT),
    ("Observation.component.value.ofType(Quantity).value", OBSERVATION),
    ("component.where(code.coding.code = '8480-6').value.value > 100", OBSERVATION),
    ("category.coding.exists(system = 'http://x.org/c' and code in ('vital-signs' | 'laboratory'))", OBSERVATION),
    ("descendants().where($this is Coding).code.count()", OBSERVATION),
    # Search parameters of R4.
    ("Patient.birthDate", PATIENT),
    ("Patient.telecom.where(system='phone')", PATIENT),
    ("(Patient.deceased.exists() and Patient.deceased != false)", PATIENT),
    ("Observation.code.coding.code", OBSERVATION),
    ("Observation.code | Observation.component.code", OBSERVATION),
    ("Observation.value.ofType(Quantity) | Observation.component.value.ofType(Quantity)", OBSERVATION),
    ("Encounter.participant.individual.reference", ENCOUNTER),
    ("Condition.onset.as(Age) | Condition.onset.as(Range)", CONDITION),
    # Constraints of R4 and US Core.
    ("contact.all(name.exists() or telecom.exists() or address.exists() or organization.exists())", PATIENT),
    ("telecom.all(value.exists() implies system.exists())", PATIENT),
    ("name.all(family.exists() or given.exists())", PATIENT),
    ("dataAbsentReason.empty() or value.empty()", OBSERVATION),
    ("(component.empty() and hasMember.empty()) implies (dataAbsentReason or value)", OBSERVATION),
    (
        f"abatement.empty() or clinicalStatus.coding.where(system='{_STATUS}' and"
        " (code='resolved' or code='remission' or code='inactive')).exists()",
        CONDITION,
    ),
    # And others.
    ("Encounter.period.start <= Encounter.period.end", ENCOUNTER),
    ("name.first().given[0]", PATIENT),
    ("iif(gender = 'female', 'Ms', 'Mr') & ' ' & name.first().family", PATIENT),
    ("name.family.upper() = 'NERO'", PATIENT),
    ("name.given.where($this.startsWith('A')).count()", PATIENT),
    ("birthDate.toString().substring(0, 4)", PATIENT),
    ("today() >= birthDate", PATIENT),
    ("component.select(value.value * 2)", OBSERVATION),
    ("component.value.value.aggregate($this + $total, 0)", OBSERVATION),
    ("component.value.ofType(Quantity).first() = 120 'mm[Hg]'", OBSERVATION),
    ("extension('http://x.org/birthplace').value.city", PATIENT),
    ("repeat(extension).url", PATIENT),
    ("children().count()", PATIENT),
]


def least(run: Callable[[Any], object], resource: Any) -> float:
    """Microseconds of one evaluation."""
    run(resource)  # what is made on first use is not counted
    count = 100
    began = time.thread_time()
    for _ in range(count):
        run(resource)
    return (time.thread_time() - began) / count * 1e6


def ours() -> list[float]:
    """Microseconds for each expression."""
    from salus.fhir.fhirpath import compile as compiled

    return [least(compiled(text).values, resource) for text, resource in EXPRESSIONS]


def theirs() -> list[float]:
    """The same in fhirpathpy."""
    from fhirpathpy import compile as compiled
    from fhirpathpy.models import models

    return [least(compiled(text, models["r4"]), resource) for text, resource in EXPRESSIONS]


def measured(python: str, who: str) -> list[float]:
    """One round in a process of its own."""
    source = f"import json; from bench.fhirpath import {who}; print(json.dumps({who}()))"
    said = subprocess.run([python, "-c", source], capture_output=True, text=True, check=True)
    found: list[float] = json.loads(said.stdout)
    return found


def main(other: str | None) -> None:
    """Measure, alternating, and print a table."""
    rounds: dict[str, list[list[float]]] = {"ours": [], "theirs": []}
    for _ in range(ROUNDS):
        rounds["ours"].append(measured(sys.executable, "ours"))
        if other:
            rounds["theirs"].append(measured(other, "theirs"))
    mine = [min(times) for times in zip(*rounds["ours"], strict=True)]
    his = [min(times) for times in zip(*rounds["theirs"], strict=True)] if other else []
    print(f"{'CPU us':>8}{'fhirpathpy':>12}{'ratio':>8}  expression")
    for at, (text, _) in enumerate(EXPRESSIONS):
        compared = f"{his[at]:12.0f}{his[at] / mine[at]:8.0f}" if other else " " * 20
        print(f"{mine[at]:8.1f}{compared}  {text}")
    if other:
        ratios = [there / here for here, there in zip(mine, his, strict=True)]
        print(f"least {min(ratios):.0f}, median {statistics.median(ratios):.0f} times as fast")
        print(f"less than ten times: {sum(ratio < 10 for ratio in ratios)} of {len(ratios)}")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else None)
