# SPDX-License-Identifier: Apache-2.0
"""The generator: one person's whole chart, a population of them, and a Bundle to send.

Pure: the result follows from the seed, the number and today's date (and the version of Faker, whose name
lists are used). Numbers are `int` or `decimal.Decimal`; encode decimals as JSON numbers. References are
literal `Type/id`, to resources of the same chart and to those of `clinic`, so write the clinic first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date
from random import Random
from typing import Literal

from salus.kernel.errors import Kind, Problem
from salus.synthetic import history as histories
from salus.synthetic.allergies import allergy_fields
from salus.synthetic.billing import Ledger
from salus.synthetic.body import Body
from salus.synthetic.chart import Chart
from salus.synthetic.consent import write_consent
from salus.synthetic.documents import write_note, write_restricted_note
from salus.synthetic.encounters import open_encounter
from salus.synthetic.immunizations import Schedule, vaccinate
from salus.synthetic.laboratory import run_panels
from salus.synthetic.medications import prescribe
from salus.synthetic.people import invent, patient_resource
from salus.synthetic.planning import write_care_team, write_plans
from salus.synthetic.procedures import perform
from salus.synthetic.terms import Resource
from salus.synthetic.vitals import take_vitals

_MOST = 10**9  # keeps ids well below the 64 characters that FHIR allows


def patient(seed: int, number: int, today: date) -> list[Resource]:
    """Invent one person with all resources of the chart.

    Args:
        seed: names the population, 0 to 10**9.
        number: the person within it, 0 to 10**9; numbers that leave 7 when divided by 20 have a restricted
            note.
        today: nothing in the chart has happened after it; ends of validity and due dates may lie ahead.

    Returns:
        The Patient first, then the other resources; ids are `pt-<seed>-<number>-…`. Each call builds fresh
        dictionaries.

    Raises:
        Problem: INCORRECT when seed or number is out of range.
    """
    if not (0 <= seed <= _MOST and 0 <= number <= _MOST):
        raise Problem(Kind.INCORRECT, "Seed and number of a synthetic patient lie between 0 and 10**9.")
    random = Random(f"salus {seed} {number}")
    person = invent(random, seed, number, today)
    history = histories.plan(person, random, today)
    chart = Chart(person, today, [patient_resource(person, random, today)])
    first = history.visits[0]
    chart.add("AllergyIntolerance", allergy_fields(history.allergy, person, first.on))
    team = write_care_team(chart, history, random)
    write_consent(chart, first.on, random)
    ledger = Ledger(chart, first.on, random)
    body = Body(person, history.courses, random)
    schedule = Schedule(first, chart)
    depressed = any(course.disease.key == "depression" for course in history.courses)
    for visit in history.visits:
        sitting = open_encounter(chart, visit, random)
        take_vitals(chart, sitting, body)
        run_panels(chart, sitting, body)
        perform(chart, sitting, body)
        prescribe(chart, sitting)
        vaccinate(chart, sitting, schedule, random)
        write_note(chart, sitting)
        ledger.bill(sitting)
    if person.has_secret:
        write_restricted_note(chart, sitting, random, depressed=depressed)
    write_plans(chart, history, team)
    return chart.resources


def population(seed: int, count: int, today: date) -> Iterator[list[Resource]]:
    """Invent `count` people one after the other; each item is one whole chart, see `patient`."""
    return (patient(seed, number, today) for number in range(count))


def bundle(
    resources: Iterable[Resource],
    type: Literal["transaction", "batch"] = "transaction",  # noqa: A002
) -> Resource:
    """Wrap resources in a Bundle that puts each under its own id (https://hl7.org/fhir/R4/http.html#transaction).

    The resources are taken over as they are, not copied.
    """
    return {
        "resourceType": "Bundle",
        "type": type,
        "entry": [
            {
                "resource": resource,
                "request": {"method": "PUT", "url": f"{resource['resourceType']}/{resource['id']}"},
            }
            for resource in resources
        ],
    }
