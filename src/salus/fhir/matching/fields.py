# SPDX-License-Identifier: Apache-2.0
"""How well each field of two Patients agrees: a word from a short list, or nothing when one of them does not say.

The best of all pairs counts: a person has several names, addresses and numbers, and needs only one in common.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any

from salus.fhir.matching.words import letters, similarity, sound

Patient = dict[str, Any]
Agreement = str | None

_CLOSE = 0.92
_NEAR = 0.85
_MOST = 32  # names or addresses of one person that are compared; more are made up
_PHONE_DIGITS = 7  # what is left when country and area are written or not
_STREET = 0.9


def identifier(one: Patient, other: Patient) -> Agreement:
    """`same` number of the same system; `different` when they share a system and no number."""
    ours, theirs = _numbers(one), _numbers(other)
    if ours & theirs:
        return "same"
    return "different" if {system for system, _ in ours} & {system for system, _ in theirs} else None


def _numbers(patient: Patient) -> set[tuple[str, str]]:
    return {
        (each.get("system", ""), letters(each["value"]))
        for each in patient.get("identifier", ())
        if "value" in each and "system" in each and each.get("use") != "old"
    }


def family(one: Patient, other: Patient) -> Agreement:
    """`same`, `sounds alike`, `similar` or `different`."""
    return _best(_families(one), _families(other), _word)


def _families(patient: Patient) -> list[str]:
    return [letters(name["family"]) for name in patient.get("name", ()) if "family" in name]


def given(one: Patient, other: Patient) -> Agreement:
    """As `family`, and `initial` when one of them is only the first letters of the other."""
    return _best(_givens(one), _givens(other), _given)


def _givens(patient: Patient) -> list[str]:
    """The first given name of each name; the second is too often left out."""
    return [letters(name["given"][0] or "") for name in patient.get("name", ()) if name.get("given")]


def _word(one: str, other: str) -> str:
    alike = similarity(one, other)
    if alike == 1.0:
        return "same"
    if alike >= _CLOSE or (alike >= _NEAR - 0.1 and sound(one) and sound(one) == sound(other)):
        return "sounds alike"
    return "similar" if alike >= _NEAR else "different"


def _given(one: str, other: str) -> str:
    agreement = _word(one, other)
    short, long = sorted((one, other), key=len)
    if agreement in {"similar", "different"} and short and long.startswith(short):
        return "initial"
    return agreement


def birth_date(one: Patient, other: Patient) -> Agreement:
    """`same`, `one digit`, `swapped` (day and month), `month` or `year` (no more than that is said or agrees)."""
    ours, theirs = one.get("birthDate"), other.get("birthDate")
    if not isinstance(ours, str) or not isinstance(theirs, str):
        return None
    if ours == theirs:
        return "same" if len(ours) == 10 else "month" if len(ours) == 7 else "year"
    if len(ours) == len(theirs) == 10:
        if ours[:4] == theirs[:4] and ours[5:7] == theirs[8:] and ours[8:] == theirs[5:7]:
            return "swapped"
        wrong = [at for at in range(10) if ours[at] != theirs[at]]
        if len(wrong) == 1 or (len(wrong) == 2 and _transposed(ours, theirs, wrong)):
            return "one digit"
    if ours[:7] == theirs[:7] and len(ours) > 4 and len(theirs) > 4:
        return "month"
    return "year" if ours[:4] == theirs[:4] else "different"


def _transposed(one: str, other: str, at: list[int]) -> bool:
    first, second = at
    return one[first] == other[second] and one[second] == other[first]


def gender(one: Patient, other: Patient) -> Agreement:
    """`same` or `different`; `other` and `unknown` say nothing."""
    ours, theirs = one.get("gender"), other.get("gender")
    if {ours, theirs} <= {"male", "female"}:
        return "same" if ours == theirs else "different"
    return None


def telecom(one: Patient, other: Patient) -> Agreement:
    """`mail` or `phone` in common; `different` when none is."""
    ours, theirs = _contacts(one), _contacts(other)
    if not ours or not theirs:
        return None
    common = ours & theirs
    if not common:
        return "different"
    return "mail" if any("@" in each for each in common) else "phone"


def _contacts(patient: Patient) -> set[str]:
    found = set()
    for each in patient.get("telecom", ()):
        value = each.get("value", "")
        if "@" in value:
            found.add(value.strip().lower())
        elif len(digits := "".join(c for c in value if c.isdigit())) >= _PHONE_DIGITS:
            found.add(digits[-_PHONE_DIGITS:])
    return found


def address(one: Patient, other: Patient) -> Agreement:
    """`street` (and place), `place` (postal code or city) or `different`."""
    return _best(one.get("address", ()), other.get("address", ()), _place)


def _place(one: dict[str, Any], other: dict[str, Any]) -> str:
    codes = [letters(each.get("postalCode", ""))[:5] for each in (one, other)]
    cities = [letters(each.get("city", "")) for each in (one, other)]
    near = (codes[0] and codes[0] == codes[1]) or (cities[0] and similarity(*cities) >= _CLOSE)
    streets = [letters(" ".join(line for line in each.get("line", ()) if line)) for each in (one, other)]
    if near and streets[0] and streets[1] and similarity(*streets) >= _STREET:
        return "street"
    return "place" if near else "different"


_ORDER = ("same", "mail", "phone", "street", "sounds alike", "similar", "initial", "place", "different")


def _best(ours: Iterable[Any], theirs: Iterable[Any], compare: Callable[[Any, Any], str]) -> Agreement:
    theirs = list(islice(theirs, _MOST))
    found = [compare(one, other) for one in islice(ours, _MOST) if one for other in theirs if other]
    return min(found, key=_ORDER.index, default=None)


def twins(one: Patient, other: Patient) -> Agreement:
    """`different` when both are of a multiple birth and not the same of it."""
    orders = [each.get("multipleBirthInteger") for each in (one, other)]
    return "different" if None not in orders and orders[0] != orders[1] else None


COMPARE: dict[str, Callable[[Patient, Patient], Agreement]] = {
    "identifier": identifier,
    "family": family,
    "given": given,
    "birthDate": birth_date,
    "gender": gender,
    "telecom": telecom,
    "address": address,
    "multipleBirth": twins,
}
"""Every field that is compared."""
