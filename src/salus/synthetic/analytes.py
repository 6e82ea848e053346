# SPDX-License-Identifier: Apache-2.0
"""What the laboratory can measure: analytes with unit and reference range, and the panels to order.

Codes are LOINC (https://loinc.org); ranges are the usual ones of laboratories in the United States. A table
without logic.
"""

from __future__ import annotations

from typing import NamedTuple

from salus.synthetic.terms import LOINC, Term


class Analyte(NamedTuple):
    """Something measured in blood or urine.

    Attributes:
        key: name of the marker in `body`.
        term: LOINC code.
        name: short name for the note.
        unit: UCUM unit, also shown to people.
        places: decimal places.
        low, high: reference range; None leaves that side open.
        female: range for women where it differs.
        child: range below 12 years where it differs.
    """

    key: str
    term: Term
    name: str
    unit: str
    places: int
    low: float | None
    high: float | None
    female: tuple[float, float] | None = None
    child: tuple[float, float] | None = None


class Panel(NamedTuple):
    """Analytes measured together under one report."""

    term: Term
    analytes: tuple[Analyte, ...]
    cents: int


def _loinc(code: str, display: str) -> Term:
    return Term(LOINC, code, display)


A1C = Analyte("a1c", _loinc("4548-4", "Hemoglobin A1c/Hemoglobin.total in Blood"), "HbA1c", "%", 1, 4.0, 5.6)
GLUCOSE = Analyte(
    "glucose", _loinc("2345-7", "Glucose [Mass/volume] in Serum or Plasma"), "glucose", "mg/dL", 0, 65, 99
)
CREATININE = Analyte(
    "creatinine",
    _loinc("2160-0", "Creatinine [Mass/volume] in Serum or Plasma"),
    "creatinine",
    "mg/dL",
    2,
    0.7,
    1.3,
    (0.5, 1.1),
)
FILTRATION = Analyte(
    "egfr",
    _loinc(
        "98979-8",
        "Glomerular filtration rate [Volume Rate/Area] in Serum, Plasma or Blood by "
        "Creatinine-based formula (CKD-EPI 2021)/1.73 sq M",
    ),
    "eGFR",
    "mL/min/{1.73_m2}",
    0,
    60,
    None,
)
UREA = Analyte(
    "urea",
    _loinc("3094-0", "Urea nitrogen [Mass/volume] in Serum or Plasma"),
    "urea nitrogen",
    "mg/dL",
    0,
    7,
    20,
)
SODIUM = Analyte(
    "sodium", _loinc("2951-2", "Sodium [Moles/volume] in Serum or Plasma"), "sodium", "mmol/L", 0, 135, 145
)
POTASSIUM = Analyte(
    "potassium",
    _loinc("2823-3", "Potassium [Moles/volume] in Serum or Plasma"),
    "potassium",
    "mmol/L",
    1,
    3.5,
    5.1,
)
CHOLESTEROL = Analyte(
    "cholesterol",
    _loinc("2093-3", "Cholesterol [Mass/volume] in Serum or Plasma"),
    "cholesterol",
    "mg/dL",
    0,
    None,
    199,
)
TRIGLYCERIDES = Analyte(
    "triglycerides",
    _loinc("2571-8", "Triglyceride [Mass/volume] in Serum or Plasma"),
    "triglycerides",
    "mg/dL",
    0,
    None,
    149,
)
HDL = Analyte(
    "hdl",
    _loinc("2085-9", "Cholesterol in HDL [Mass/volume] in Serum or Plasma"),
    "HDL",
    "mg/dL",
    0,
    40,
    None,
)
LDL = Analyte(
    "ldl",
    _loinc("13457-7", "Cholesterol in LDL [Mass/volume] in Serum or Plasma by calculation"),
    "LDL",
    "mg/dL",
    0,
    None,
    129,
)
HEMOGLOBIN = Analyte(
    "hemoglobin",
    _loinc("718-7", "Hemoglobin [Mass/volume] in Blood"),
    "hemoglobin",
    "g/dL",
    1,
    13.2,
    17.3,
    (11.6, 15.5),
    (11.0, 14.5),
)
HEMATOCRIT = Analyte(
    "hematocrit",
    _loinc("4544-3", "Hematocrit [Volume Fraction] of Blood by Automated count"),
    "hematocrit",
    "%",
    1,
    39.0,
    51.0,
    (35.0, 46.5),
    (33.0, 43.0),
)
LEUKOCYTES = Analyte(
    "leukocytes",
    _loinc("6690-2", "Leukocytes [#/volume] in Blood by Automated count"),
    "leukocytes",
    "10*3/uL",
    1,
    4.0,
    11.0,
    child=(5.0, 14.5),
)
PLATELETS = Analyte(
    "platelets",
    _loinc("777-3", "Platelets [#/volume] in Blood by Automated count"),
    "platelets",
    "10*3/uL",
    0,
    150,
    400,
)
THYROTROPIN = Analyte(
    "tsh", _loinc("3016-3", "Thyrotropin [Units/volume] in Serum or Plasma"), "TSH", "m[IU]/L", 2, 0.4, 4.5
)
ALBUMIN = Analyte(
    "albumin",
    _loinc("14959-1", "Microalbumin/Creatinine [Mass Ratio] in Urine"),
    "albumin/creatinine",
    "mg/g",
    0,
    None,
    29,
)

METABOLIC = Panel(
    _loinc("24321-2", "Basic metabolic 2000 panel - Serum or Plasma"),
    (GLUCOSE, CREATININE, FILTRATION, UREA, SODIUM, POTASSIUM),
    4200,
)
LIPIDS = Panel(_loinc("24331-1", "Lipid 1996 panel - Serum or Plasma"), (CHOLESTEROL, TRIGLYCERIDES, HDL, LDL), 3900)
BLOOD_COUNT = Panel(
    _loinc("58410-2", "CBC panel - Blood by Automated count"),
    (HEMOGLOBIN, HEMATOCRIT, LEUKOCYTES, PLATELETS),
    2600,
)


def _single(analyte: Analyte, cents: int) -> Panel:
    return Panel(analyte.term, (analyte,), cents)


A1C_ALONE = _single(A1C, 1800)
THYROTROPIN_ALONE = _single(THYROTROPIN, 3100)
ALBUMIN_ALONE = _single(ALBUMIN, 2400)
