# SPDX-License-Identifier: Apache-2.0
"""The shape of generated charts: determinism, ids, references, types, dates, sums, labels, validity."""

from __future__ import annotations

import re
from base64 import b64decode
from collections import Counter
from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from salus.fhir.json import decode, encode
from salus.fhir.validate import check
from salus.kernel.errors import Kind, Problem
from salus.synthetic.clinic import clinic
from salus.synthetic.generate import bundle, patient, population
from salus.synthetic.terms import Resource

PATIENT_TYPES = {
    "Patient",
    "Encounter",
    "Observation",
    "AllergyIntolerance",
    "Procedure",
    "DocumentReference",
    "CarePlan",
    "CareTeam",
    "Goal",
    "Coverage",
    "Claim",
    "ExplanationOfBenefit",
    "Account",
    "Consent",
}
OFTEN = {"Condition", "MedicationRequest", "Immunization", "DiagnosticReport"}
CLINIC_TYPES = {"Organization", "Location", "Practitioner", "PractitionerRole"}
_DATE = re.compile(r"^\d{4}-\d{2}-\d{2}(T|$)")


def _name(resource: Resource) -> str:
    return f"{resource['resourceType']}/{resource['id']}"


def _walk(node: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Every scalar with the name of the element that holds it."""
    if isinstance(node, dict):
        for name, value in node.items():
            yield from _walk(value, name)
    elif isinstance(node, list):
        for value in node:
            yield from _walk(value, key)
    else:
        yield key, node


def _of(chart: list[Resource], kind: str) -> list[Resource]:
    return [each for each in chart if each["resourceType"] == kind]


@settings(max_examples=15)
@given(st.integers(0, 10**9), st.integers(0, 10**9), st.dates(date(2015, 1, 1), date(2040, 12, 31)))
def test_same_seed_number_and_day_give_the_same_valid_chart(seed: int, number: int, today: date) -> None:
    chart = patient(seed, number, today)
    assert chart == patient(seed, number, today)
    for resource in chart:
        check(resource)


def test_other_seed_gives_other_people() -> None:
    today = date(2025, 6, 2)
    names = [patient(seed, 0, today)[0]["name"] for seed in range(8)]
    assert len({str(name) for name in names}) > 5


def test_population_is_its_patients_one_by_one(charts: list[list[Resource]]) -> None:
    today = date(2025, 6, 2)
    assert charts[11] == patient(1, 11, today)
    assert len(list(population(1, 0, today))) == 0


@pytest.mark.parametrize(("seed", "number"), [(-1, 0), (0, -1), (10**9 + 1, 0), (0, 10**9 + 1)])
def test_numbers_that_make_no_id_are_refused(seed: int, number: int) -> None:
    with pytest.raises(Problem) as caught:
        patient(seed, number, date(2025, 6, 2))
    assert caught.value.kind is Kind.INCORRECT


def test_every_resource_is_valid_r4(staff: list[Resource], charts: list[list[Resource]]) -> None:
    for resource in [*staff, *(each for chart in charts for each in chart)]:
        check(decode(encode(resource)), resource["resourceType"])


def test_the_validator_would_notice_a_broken_record(charts: list[list[Resource]]) -> None:
    broken = {**_of(charts[0], "Encounter")[0], "status": "whatever"}
    with pytest.raises(Problem):
        check(broken)


def test_all_types_occur_and_the_usual_ones_in_each_chart(staff: list[Resource], charts: list[list[Resource]]) -> None:
    assert {each["resourceType"] for each in staff} == CLINIC_TYPES
    counts: Counter[str] = Counter()
    for chart in charts:
        kinds = {each["resourceType"] for each in chart}
        assert kinds >= PATIENT_TYPES
        assert kinds <= PATIENT_TYPES | OFTEN
        counts.update(kinds)
    for kind in OFTEN:
        assert counts[kind] >= 0.8 * len(charts)


def test_charts_have_the_promised_size(charts: list[list[Resource]]) -> None:
    sizes = [len(chart) for chart in charts]
    assert 80 <= sum(sizes) / len(sizes) <= 130
    assert min(sizes) >= 20


def test_references_stay_inside_the_chart_and_the_clinic(staff: list[Resource], charts: list[list[Resource]]) -> None:
    common = {_name(each) for each in staff}
    for chart in charts:
        known = common | {_name(each) for each in chart}
        used = {value for each in chart for key, value in _walk(each) if key == "reference"}
        assert used <= known
        assert f"Patient/{chart[0]['id']}" in used


def test_the_clinic_refers_to_itself_alone(staff: list[Resource]) -> None:
    seen: set[str] = set()
    for each in staff:
        assert {value for key, value in _walk(each) if key == "reference"} <= seen
        seen.add(_name(each))
    assert {"Organization/demo-clinic", "Practitioner/dr-amara-okafor"} <= seen
    assert [_name(each) for each in clinic(2, date(2030, 1, 1))] == [_name(each) for each in staff]


def test_no_resource_is_in_two_charts(charts: list[list[Resource]]) -> None:
    names = [_name(each) for chart in charts for each in chart]
    assert len(names) == len(set(names))
    for chart in charts:
        mine = chart[0]["id"]
        subjects = {
            value for each in chart for key, value in _walk(each) if key == "reference" and value.startswith("Patient/")
        }
        assert subjects == {f"Patient/{mine}"}


def test_changing_one_resource_changes_no_other() -> None:
    def dictionaries(node: Any) -> Iterator[int]:
        if isinstance(node, dict):
            yield id(node)
            for value in node.values():
                yield from dictionaries(value)
        elif isinstance(node, list):
            yield id(node)
            for value in node:
                yield from dictionaries(value)

    chart = patient(3, 3, date(2025, 6, 2))
    parts = [part for each in chart for part in dictionaries(each)]
    assert len(parts) == len(set(parts))


def test_nothing_lies_after_today_or_before_birth(charts: list[list[Resource]]) -> None:
    ahead = {"end", "dueDate", "expirationDate"}  # consents, prescriptions, goals and vaccines look forward
    for chart in charts:
        birth = chart[0]["birthDate"]
        for each in chart:
            for key, value in _walk(each):
                if isinstance(value, str) and _DATE.match(value) and key not in ahead:
                    assert value[:10] <= "2025-06-02"
                    if each["resourceType"] != "Coverage":
                        assert value[:10] >= birth


def test_onset_comes_before_the_encounter_that_finds_it(charts: list[list[Resource]]) -> None:
    for chart in charts:
        by_name = {_name(each): each for each in chart}
        birth = chart[0]["birthDate"]
        for condition in _of(chart, "Condition"):
            found = by_name[condition["encounter"]["reference"]]["period"]["start"][:10]
            assert birth < condition["onsetDateTime"] < found <= "2025-06-01"
            assert condition["recordedDate"] == found
            if "abatementDateTime" in condition:
                assert condition["onsetDateTime"] < condition["abatementDateTime"]


def test_treatment_and_encounters_belong_to_a_condition(charts: list[list[Resource]]) -> None:
    for chart in charts:
        by_name = {_name(each): each for each in chart}
        for request in _of(chart, "MedicationRequest"):
            condition = by_name[request["reasonReference"][0]["reference"]]
            assert condition["onsetDateTime"] < request["authoredOn"][:10]
        for encounter in _of(chart, "Encounter"):
            assert encounter["period"]["start"] < encounter["period"]["end"]
            for diagnosis in encounter.get("diagnosis", ()):
                condition = by_name[diagnosis["condition"]["reference"]]
                assert condition["recordedDate"] <= encounter["period"]["start"][:10]


def test_reports_gather_results_of_their_own_encounter(charts: list[list[Resource]]) -> None:
    for chart in charts:
        by_name = {_name(each): each for each in chart}
        for report in _of(chart, "DiagnosticReport"):
            assert report["result"]
            for result in report["result"]:
                assert by_name[result["reference"]]["encounter"] == report["encounter"]


def test_claims_and_answers_add_up(charts: list[list[Resource]]) -> None:
    for chart in charts:
        claims = {_name(each): each for each in _of(chart, "Claim")}
        answers = _of(chart, "ExplanationOfBenefit")
        assert len(claims) == len(answers) == len(_of(chart, "Encounter"))
        for answer in answers:
            claim = claims[answer["claim"]["reference"]]
            assert claim["total"]["value"] == sum(item["net"]["value"] for item in claim["item"])
            sums: Counter[str] = Counter()
            for item in answer["item"]:
                sums.update(_amounts(item["adjudication"]))
            total = _amounts(answer["total"])
            assert total == dict(sums)
            assert total["submitted"] == claim["total"]["value"]
            assert total["eligible"] == total["copay"] + total["benefit"]
            assert answer["payment"]["amount"]["value"] == total["benefit"] > 0
            assert answer["created"] >= claim["created"]


def _amounts(lines: list[Resource]) -> dict[str, Any]:
    return {each["category"]["coding"][0]["code"]: each["amount"]["value"] for each in lines}


def test_one_in_twenty_has_a_restricted_note(charts: list[list[Resource]]) -> None:
    for number, chart in enumerate(charts):
        labelled = [each for each in chart if "security" in each["meta"]]
        if number % 20 == 7:
            assert [each["resourceType"] for each in labelled] == ["DocumentReference"]
            codes = [label["code"] for label in labelled[0]["meta"]["security"]]
            assert codes[0] == "R"
            assert len(codes) == 2
        else:
            assert not labelled


def test_everything_is_marked_as_test_data(staff: list[Resource], charts: list[list[Resource]]) -> None:
    for each in [*staff, *(each for chart in charts for each in chart)]:
        assert [tag["code"] for tag in each["meta"]["tag"]] == ["HTEST"]


def test_nobody_can_be_rung_up_or_written_to(staff: list[Resource], charts: list[list[Resource]]) -> None:
    for each in [*staff, *(chart[0] for chart in charts)]:
        contacts = [*each.get("telecom", ()), *(t for c in each.get("contact", ()) for t in c["telecom"])]
        for contact in contacts:
            if contact["system"] == "phone":
                assert re.fullmatch(r"\(617\) 555-01\d\d", contact["value"])
            else:
                assert contact["value"].endswith("example.org")
        for identifier in each.get("identifier", ()):
            assert "us-ssn" not in identifier["system"]
            assert not re.fullmatch(r"\d{3}-?\d{2}-?\d{4}", identifier["value"])


def test_notes_quote_the_chart(charts: list[list[Resource]]) -> None:
    for chart in charts:
        for note in _of(chart, "DocumentReference"):
            attachment = note["content"][0]["attachment"]
            raw = b64decode(attachment["data"], validate=True)
            assert len(raw) == attachment["size"]
            assert f"{chart[0]['name'][0]['given'][0]} {chart[0]['name'][0]['family']}" in raw.decode()
        texts = "".join(
            b64decode(note["content"][0]["attachment"]["data"]).decode() for note in _of(chart, "DocumentReference")
        )
        for condition in _of(chart, "Condition"):
            assert condition["code"]["text"] in texts


def test_a_bundle_puts_each_resource_under_its_id(charts: list[list[Resource]]) -> None:
    wrapped = bundle(charts[0])
    assert wrapped["type"] == "transaction"
    assert len(wrapped["entry"]) == len(charts[0])
    for entry in wrapped["entry"]:
        assert entry["request"] == {"method": "PUT", "url": _name(entry["resource"])}
    check(wrapped)
    assert bundle(charts[0], "batch")["type"] == "batch"
