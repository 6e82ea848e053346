# SPDX-License-Identifier: Apache-2.0
"""Diseases as models: who gets them, what is given step by step, and the Condition that records a case.

A `Disease` is the model, a `Course` is one person's case with dates and treatments. Chances per age are
rounded from United States prevalence; they only have to look right in a crowd. Comorbidity comes from
multipliers: a stout person with hypertension has diabetes more often, and kidney disease follows both. Codes:
SNOMED CT International and ICD-10-CM. What a disease does to readings stands in `body`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from random import Random
from typing import NamedTuple

from salus.synthetic import formulary as drugs
from salus.synthetic.formulary import Drug
from salus.synthetic.people import Person
from salus.synthetic.terms import ICD10, SNOMED, Resource, Term, concept, reference, terminology


class Step(NamedTuple):
    """One step of treatment: a drug, how many visits after the diagnosis, how often it comes to that."""

    drug: Drug
    after: int = 0
    chance: float = 1.0
    replaces: bool = False
    """The new drug takes the place of the one before it; otherwise it is added."""


class Disease(NamedTuple):
    """A disease model.

    Attributes:
        key: our short name.
        snomed, icd10: its codes.
        chances: (from age in years, probability), ascending; below the first age it does not occur.
        female: factor on the chance for women and girls.
        worsened_by: factor on the chance by what else is there (disease keys, `obesity`, `smoking`).
        steps: the treatment.
        days: length of an acute illness in days; 0 when it stays for life.
        feverish: an acute illness with fever.
        safe_in_pregnancy: may stand in the chart of a woman who becomes pregnant, with its treatment.
    """

    key: str
    snomed: Term
    icd10: Term
    chances: tuple[tuple[float, float], ...]
    female: float = 1.0
    worsened_by: tuple[tuple[str, float], ...] = ()
    steps: tuple[Step, ...] = ()
    days: int = 0
    feverish: bool = False
    safe_in_pregnancy: bool = False


@dataclass(slots=True)
class Treatment:
    """A drug that one person takes from `start` until `stop` (None: still)."""

    drug: Drug
    start: date
    stop: date | None = None
    superseded: bool = False

    def share(self, on: date, days: float) -> float:
        """How far the effect has built up on a day, 0 to 1, when it takes `days` to be full."""
        if on < self.start or (self.stop is not None and on > self.stop):
            return 0.0
        return min(1.0, (on - self.start).days / days)


@dataclass(slots=True)
class Course:
    """One person's case of a disease; `reference` is set once the Condition is written."""

    disease: Disease
    onset: date
    diagnosed: date
    ended: date | None = None
    treatments: list[Treatment] = field(default_factory=list)
    reference: str = ""


def _snomed(code: str, display: str) -> Term:
    return Term(SNOMED, code, display)


def _icd(code: str, display: str) -> Term:
    return Term(ICD10, code, display)


CHRONIC: tuple[Disease, ...] = (
    Disease(
        "hypertension",
        _snomed("59621000", "Essential hypertension"),
        _icd("I10", "Essential (primary) hypertension"),
        ((20, 0.04), (35, 0.16), (50, 0.36), (65, 0.52)),
        worsened_by=(("obesity", 1.5),),
        steps=(
            Step(drugs.LISINOPRIL),
            Step(drugs.LISINOPRIL_HIGH, 1, 0.5, replaces=True),
            Step(drugs.LOSARTAN, 2, 0.2, replaces=True),
            Step(drugs.AMLODIPINE, 3, 0.45),
        ),
    ),
    Disease(
        "diabetes",
        _snomed("44054006", "Diabetes mellitus type 2"),
        _icd("E11.9", "Type 2 diabetes mellitus without complications"),
        ((30, 0.04), (45, 0.11), (65, 0.17)),
        worsened_by=(("obesity", 1.8), ("hypertension", 1.4)),
        steps=(
            Step(drugs.METFORMIN),
            Step(drugs.METFORMIN_HIGH, 2, 0.7, replaces=True),
            Step(drugs.EMPAGLIFLOZIN, 3, 0.4),
        ),
    ),
    Disease(
        "hyperlipidemia",
        _snomed("55822004", "Hyperlipidemia"),
        _icd("E78.5", "Hyperlipidemia, unspecified"),
        ((30, 0.09), (45, 0.26), (65, 0.36)),
        worsened_by=(("diabetes", 1.6), ("obesity", 1.2)),
        steps=(Step(drugs.ATORVASTATIN), Step(drugs.ATORVASTATIN_HIGH, 2, 0.4, replaces=True)),
    ),
    Disease(
        "kidney",
        _snomed("433144002", "Chronic kidney disease stage 3"),
        _icd("N18.30", "Chronic kidney disease, stage 3 unspecified"),
        ((50, 0.04), (65, 0.12)),
        worsened_by=(("diabetes", 2.2), ("hypertension", 1.5)),
    ),
    Disease(
        "hypothyroidism",
        _snomed("40930008", "Hypothyroidism"),
        _icd("E03.9", "Hypothyroidism, unspecified"),
        ((25, 0.03), (45, 0.05), (65, 0.08)),
        female=2.0,
        steps=(Step(drugs.LEVOTHYROXINE),),
        safe_in_pregnancy=True,
    ),
    Disease(
        "asthma",
        _snomed("195967001", "Asthma"),
        _icd("J45.909", "Unspecified asthma, uncomplicated"),
        ((5, 0.10), (18, 0.07)),
        steps=(Step(drugs.ALBUTEROL), Step(drugs.FLUTICASONE, 1, 0.65)),
        safe_in_pregnancy=True,
    ),
    Disease(
        "copd",
        _snomed("13645005", "Chronic obstructive lung disease"),
        _icd("J44.9", "Chronic obstructive pulmonary disease, unspecified"),
        ((45, 0.02), (60, 0.04)),
        worsened_by=(("smoking", 6.0),),
        steps=(Step(drugs.ALBUTEROL), Step(drugs.FLUTICASONE_SALMETEROL, 1, 0.7)),
    ),
    Disease(
        "depression",
        _snomed("370143000", "Major depressive disorder"),
        _icd("F32.1", "Major depressive disorder, single episode, moderate"),
        ((15, 0.05), (20, 0.09)),
        female=1.5,
        steps=(Step(drugs.SERTRALINE), Step(drugs.SERTRALINE_HIGH, 1, 0.4, replaces=True)),
        safe_in_pregnancy=True,
    ),
    Disease(
        "migraine",
        _snomed("37796009", "Migraine"),
        _icd("G43.909", "Migraine, unspecified, not intractable, without status migrainosus"),
        ((13, 0.04), (19, 0.08), (55, 0.04)),
        female=2.0,
        steps=(Step(drugs.SUMATRIPTAN), Step(drugs.TOPIRAMATE, 1, 0.4)),
    ),
)
"""Diseases that stay, in the order in which one may bring about the next."""

ACUTE: tuple[Disease, ...] = (
    Disease(
        "otitis",
        _snomed("65363002", "Otitis media"),
        _icd("H66.90", "Otitis media, unspecified, unspecified ear"),
        ((0.6, 0.6), (4, 0.35), (9, 0.0)),
        steps=(Step(drugs.AMOXICILLIN_LIQUID),),
        days=10,
        feverish=True,
    ),
    Disease(
        "pharyngitis",
        _snomed("195662009", "Acute viral pharyngitis"),
        _icd("J02.9", "Acute pharyngitis, unspecified"),
        ((2, 0.3), (18, 0.15), (60, 0.05)),
        steps=(Step(drugs.IBUPROFEN_LIQUID),),
        days=8,
        feverish=True,
        safe_in_pregnancy=True,
    ),
    Disease(
        "bronchitis",
        _snomed("10509002", "Acute bronchitis"),
        _icd("J20.9", "Acute bronchitis, unspecified"),
        ((12, 0.12), (40, 0.2), (65, 0.25)),
        worsened_by=(("smoking", 1.6), ("copd", 1.8)),
        steps=(Step(drugs.ACETAMINOPHEN),),
        days=18,
        feverish=True,
        safe_in_pregnancy=True,
    ),
    Disease(
        "back-pain",
        _snomed("279039007", "Low back pain"),
        _icd("M54.50", "Low back pain, unspecified"),
        ((22, 0.2), (40, 0.3)),
        worsened_by=(("obesity", 1.3),),
        steps=(Step(drugs.NAPROXEN),),
        days=40,
    ),
    Disease(
        "sprain",
        _snomed("44465007", "Sprain of ankle"),
        _icd("S93.409A", "Sprain of unspecified ligament of unspecified ankle, initial encounter"),
        ((7, 0.15), (18, 0.1), (50, 0.04)),
        steps=(Step(drugs.ACETAMINOPHEN),),
        days=25,
        safe_in_pregnancy=True,
    ),
)
"""Illnesses that pass; each gives one visit."""

PREGNANCY = Disease(
    "pregnancy",
    _snomed("72892002", "Normal pregnancy"),
    _icd("Z34.90", "Encounter for supervision of normal pregnancy, unspecified, unspecified trimester"),
    (),
    steps=(Step(drugs.FERROUS_SULFATE),),
    safe_in_pregnancy=True,
)
"""Planned apart from the others: its visits hang on its own calendar."""


def strikes(disease: Disease, person: Person, age: float, others: set[str], random: Random) -> bool:
    """Decide by chance whether a person of that age has the disease, given what else is there."""
    chance = 0.0
    for from_age, probability in disease.chances:
        if age >= from_age:
            chance = probability
    if person.sex == "female":
        chance *= disease.female
    for factor, times in disease.worsened_by:
        if factor in others:
            chance *= times
    return random.random() < chance


_CATEGORY = terminology("condition-category", "problem-list-item", "Problem List Item")
_ENCOUNTER_CATEGORY = terminology("condition-category", "encounter-diagnosis", "Encounter Diagnosis")
_ACTIVE = terminology("condition-clinical", "active", "Active")
_RESOLVED = terminology("condition-clinical", "resolved", "Resolved")
_CONFIRMED = terminology("condition-ver-status", "confirmed", "Confirmed")


def condition_fields(course: Course, today: date) -> Resource:
    """Write what a Condition says about the course itself, without subject, encounter and recorder.

    https://hl7.org/fhir/R4/condition.html (con-4: an abated condition is not active)
    """
    over = course.ended is not None and course.ended <= today
    lasting = course.disease.days == 0 and course.disease is not PREGNANCY
    fields: Resource = {
        "clinicalStatus": concept(_RESOLVED if over else _ACTIVE),
        "verificationStatus": concept(_CONFIRMED),
        "category": [concept(_CATEGORY if lasting else _ENCOUNTER_CATEGORY)],
        "code": concept(course.disease.snomed, course.disease.icd10),
        "onsetDateTime": course.onset.isoformat(),
        "recordedDate": course.diagnosed.isoformat(),
    }
    if over and course.ended is not None:
        fields["abatementDateTime"] = course.ended.isoformat()
    return fields


def condition_reference(course: Course) -> Resource:
    """Point to the Condition of a course that has been written."""
    return reference(course.reference, course.disease.snomed.display)
