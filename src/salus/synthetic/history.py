# SPDX-License-Identifier: Apache-2.0
"""The course of a life at the clinic: which visits there were, what was found at them and what was begun.

The plan is made before anything is written, in this order: allergy, lasting diseases, pregnancy, check-ups
over the years of the record, passing illnesses in between. So dates are right by construction: birth < onset
< diagnosis = a visit, and every drug starts at a visit that dealt with its disease. Writes no resources.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from random import Random
from typing import NamedTuple

from salus.synthetic import formulary as drugs
from salus.synthetic.allergies import PENICILLIN, Allergy, draw_allergy
from salus.synthetic.clinic import OBSTETRICIAN
from salus.synthetic.conditions import ACUTE, CHRONIC, PREGNANCY, Course, Disease, Treatment, strikes
from salus.synthetic.formulary import Drug
from salus.synthetic.people import YEAR, Person

_WELL_CHILD_MONTHS = (2, 4, 6, 12, 15, 18, 24, 30, *range(36, 228, 12))
# Who has nothing else on record has had one of these, by whether the person is 12 or older.
_ANYBODY = {
    older: [each for each in ACUTE if each.key in keys]
    for older, keys in ((False, {"pharyngitis"}), (True, {"pharyngitis", "bronchitis", "sprain"}))
}
_GESTATION = 277  # days from the last period to the birth, a little under the textbook's 280


@dataclass(slots=True)
class Visit:
    """One visit.

    Attributes:
        on: the day; never today or later.
        kind: `well-child`, `check-up`, `follow-up`, `acute`, `prenatal-initial`, `prenatal`, `delivery` or
            `postnatal`.
        clinician: Practitioner id.
        courses: what the visit was about.
        started: drugs begun, with the course they are for.
    """

    on: date
    kind: str
    clinician: str
    courses: list[Course] = field(default_factory=list)
    started: list[tuple[Treatment, Course]] = field(default_factory=list)

    @property
    def feverish(self) -> bool:
        """The patient comes with an illness that gives fever."""
        return self.kind == "acute" and any(course.disease.feverish for course in self.courses)


@dataclass(slots=True)
class History:
    """All that is planned for one person, visits in order of date."""

    allergy: Allergy | None
    courses: list[Course]
    visits: list[Visit]


class _Plan(NamedTuple):
    """What choosing a drug needs to know."""

    person: Person
    visits: list[Visit]
    known: set[str]
    allergy: Allergy | None


def plan(person: Person, random: Random, today: date) -> History:
    """Plan a person's years at the clinic: up to 10 for adults, up to 6 for children."""
    allergy = draw_allergy(random)
    age = person.age(today)
    pregnant = person.sex == "female" and 20 <= age <= 40 and random.random() < 0.3
    lasting = _lasting_diseases(person, today, random, pregnant=pregnant)
    routine = _well_child_visits(person, random, today) if age < 18 else []
    if age >= 18:
        routine = _adult_visits(person, random, today, busy=bool(lasting))
    courses = [_lasting_course(disease, person, random, routine) for disease in lasting]
    visits = list(routine)
    if pregnant:
        course, own = _pregnancy(random, today)
        courses.append(course)
        visits += own
    known = {course.disease.key for course in courses}
    first = min(visit.on for visit in visits)
    passing = [disease for disease in ACUTE if disease.safe_in_pregnancy or not pregnant]
    for disease in passing:
        on = _workday(first + timedelta(days=random.randrange(5, max(6, (today - first).days - 4))))
        if strikes(disease, person, person.age(on), known | _risks(person, today), random):
            visits.append(_acute_visit(disease, person, random, on))
    if not courses and len(visits) == len(routine):  # even the healthy have been ill once
        on = routine[-1].on - timedelta(days=random.randrange(20, 40))
        if person.age(on) > 1:
            visits.append(_acute_visit(random.choice(_ANYBODY[person.age(on) >= 12]), person, random, on))
    courses += [course for visit in visits if visit.kind == "acute" for course in visit.courses]
    visits.sort(key=lambda visit: visit.on)
    for course in courses:
        _treat(course, _Plan(person, visits, known, allergy), random)
    return History(allergy, courses, visits)


def _risks(person: Person, today: date) -> set[str]:
    """What makes diseases more likely, by the keys of `Disease.worsened_by`."""
    risks = set()
    if person.build >= 30 and person.age(today) >= 18:
        risks.add("obesity")
    if person.smoking != "never":
        risks.add("smoking")
    return risks


def _lasting_diseases(person: Person, today: date, random: Random, *, pregnant: bool) -> list[Disease]:
    """Draw the diseases that stay, as of a year and a half ago, so that there was time to find them."""
    others = _risks(person, today)
    found = []
    for disease in CHRONIC:
        if pregnant and not disease.safe_in_pregnancy:
            continue
        if strikes(disease, person, person.age(today) - 1.5, others, random):
            others.add(disease.key)
            found.append(disease)
    return found


def _workday(on: date) -> date:
    """Move a day at the weekend to the Friday before."""
    return on - timedelta(days=max(0, on.weekday() - 4))


def _well_child_visits(person: Person, random: Random, today: date) -> list[Visit]:
    years = random.uniform(3, 6)
    start = max(person.birth, today - timedelta(days=int(years * YEAR)))
    visits = []
    for months in _WELL_CHILD_MONTHS:
        due = person.birth + timedelta(days=int(months * YEAR / 12))
        on = _workday(due + timedelta(days=random.randrange(4, 20)))
        if start < on < today:
            visits.append(Visit(on, "well-child", person.physician))
    return visits


def _adult_visits(person: Person, random: Random, today: date, *, busy: bool) -> list[Visit]:
    """Spread check-ups over the years; those who have something lasting come more often."""
    grown = person.age(today) - 17.5  # years since the person left the children's doctor
    years = max(0.7, min(grown, random.uniform(3, 6) if busy else random.uniform(4, 10)))
    count = max(2, min(6, round(years * 1.4))) if busy else max(2, min(6, round(years * 0.75)))
    gap = years * YEAR / count
    visits = []
    for number in range(count):
        ago = int((count - number - 1) * gap + random.uniform(2, gap * 0.6))
        kind = "follow-up" if busy and number % 2 else "check-up"
        visits.append(Visit(_workday(today - timedelta(days=ago)), kind, person.physician))
    return visits


def _lasting_course(disease: Disease, person: Person, random: Random, routine: list[Visit]) -> Course:
    """Let a lasting disease be found at an early visit; what is found at the very first may be old."""
    youngest = disease.chances[0][0]
    able = [visit for visit in routine if person.age(visit.on) > youngest] or routine[-1:]
    visit = able[min(random.choice((0, 0, 1, 1, 2)), len(able) - 1)]
    days = random.randrange(25, 300)
    if visit is routine[0] and random.random() < 0.5:
        days += random.randrange(300, 2500)
    since_able = int(person.age(visit.on) * YEAR - youngest * YEAR)
    onset = visit.on - timedelta(days=min(days, max(7, since_able)))
    course = Course(disease, onset, visit.on)
    for later in routine:
        if later.on >= visit.on:
            later.courses.append(course)
    return course


def _pregnancy(random: Random, today: date) -> tuple[Course, list[Visit]]:
    """Plan one pregnancy that began 100 to 900 days ago, with its visits up to six weeks after the birth."""
    last_period = today - timedelta(days=random.randrange(100, 900))
    birth = last_period + timedelta(days=_GESTATION + random.randrange(-10, 9))
    course = Course(PREGNANCY, last_period + timedelta(days=16), last_period)
    calendar = [
        ("prenatal-initial", last_period + timedelta(days=random.randrange(58, 74))),
        ("prenatal", last_period + timedelta(days=random.randrange(138, 152))),
        ("prenatal", last_period + timedelta(days=random.randrange(208, 224))),
        ("delivery", birth),
        ("postnatal", birth + timedelta(days=random.randrange(38, 48))),
    ]
    visits = []
    for kind, due in calendar:
        on = due if kind == "delivery" else _workday(due)
        if on < today:
            visits.append(Visit(on, kind, OBSTETRICIAN, [course]))
    course.diagnosed = visits[0].on
    if birth < today:
        course.ended = birth
    return course, visits


def _acute_visit(disease: Disease, person: Person, random: Random, on: date) -> Visit:
    """Plan a visit for a passing illness that began some days before."""
    onset = on - timedelta(days=random.randrange(1, 5))
    ended = onset + timedelta(days=disease.days + random.randrange(5))
    return Visit(on, "acute", person.physician, [Course(disease, onset, on, ended)])


def _treat(course: Course, plan: _Plan, random: Random) -> None:
    """Walk the steps of treatment along the visits that deal with the disease."""
    own = [visit for visit in plan.visits if any(each is course for each in visit.courses)]
    for step in course.disease.steps:
        if step.after >= len(own) or random.random() >= step.chance:
            continue
        visit = own[step.after]
        drug = suitable(step.drug, plan.person.age(visit.on), plan.known, plan.allergy)
        if drug is None:
            continue
        treatment = Treatment(drug, visit.on, course.ended)
        if step.replaces and course.treatments:
            course.treatments[-1].stop = visit.on
            course.treatments[-1].superseded = True
        course.treatments.append(treatment)
        visit.started.append((treatment, course))


def suitable(drug: Drug, age: float, known: set[str], allergy: Allergy | None) -> Drug | None:
    """Replace a drug that the person should not have, or refuse it.

    Args:
        drug: what the model would give.
        age: years.
        known: keys of all diseases in the chart.
        allergy: the person's allergy.

    Returns:
        The drug, one in its place, or None.
    """
    if drug is drugs.AMOXICILLIN_LIQUID and allergy is PENICILLIN:
        drug = drugs.IBUPROFEN_LIQUID
    if drug is drugs.NAPROXEN and known & {"kidney", "hypertension", "pregnancy"}:
        drug = drugs.ACETAMINOPHEN
    if drug is drugs.IBUPROFEN_LIQUID and (age >= 12 or "pregnancy" in known):
        drug = drugs.ACETAMINOPHEN
    if drug is drugs.SUMATRIPTAN and (age < 18 or "hypertension" in known):
        drug = drugs.ACETAMINOPHEN
    if drug is drugs.ACETAMINOPHEN and age < 12:
        drug = drugs.IBUPROFEN_LIQUID
    return drug if age >= drug.minimum_age else None
