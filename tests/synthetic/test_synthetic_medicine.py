# SPDX-License-Identifier: Apache-2.0
"""Whether the invented people make medical sense: ages, growth, trends, what must not be given."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import date

import pytest

from salus.synthetic.generate import population
from salus.synthetic.terms import Resource

TODAY = date(2025, 6, 2)


@pytest.fixture(scope="module")
def crowd() -> list[list[Resource]]:
    return list(population(4, 400, TODAY))


def _code(resource: Resource, element: str = "code") -> str:
    return str(resource[element]["coding"][0]["code"])


def _age(chart: list[Resource], on: str = TODAY.isoformat()) -> float:
    return (date.fromisoformat(on[:10]) - date.fromisoformat(chart[0]["birthDate"])).days / 365.25


def _values(chart: list[Resource], loinc: str) -> list[tuple[str, float]]:
    return [
        (each["effectiveDateTime"], float(each["valueQuantity"]["value"]))
        for each in chart
        if each["resourceType"] == "Observation" and _code(each) == loinc
    ]


def _requests(chart: list[Resource]) -> Iterator[tuple[str, str]]:
    for each in chart:
        if each["resourceType"] == "MedicationRequest":
            yield each["authoredOn"], _code(each, "medicationCodeableConcept")


def _conditions(chart: list[Resource]) -> set[str]:
    return {_code(each) for each in chart if each["resourceType"] == "Condition"}


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


METFORMIN, LISINOPRIL, ATORVASTATIN, SERTRALINE = "861007", "314076", "617310", "312941"
PENICILLIN_ALLERGY, AMOXICILLIN = "91936005", "308189"
SYSTOLIC_DRUGS = {"314076", "314077", "979492", "197361"}


def test_ages_and_sexes_look_like_a_town(crowd: list[list[Resource]]) -> None:
    ages = [_age(chart) for chart in crowd]
    assert 0.12 < sum(age < 18 for age in ages) / len(ages) < 0.32
    assert 0.10 < sum(age >= 65 for age in ages) / len(ages) < 0.30
    assert min(ages) > 0.3
    assert max(ages) < 96
    women = sum(chart[0]["gender"] == "female" for chart in crowd)
    assert 0.4 < women / len(crowd) < 0.6


def test_many_diseases_and_comorbidity_occur(crowd: list[list[Resource]]) -> None:
    counts = Counter(code for chart in crowd for code in _conditions(chart))
    assert len(counts) >= 14
    diabetic = [chart for chart in crowd if "44054006" in _conditions(chart)]
    adults = [chart for chart in crowd if _age(chart) >= 30]
    lipids = "55822004"
    assert len(diabetic) >= 15
    assert _mean([float(lipids in _conditions(chart)) for chart in diabetic]) > _mean(
        [float(lipids in _conditions(chart)) for chart in adults]
    )


@pytest.mark.parametrize(
    ("loinc", "drug", "fall"),
    [("4548-4", METFORMIN, 0.5), ("13457-7", ATORVASTATIN, 30), ("44261-6", SERTRALINE, 4)],
)
def test_marker_falls_after_treatment(crowd: list[list[Resource]], loinc: str, drug: str, fall: float) -> None:
    falls = []
    for chart in crowd:
        starts = [at for at, code in _requests(chart) if code == drug]
        values = _values(chart, loinc)
        before = [value for at, value in values if starts and at[:10] <= starts[0][:10]]
        after = [value for at, value in values if starts and at[:10] > starts[0][:10]]
        if before and after:
            falls.append(before[-1] - _mean(after))
    assert len(falls) >= 5
    assert _mean(falls) > fall


def test_blood_pressure_falls_after_treatment(crowd: list[list[Resource]]) -> None:
    falls = []
    for chart in crowd:
        starts = [at for at, code in _requests(chart) if code == LISINOPRIL]
        if not starts:
            continue
        readings = [
            (each["effectiveDateTime"], float(each["component"][0]["valueQuantity"]["value"]))
            for each in chart
            if each["resourceType"] == "Observation" and _code(each) == "85354-9"
        ]
        before = [value for at, value in readings if at[:10] == starts[0][:10]]
        after = [value for at, value in readings if at[:10] > starts[0][:10]]
        if before and after:
            falls.append(before[0] - _mean(after))
    assert len(falls) >= 10
    assert _mean(falls) > 6


def test_children_grow_and_take_no_drugs_for_grown_ups(crowd: list[list[Resource]]) -> None:
    children = [chart for chart in crowd if _age(chart) < 18]
    grown_up = SYSTOLIC_DRUGS | {METFORMIN, ATORVASTATIN, "966222", "313161", "198014"}
    for chart in children:
        heights = sorted(_values(chart, "8302-2"))
        assert [value for _, value in heights] == sorted(value for _, value in heights)
        for at, weight in _values(chart, "29463-7"):
            age = _age(chart, at)
            assert 3 < weight < 16 + 7.5 * age
        assert not {code for _, code in _requests(chart)} & grown_up


def test_nobody_allergic_to_penicillin_gets_amoxicillin() -> None:
    seen = 0
    for chart in population(8, 450, TODAY):
        allergic = any(
            each["resourceType"] == "AllergyIntolerance" and _code(each) == PENICILLIN_ALLERGY for each in chart
        )
        seen += allergic
        assert not (allergic and AMOXICILLIN in {code for _, code in _requests(chart)})
    assert seen > 10


def test_pregnancy_is_for_women_and_keeps_out_what_harms(crowd: list[list[Resource]]) -> None:
    pregnant = [chart for chart in crowd if "72892002" in _conditions(chart)]
    assert pregnant
    harmful = SYSTOLIC_DRUGS | {ATORVASTATIN, METFORMIN, "199888", "198014", "197803"}
    for chart in pregnant:
        assert chart[0]["gender"] == "female"
        assert 19 < _age(chart) < 42
        assert not {code for _, code in _requests(chart)} & harmful


def test_interpretation_follows_the_reference_range(crowd: list[list[Resource]]) -> None:
    flags: Counter[str] = Counter()
    for chart in crowd:
        for each in chart:
            if each["resourceType"] != "Observation" or "referenceRange" not in each:
                continue
            limits, value = each["referenceRange"][0], each["valueQuantity"]["value"]
            low = limits.get("low", {"value": value})["value"]
            high = limits.get("high", {"value": value})["value"]
            expected = "L" if value < low else "H" if value > high else "N"
            assert each["interpretation"][0]["coding"][0]["code"] == expected
            flags[expected] += 1
    assert flags["N"] > flags["H"] > flags["L"] > 0


def test_lipids_and_body_mass_agree_with_their_parts(crowd: list[list[Resource]]) -> None:
    for chart in crowd:
        parts = [dict(_values(chart, code)) for code in ("2093-3", "13457-7", "2085-9", "2571-8")]
        for at, total in parts[0].items():
            ldl, hdl, triglycerides = (each[at] for each in parts[1:])
            assert total == pytest.approx(ldl + hdl + triglycerides / 5, abs=0.6)
        heights, weights = dict(_values(chart, "8302-2")), dict(_values(chart, "29463-7"))
        for at, body_mass in _values(chart, "39156-5"):
            if at in heights:
                assert body_mass == pytest.approx(weights[at] / (heights[at] / 100) ** 2, abs=0.06)


def test_vaccines_fit_the_age_and_doses_count_up(crowd: list[list[Resource]]) -> None:
    for chart in crowd:
        doses: dict[str, list[int]] = {}
        for each in chart:
            if each["resourceType"] != "Immunization":
                continue
            code, age = _code(each, "vaccineCode"), _age(chart, each["occurrenceDateTime"])
            if code in {"20", "119", "49", "10"}:
                assert age < 7.1
            if code in {"187", "33", "113"}:
                assert age >= 18
            if code != "140":
                doses.setdefault(code, []).append(each["protocolApplied"][0]["doseNumberPositiveInt"])
        for numbers in doses.values():
            assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def test_each_team_has_a_physician_and_a_third_the_demo_nurse(crowd: list[list[Resource]]) -> None:
    nursed = 0
    for chart in crowd:
        (team,) = (each for each in chart if each["resourceType"] == "CareTeam")
        members = [each["member"]["reference"] for each in team["participant"]]
        assert members[0] == chart[0]["generalPractitioner"][0]["reference"]
        assert members[0].startswith("Practitioner/dr-")
        nursed += "Practitioner/nurse-priya-nair" in members
    assert 0.25 < nursed / len(crowd) < 0.42


def test_goals_are_judged_by_the_last_value(crowd: list[list[Resource]]) -> None:
    judged = 0
    for chart in crowd:
        for goal in (each for each in chart if each["resourceType"] == "Goal" and "target" in each):
            target = goal["target"][0]
            values = sorted(_values(chart, _code(target, "measure")))
            if values:
                below = values[-1][1] < target["detailRange"]["high"]["value"]
                assert (_code(goal, "achievementStatus") == "achieved") == below
                judged += 1
    assert judged > 20
