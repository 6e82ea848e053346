# SPDX-License-Identifier: Apache-2.0
"""Who looks after the person and to what end: CareTeam, Goals with targets, CarePlan.

Goals are judged by the last measured value, so that a plan never contradicts the chart. Every patient has a
physician in the team; about a third have the demo nurse, which is what nurse access rests on.
"""

from __future__ import annotations

from datetime import date, timedelta
from random import Random
from typing import NamedTuple

from salus.synthetic import analytes, vitals
from salus.synthetic.chart import Chart, staff_reference
from salus.synthetic.clinic import NURSE, OBSTETRICIAN, PHARMACIST
from salus.synthetic.conditions import Course, condition_reference
from salus.synthetic.history import History
from salus.synthetic.terms import (
    LOINC,
    ORGANIZATION,
    SNOMED,
    Resource,
    Term,
    concept,
    quantity,
    reference,
    terminology,
)


class Target(NamedTuple):
    """A measurable aim: LOINC code, upper limit, unit for people and in UCUM, decimal places."""

    term: Term
    below: float
    unit: str
    ucum: str
    places: int = 0


class Aim(NamedTuple):
    """What is aimed at for a disease, the plan's category and the activities that serve it."""

    text: str
    target: Target | None
    category: Term
    activities: tuple[Term, ...]


def _snomed(code: str, display: str) -> Term:
    return Term(SNOMED, code, display)


_CARE_PLAN = _snomed("734163000", "Care plan")
_HEALTHY_DIET = _snomed("226234005", "Healthy diet")
_EXERCISE = _snomed("229065009", "Exercise therapy")
_LOW_SALT = _snomed("386619000", "Low sodium diet")
_STRESS = _snomed("226060000", "Stress management")
_SYSTOLIC = Target(Term(LOINC, "8480-6", "Systolic blood pressure"), 130, "mmHg", "mm[Hg]")

_AIMS: dict[str, Aim] = {
    "diabetes": Aim(
        "HbA1c below 7 %",
        Target(analytes.A1C.term, 7.0, "%", "%", 1),
        _snomed("698360004", "Diabetes self management plan"),
        (_snomed("160670007", "Diabetic diet"), _EXERCISE),
    ),
    "hypertension": Aim("Systolic blood pressure below 130 mmHg", _SYSTOLIC, _CARE_PLAN, (_LOW_SALT, _EXERCISE)),
    "hyperlipidemia": Aim(
        "LDL cholesterol below 100 mg/dL",
        Target(analytes.LDL.term, 100, "mg/dL", "mg/dL"),
        _snomed("736285004", "Hyperlipidemia clinical management plan"),
        (_HEALTHY_DIET, _EXERCISE),
    ),
    "kidney": Aim(
        "Albumin/creatinine ratio below 30 mg/g",
        Target(analytes.ALBUMIN.term, 30, "mg/g", "mg/g"),
        _CARE_PLAN,
        (_LOW_SALT,),
    ),
    "asthma": Aim(
        "No night without sleep from asthma",
        None,
        _snomed("699728000", "Asthma self management"),
        (_snomed("710818004", "Inhaled steroid therapy"),),
    ),
    "copd": Aim(
        "Walk to the shop without a rest",
        None,
        _snomed("412776001", "Chronic obstructive pulmonary disease clinical management plan"),
        (_snomed("15081005", "Pulmonary rehabilitation"),),
    ),
    "depression": Aim(
        "PHQ-9 below 5 points",
        Target(vitals.DEPRESSION_SCORE.terms[0], 5, "points", "{score}"),
        _CARE_PLAN,
        (_STRESS, _EXERCISE),
    ),
    "hypothyroidism": Aim(
        "TSH below 4.5 m[IU]/L",
        Target(analytes.THYROTROPIN.term, 4.5, "m[IU]/L", "m[IU]/L", 1),
        _CARE_PLAN,
        (_HEALTHY_DIET,),
    ),
    "migraine": Aim("Fewer than four days of migraine a month", None, _CARE_PLAN, (_STRESS,)),
    "pregnancy": Aim(
        "Healthy mother and child",
        None,
        _snomed("134435003", "Routine antenatal care"),
        (_snomed("135892000", "Antenatal education"),),
    ),
}
_ADULT_AIM = Aim("150 minutes of brisk activity a week", None, _CARE_PLAN, (_HEALTHY_DIET, _EXERCISE))
_CHILD_AIM = Aim("Growth and development along the chart", None, _CARE_PLAN, (_HEALTHY_DIET,))

_PHYSICIAN_ROLE = _snomed("158965000", "Medical practitioner")
_NURSE_ROLE = _snomed("224535009", "Registered nurse")
_PHARMACIST_ROLE = _snomed("46255001", "Pharmacist")
_LONGITUDINAL_TEAM = Term(LOINC, "LA28865-6", "Longitudinal care-coordination focused care team")
_ACHIEVED = terminology("goal-achievement", "achieved", "Achieved")
_IN_PROGRESS = terminology("goal-achievement", "in-progress", "In Progress")
_MEDIUM = terminology("goal-priority", "medium-priority", "Medium Priority")


def write_care_team(chart: Chart, history: History, random: Random) -> str:
    """Write the CareTeam (https://hl7.org/fhir/R4/careteam.html) and return its reference."""
    start = {"start": history.visits[0].on.isoformat()}
    members = [(chart.person.physician, _PHYSICIAN_ROLE)]
    if any(course.disease.key == "pregnancy" for course in history.courses):
        members.append((OBSTETRICIAN, _PHYSICIAN_ROLE))
    if random.random() < 1 / 3:
        members.append((NURSE, _NURSE_ROLE))
    if sum(len(course.treatments) for course in history.courses if not course.disease.days) >= 3:
        members.append((PHARMACIST, _PHARMACIST_ROLE))
    return chart.add(
        "CareTeam",
        {
            "status": "active",
            "category": [concept(_LONGITUDINAL_TEAM)],
            "name": f"Care team of {chart.person.full_name}",
            "period": start,
            "participant": [
                {"role": [concept(role)], "member": staff_reference(member), "period": dict(start)}
                for member, role in members
            ],
            "managingOrganization": [reference(ORGANIZATION, "Salus Demo Clinic")],
        },
    )


def _goal(chart: Chart, aim: Aim, course: Course | None, start: date, *, over: bool) -> str:
    """Write a Goal (https://hl7.org/fhir/R4/goal.html); gol-1: a target needs a measure."""
    last = chart.latest.get(aim.target.term.code) if aim.target else None
    achieved = over or (aim.target is not None and last is not None and last < aim.target.below)
    fields: Resource = {
        "lifecycleStatus": "completed" if over else "active",
        "achievementStatus": concept(_ACHIEVED if achieved else _IN_PROGRESS),
        "priority": concept(_MEDIUM),
        "description": {"text": aim.text},
        "startDate": start.isoformat(),
        "expressedBy": staff_reference(chart.person.physician),
    }
    if aim.target is not None:
        high = quantity(aim.target.below, aim.target.places, aim.target.unit, aim.target.ucum)
        fields["target"] = [
            {
                "measure": concept(aim.target.term),
                "detailRange": {"high": high},
                "dueDate": (chart.today + timedelta(days=180)).isoformat(),
            }
        ]
    if course is not None:
        fields["addresses"] = [condition_reference(course)]
    return chart.add("Goal", fields)


def write_plans(chart: Chart, history: History, team: str) -> None:
    """Write a Goal and a CarePlan for each of the first two lasting problems, or one for staying well.

    https://hl7.org/fhir/R4/careplan.html
    """
    lasting = [course for course in history.courses if course.disease.key in _AIMS]
    plans: list[tuple[Aim, Course | None]] = [(_AIMS[each.disease.key], each) for each in lasting[:2]]
    if not plans:
        child = chart.person.age(chart.today) < 18
        plans = [(_CHILD_AIM if child else _ADULT_AIM, None)]
    for aim, course in plans:
        start = course.diagnosed if course else history.visits[0].on
        ended = course.ended if course else None
        over = ended is not None and ended <= chart.today
        goal = _goal(chart, aim, course, start, over=over)
        period = {"start": start.isoformat()}
        if over and ended is not None:
            period["end"] = ended.isoformat()
        status = "completed" if over else "in-progress"
        fields: Resource = {
            "status": "completed" if over else "active",
            "intent": "plan",
            "category": [concept(aim.category)],
            "title": aim.text,
            "period": period,
            "created": start.isoformat(),
            "author": staff_reference(chart.person.physician),
            "careTeam": [reference(team)],
            "goal": [reference(goal)],
            "activity": [
                {"detail": {"code": concept(activity), "status": status, "doNotPerform": False}}
                for activity in aim.activities
            ],
        }
        if course is not None:
            fields["addresses"] = [condition_reference(course)]
        chart.add("CarePlan", fields)
