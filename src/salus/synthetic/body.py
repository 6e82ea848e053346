# SPDX-License-Identifier: Apache-2.0
"""What would be measured in a person on a given day: growth, disease and treatment turned into numbers.

Each marker is a baseline of the person, plus what the disease adds with time, less what the drugs take away
as their effect builds up; measuring adds noise. Simple on purpose: trends have the right direction and size,
no more. Units are those of a laboratory in the United States. Writes no resources.
"""

from __future__ import annotations

from bisect import bisect_right
from datetime import date
from random import Random

from salus.synthetic import formulary as drugs
from salus.synthetic.conditions import Course
from salus.synthetic.formulary import Drug
from salus.synthetic.history import Visit
from salus.synthetic.people import YEAR, Person

# Medians of the CDC growth charts (2000), rounded: https://www.cdc.gov/growthcharts/
_AGES = (0, 0.5, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18)
_HEIGHT = {
    "male": (
        50, 67.5, 76, 87, 95, 102.5, 109, 115.5, 122, 128,
        133.5, 138.5, 143.5, 149, 156, 164, 170, 173.5, 175.5, 176.5,
    ),
    "female": (
        49, 66, 74.5, 85.5, 94, 101, 108, 115, 121.5, 127.5,
        133, 138, 144, 151.5, 157, 160.5, 162, 162.5, 163, 163.2,
    ),
}  # fmt: skip
_WEIGHT = {
    "male": (
        3.5, 7.9, 10.3, 12.7, 14.4, 16.3, 18.5, 20.8, 23.1, 25.6,
        28.6, 32.1, 36.1, 40.7, 45.8, 51.2, 56.5, 61.1, 64.7, 67.3,
    ),
    "female": (
        3.4, 7.2, 9.5, 12.1, 13.9, 15.9, 18, 20.3, 22.9, 25.8,
        29.1, 33.1, 37.4, 41.8, 46.1, 49.9, 52.4, 54.1, 55.3, 56.3,
    ),
}  # fmt: skip

# Full effect of each drug on the marker of its disease, reached after about three months.
_SYSTOLIC_FALL: dict[Drug, float] = {
    drugs.LISINOPRIL: 12,
    drugs.LISINOPRIL_HIGH: 17,
    drugs.LOSARTAN: 14,
    drugs.AMLODIPINE: 10,
}
_A1C_FALL: dict[Drug, float] = {drugs.METFORMIN: 1.3, drugs.METFORMIN_HIGH: 1.9, drugs.EMPAGLIFLOZIN: 0.7}
_LDL_SHARE: dict[Drug, float] = {drugs.ATORVASTATIN: 0.40, drugs.ATORVASTATIN_HIGH: 0.47}
_SCORE_SHARE: dict[Drug, float] = {drugs.SERTRALINE: 0.60, drugs.SERTRALINE_HIGH: 0.78}
_FULL_AFTER = 80.0  # days


def _interpolate(ages: tuple[float, ...], values: tuple[float, ...], age: float) -> float:
    if age >= ages[-1]:
        return values[-1]
    at = bisect_right(ages, age)
    share = (age - ages[at - 1]) / (ages[at] - ages[at - 1])
    return values[at - 1] + share * (values[at] - values[at - 1])


class Body:
    """The measurable state of one person.

    `random` gives baseline and noise: the same calls in the same order give the same values.
    """

    def __init__(self, person: Person, courses: list[Course], random: Random) -> None:
        self._person = person
        self._random = random
        self._courses = {course.disease.key: course for course in courses if not course.disease.days}
        self._systolic = random.gauss(0, 6)
        self._ldl = random.gauss(108, 18)
        self._hdl = random.gauss(57 if person.sex == "female" else 48, 8)
        self._triglycerides = random.gauss(115, 25)
        self._filtration = random.gauss(0, 6)
        self._a1c = random.gauss(5.3, 0.15)
        self._hemoglobin = random.gauss(0, 0.6)
        self._score = random.gauss(15.5, 2)

    def _years(self, key: str, on: date) -> float:
        """Years since the onset of a lasting disease, negative before it, -1 without it."""
        course = self._courses.get(key)
        return (on - course.onset).days / YEAR if course else -1.0

    def _effect(self, key: str, on: date, table: dict[Drug, float]) -> float:
        course = self._courses.get(key)
        if course is None:
            return 0.0
        return sum(each.share(on, _FULL_AFTER) * table.get(each.drug, 0.0) for each in course.treatments)

    def pregnant_days(self, on: date) -> int:
        """Days since the last period while pregnant, else 0."""
        course = self._courses.get("pregnancy")
        if course is None or on < course.onset or (course.ended is not None and on > course.ended):
            return 0
        return (on - course.onset).days + 16

    def height(self, on: date) -> float:
        """Body height in cm."""
        age = self._person.age(on)
        shrunk = max(0.0, age - 60) * 0.06
        return _interpolate(_AGES, _HEIGHT[self._person.sex], age) * self._person.stature - shrunk

    def weight(self, on: date) -> float:
        """Body weight in kg: growth chart for children, body mass index for adults, a slide from 18 to 25."""
        person = self._person
        age = person.age(on)
        bulk = 1 + (person.build - 27.3) * 0.014
        weight = _interpolate(_AGES, _WEIGHT[person.sex], age) * person.stature**2 * bulk
        if age > 18:
            grown = person.build * (self.height(on) / 100) ** 2
            weight += (grown - weight) * min(1.0, (age - 18) / 7)
        weight += self.pregnant_days(on) / 277 * 11.5
        return weight * self._random.gauss(1, 0.008)

    def pressure(self, on: date) -> tuple[float, float]:
        """Systolic and diastolic blood pressure in mm[Hg]."""
        age = self._person.age(on)
        systolic = (91 + 1.7 * age if age < 16 else 111 + 0.22 * age) + self._systolic
        if self._years("hypertension", on) >= 0:
            systolic += 24 - self._effect("hypertension", on, _SYSTOLIC_FALL)
        systolic = max(82.0, systolic + self._random.gauss(0, 4))
        return systolic, systolic * 0.42 + (24 if age >= 16 else 18) + self._random.gauss(0, 3)

    def heart_rate(self, on: date, *, fever: bool) -> float:
        """Heart rate per minute."""
        age = self._person.age(on)
        rate = _interpolate((0, 1, 3, 6, 10, 15, 20), (138, 122, 105, 95, 86, 77, 72), age)
        return rate + self._random.gauss(0, 5) + (14 if fever else 0) + self.pregnant_days(on) / 30

    def breaths(self, on: date, *, fever: bool) -> float:
        """Respiratory rate per minute."""
        rate = _interpolate((0, 1, 3, 6, 12, 18), (38, 28, 25, 21, 18, 15), self._person.age(on))
        return rate + self._random.gauss(0, 1) + (4 if fever else 0)

    def temperature(self, *, fever: bool) -> float:
        """Body temperature in degrees Celsius."""
        return self._random.gauss(38.6, 0.3) if fever else self._random.gauss(36.8, 0.2)

    def oxygen(self, on: date) -> float:
        """Oxygen saturation in percent, by pulse oximetry."""
        if self._years("copd", on) >= 0:
            return min(97.0, self._random.gauss(93, 1))
        return min(100.0, self._random.gauss(98, 0.7))

    def airflow(self, on: date) -> float:
        """FEV1/FVC in percent; below 70 means obstruction."""
        usual = 84 - max(0.0, self._person.age(on) - 30) * 0.16
        years = self._years("copd", on)
        if years >= 0:
            usual = 63 - min(years, 12) * 0.8
        elif self._years("asthma", on) >= 0:
            usual -= 5
        return usual + self._random.gauss(0, 1.5)

    def pain(self, visit: Visit) -> float:
        """Pain as the patient rates it, 0 to 10."""
        keys = {course.disease.key for course in visit.courses}
        if visit.kind == "acute":
            worst = 6 if keys & {"back-pain", "sprain", "otitis"} else 3
        else:
            worst = 4 if "migraine" in keys else 1
        return min(10.0, max(0.0, self._random.gauss(worst, 1)))

    def depression_score(self, on: date) -> float:
        """PHQ-9 total, 0 to 27."""
        score = self._random.gauss(2, 1.2)
        if self._years("depression", on) >= 0:
            fall = self._effect("depression", on, _SCORE_SHARE)
            score = self._score * (1 - fall) + self._random.gauss(0, 1)
        return min(27.0, max(0.0, score))

    def laboratory(self, visit: Visit) -> dict[str, float]:
        """All markers a laboratory could measure at a visit, by analyte key; related ones agree."""
        on, noise = visit.on, self._random.gauss
        age = self._person.age(on)
        a1c = self._a1c + max(0.0, age - 40) * 0.006 + noise(0, 0.08)
        if (years := self._years("diabetes", on)) >= 0:
            a1c = max(5.9, 8.1 + 0.15 * min(years, 8) - self._effect("diabetes", on, _A1C_FALL) + noise(0, 0.2))
        share = self._effect("hyperlipidemia", on, _LDL_SHARE)
        ldl = (self._ldl + (62 if self._years("hyperlipidemia", on) >= 0 else 0)) * (1 - share) + noise(0, 5)
        hdl = max(26.0, self._hdl + noise(0, 2))
        triglycerides = max(45.0, self._triglycerides + max(0.0, a1c - 5.7) * 18 + noise(0, 10))
        filtration = min(122.0, 118 - max(0.0, age - 28) * 0.72 + self._filtration)
        if (years := self._years("kidney", on)) >= 0:
            filtration = max(31.0, 54 - 1.1 * min(years, 15))
        filtration *= noise(1, 0.03)
        creatinine = self._creatinine(filtration, age)
        blood = (14.9 if self._person.sex == "male" and age >= 14 else 13.4) if age >= 10 else 12.5
        hemoglobin = blood + self._hemoglobin + noise(0, 0.25) - self.pregnant_days(on) / 277 * 2
        infected = visit.feverish and any(course.disease.key == "bronchitis" for course in visit.courses)
        albumin = 12 + 9 * max(0.0, years + 1) + noise(0, 2) if "kidney" in self._courses else noise(11, 3)
        return {
            "a1c": a1c,
            "glucose": max(66.0, 28.7 * a1c - 58 + noise(0, 5)),  # fasting, a little under the ADAG mean
            "creatinine": creatinine,
            "egfr": filtration,
            "urea": max(6.0, 9 + creatinine * 5 + noise(0, 1.5)),
            "sodium": noise(139.8, 1.3),
            "potassium": noise(4.2, 0.22),
            "ldl": max(35.0, ldl),
            "hdl": hdl,
            "triglycerides": triglycerides,
            "hemoglobin": hemoglobin,
            "hematocrit": hemoglobin * 3 + noise(0, 0.3),
            "leukocytes": max(3.6, noise(11.8 if infected else 6.8, 0.9)),
            "platelets": noise(252, 22),
            "tsh": self._thyrotropin(on),
            "albumin": max(3.0, albumin),
        }

    def _thyrotropin(self, on: date) -> float:
        """TSH in m[IU]/L: high without enough hormone, normal after about two months of it."""
        normal = max(0.6, self._random.gauss(2.0, 0.5))
        if self._years("hypothyroidism", on) < 0:
            return normal
        cured = self._effect("hypothyroidism", on, {drugs.LEVOTHYROXINE: 1.0})
        return normal + (9.0 + self._random.gauss(0, 0.8)) * (1 - cured)

    def _creatinine(self, filtration: float, age: float) -> float:
        """Creatinine in mg/dL that gives this filtration rate by CKD-EPI 2021, here turned round.

        https://www.kidney.org/ckd-epi-creatinine-equation-2021
        """
        female = self._person.sex == "female"
        kappa, alpha = (0.7, -0.241) if female else (0.9, -0.302)
        if age < 18:
            return (0.25 + age * 0.03) * self._random.gauss(1, 0.05)
        ratio = filtration / (142 * 0.9938**age * (1.012 if female else 1.0))
        return float(kappa * ratio ** (1 / (alpha if ratio > 1 else -1.2)))
