# SPDX-License-Identifier: Apache-2.0
"""The drugs that the demo clinic prescribes: RxNorm clinical drugs with their usual directions.

Source of the codes: RxNorm, term type SCD (https://www.nlm.nih.gov/research/umls/rxnorm/). Says how a drug is
taken; which disease it is for, and what it does to a patient, stands in `conditions` and `body`.
"""

from __future__ import annotations

from typing import NamedTuple

from salus.synthetic.terms import RXNORM, Term


class Drug(NamedTuple):
    """A clinical drug and its usual directions.

    Attributes:
        term: RxNorm code and name.
        name: short name for notes.
        directions: what the label says.
        amount: dose each time, in `unit`.
        unit: unit of the dose as people write it.
        ucum: the same unit in UCUM.
        per_day: how often a day.
        as_needed: taken only when needed.
        inhaled: by inhaler; otherwise by mouth.
        minimum_age: youngest age in years at which the clinic prescribes it.
    """

    term: Term
    name: str
    directions: str
    amount: float
    unit: str
    ucum: str
    per_day: int = 1
    as_needed: bool = False
    inhaled: bool = False
    minimum_age: float = 18


def _drug(code: str, display: str) -> Term:
    return Term(RXNORM, code, display)


def _tablet(code: str, display: str, name: str, times: int = 1, *, needed: bool = False, age: float = 18) -> Drug:
    often = "as needed" if needed else {1: "once daily", 2: "twice daily", 3: "three times daily"}[times]
    if needed and times > 1:
        often = f"as needed, at most {times} times a day"
    return Drug(
        _drug(code, display),
        name,
        f"Take 1 tablet by mouth {often}",
        1,
        "tablet",
        "{tbl}",
        times,
        as_needed=needed,
        minimum_age=age,
    )


def _inhaler(code: str, display: str, name: str, puffs: int, times: int, *, needed: bool, age: float) -> Drug:
    often = "every 4 to 6 hours as needed" if needed else "twice daily"
    plural = "s" if puffs > 1 else ""
    return Drug(
        _drug(code, display),
        name,
        f"Inhale {puffs} puff{plural} {often}",
        puffs,
        "puff",
        "{puff}",
        times,
        as_needed=needed,
        inhaled=True,
        minimum_age=age,
    )


METFORMIN = _tablet("861007", "metformin hydrochloride 500 MG Oral Tablet", "metformin 500 mg", 2)
METFORMIN_HIGH = _tablet("861004", "metformin hydrochloride 1000 MG Oral Tablet", "metformin 1000 mg", 2)
EMPAGLIFLOZIN = _tablet("1545653", "empagliflozin 10 MG Oral Tablet", "empagliflozin 10 mg")
LISINOPRIL = _tablet("314076", "lisinopril 10 MG Oral Tablet", "lisinopril 10 mg")
LISINOPRIL_HIGH = _tablet("314077", "lisinopril 20 MG Oral Tablet", "lisinopril 20 mg")
AMLODIPINE = _tablet("197361", "amlodipine 5 MG Oral Tablet", "amlodipine 5 mg")
LOSARTAN = _tablet("979492", "losartan potassium 50 MG Oral Tablet", "losartan 50 mg")
ATORVASTATIN = _tablet("617310", "atorvastatin 20 MG Oral Tablet", "atorvastatin 20 mg")
ATORVASTATIN_HIGH = _tablet("617311", "atorvastatin 40 MG Oral Tablet", "atorvastatin 40 mg")
LEVOTHYROXINE = _tablet("966222", "levothyroxine sodium 0.075 MG Oral Tablet", "levothyroxine 75 mcg")
SERTRALINE = _tablet("312941", "sertraline 50 MG Oral Tablet", "sertraline 50 mg", age=14)
SERTRALINE_HIGH = _tablet("312938", "sertraline 100 MG Oral Tablet", "sertraline 100 mg")
SUMATRIPTAN = _tablet("313161", "sumatriptan 50 MG Oral Tablet", "sumatriptan 50 mg", 2, needed=True)
TOPIRAMATE = _tablet("199888", "topiramate 25 MG Oral Tablet", "topiramate 25 mg", 2)
NAPROXEN = _tablet("198014", "naproxen 500 MG Oral Tablet", "naproxen 500 mg", 2)
ACETAMINOPHEN = _tablet("313782", "acetaminophen 325 MG Oral Tablet", "acetaminophen 325 mg", 3, needed=True, age=12)
FERROUS_SULFATE = _tablet("310325", "ferrous sulfate 325 MG Oral Tablet", "ferrous sulfate 325 mg")
ALBUTEROL = _inhaler(
    "745679",
    "200 ACTUAT albuterol 0.09 MG/ACTUAT Metered Dose Inhaler",
    "albuterol inhaler",
    2,
    4,
    needed=True,
    age=3,
)
FLUTICASONE = _inhaler(
    "895994",
    "120 ACTUAT fluticasone propionate 0.044 MG/ACTUAT Metered Dose Inhaler",
    "fluticasone inhaler",
    2,
    2,
    needed=False,
    age=4,
)
FLUTICASONE_SALMETEROL = _inhaler(
    "896209",
    "60 ACTUAT fluticasone propionate 0.25 MG/ACTUAT / salmeterol 0.05 MG/ACTUAT Dry Powder Inhaler",
    "fluticasone and salmeterol inhaler",
    1,
    2,
    needed=False,
    age=18,
)
AMOXICILLIN_LIQUID = Drug(
    _drug("308189", "amoxicillin 80 MG/ML Oral Suspension"),
    "amoxicillin suspension",
    "Give 5 mL by mouth twice daily for 10 days",
    5,
    "mL",
    "mL",
    2,
    minimum_age=0.3,
)
IBUPROFEN_LIQUID = Drug(
    _drug("197803", "ibuprofen 20 MG/ML Oral Suspension"),
    "ibuprofen suspension",
    "Give 5 mL by mouth as needed for pain or fever, at most 3 times a day",
    5,
    "mL",
    "mL",
    3,
    as_needed=True,
    minimum_age=0.6,
)
