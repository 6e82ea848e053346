# SPDX-License-Identifier: Apache-2.0
"""What a code must look like in systems whose content is licensed and so seldom here as a whole.

A code that breaks the form of its system does not exist, whoever holds the list. What fits the form may exist or not;
nothing is said about that.

- LOINC: digits, a hyphen and a check digit, modulus 10 (https://loinc.org/kb/faq/structure/). Parts, answers, lists of
  answers and groups carry a prefix; their check digit is made otherwise and not looked at.
- SNOMED CT: an identifier of 6 to 18 digits, of the partition of concepts, with a check digit after Verhoeff
  (https://docs.snomed.org, Release File Specification, 5 and 6); expressions are left alone.
- CVX: two or three digits. RxNorm: a number.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final

_LOINC: Final = re.compile(r"(LP|LA|LL|LG)?([0-9]{1,8})-([0-9])", re.ASCII)
_CONCEPT: Final = re.compile(r"[1-9][0-9]{5,17}", re.ASCII)
_EXPRESSION: Final = re.compile(r"[\s:=+|{}(),<>#\"]")
_CVX: Final = re.compile(r"[0-9]{2,3}", re.ASCII)
_NUMBER: Final = re.compile(r"[1-9][0-9]{0,7}", re.ASCII)
_CONCEPTS: Final = frozenset({"00", "10"})  # partition identifiers

# Verhoeff: the multiplication of the dihedral group of a pentagon, and the powers of its permutation.
_PRODUCT: Final = (
    (0, 1, 2, 3, 4, 5, 6, 7, 8, 9),
    (1, 2, 3, 4, 0, 6, 7, 8, 9, 5),
    (2, 3, 4, 0, 1, 7, 8, 9, 5, 6),
    (3, 4, 0, 1, 2, 8, 9, 5, 6, 7),
    (4, 0, 1, 2, 3, 9, 5, 6, 7, 8),
    (5, 9, 8, 7, 6, 0, 4, 3, 2, 1),
    (6, 5, 9, 8, 7, 1, 0, 4, 3, 2),
    (7, 6, 5, 9, 8, 2, 1, 0, 4, 3),
    (8, 7, 6, 5, 9, 3, 2, 1, 0, 4),
    (9, 8, 7, 6, 5, 4, 3, 2, 1, 0),
)
_FIRST: Final = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)


def _powers() -> tuple[tuple[int, ...], ...]:
    found = [tuple(range(10))]
    while len(found) < 8:
        found.append(tuple(_FIRST[digit] for digit in found[-1]))
    return tuple(found)


_PERMUTED: Final = _powers()


def _verhoeff(digits: str) -> bool:
    check = 0
    for place, digit in enumerate(reversed(digits)):
        check = _PRODUCT[check][_PERMUTED[place % 8][int(digit)]]
    return check == 0


def _loinc(code: str) -> bool:
    found = _LOINC.fullmatch(code)
    if found is None or found[1]:
        return found is not None
    # Every other digit from the right is doubled; the digits of all that are added up.
    total = 0
    for place, digit in enumerate(reversed(found[2])):
        value = int(digit) * (2 - place % 2)
        total += value - 9 if value > 9 else value
    return -total % 10 == int(found[3])


def _snomed(code: str) -> bool:
    if _EXPRESSION.search(code):
        return True
    return _CONCEPT.fullmatch(code) is not None and code[-3:-1] in _CONCEPTS and _verhoeff(code)


_FORMS: Final[dict[str, Callable[[str], bool]]] = {
    "http://loinc.org": _loinc,
    "http://snomed.info/sct": _snomed,
    "http://hl7.org/fhir/sid/cvx": lambda code: _CVX.fullmatch(code) is not None,
    "http://www.nlm.nih.gov/research/umls/rxnorm": lambda code: _NUMBER.fullmatch(code) is not None,
}


@lru_cache(maxsize=20_000)
def may_exist(system: str, code: str) -> bool:
    """Whether a code has the form that codes of its system have; True for systems without one here."""
    form = _FORMS.get(system)
    return form is None or form(code)
