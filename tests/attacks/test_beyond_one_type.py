# SPDX-License-Identifier: Apache-2.0
"""Includes, compartments and searches over several types bring nobody what they may not read."""

from __future__ import annotations

import pytest

from tests.attacks.ward import nobody, told
from tests.support.clinic import BASE, Client, Clinic, patient, put_all

BERTS = ("Brown", "1955-07-01", "pulse-bert", "asthma-bert", "secret-bert", "restricted-bert", "claim-bert", "of-bert")


def listed(client: Client, address: str) -> set[str]:
    """Names of all entries, over all pages."""
    found: set[str] = set()
    while address:
        answer = client.get(address.removeprefix(BASE))
        assert answer.status_code == 200, answer.text
        found |= {entry["fullUrl"].removeprefix(f"{BASE}/fhir/") for entry in answer.json().get("entry", ())}
        following = [link["url"] for link in answer.json()["link"] if link["relation"] == "next"]
        address = following[0] if following else ""
    return found


# ── beside the matches ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "asked",
    [
        "Observation?_id=crossing&_include=Observation:focus",
        "Observation?_id=crossing&_include=Observation:derived-from",
        "Observation?_include=*",
        "Observation?_include:iterate=*&_revinclude:iterate=*",
        "Observation?_id=crossing&_include=Observation:focus&_revinclude:iterate=Observation:patient",
        "Patient?_revinclude=*&_revinclude:iterate=*",
        "List?_include=List:item",
        "List?_include=*&_include:iterate=*&_revinclude:iterate=*",
    ],
)
@pytest.mark.parametrize("name", ["nurse", "anna"])
def test_what_points_to_a_hidden_record_does_not_bring_it(woven: Clinic, name: str, asked: str) -> None:
    answer = woven.as_(name).get(f"/fhir/{asked}&_count=1000&_total=accurate")
    assert answer.status_code == 200
    for word in BERTS:
        assert word not in answer.text.replace("DocumentReference/secret-bert", ""), (
            word
        )  # named by the reference itself
    entries = answer.json()["entry"]
    assert answer.json()["total"] == sum(entry["search"]["mode"] == "match" for entry in entries)
    assert "Patient/anna" in listed(woven.as_(name), f"/fhir/{asked}") or asked.startswith("Observation?_id=crossing")


def test_a_record_that_points_to_me_is_not_mine_by_that(woven: Clinic) -> None:
    found = listed(woven.as_("bert"), "/fhir/Patient?_revinclude=Observation:focus&_revinclude:iterate=*")
    assert "Observation/crossing" not in found
    assert not any("anna" in name for name in found)


def test_an_overseer_includes_no_patients(woven: Clinic) -> None:
    found = listed(
        woven.as_("administrator"), "/fhir/Practitioner?_revinclude=*&_include:iterate=*&_revinclude:iterate=*"
    )
    assert {name.partition("/")[0] for name in found} == {"Practitioner"}


def test_includes_do_not_follow_what_is_masked(clinic: Clinic) -> None:
    """The laboratory does not see whose patient somebody is."""
    doctor = [{"reference": "Practitioner/physician"}]
    put_all(clinic.as_("service"), {**patient("anna", "Ångström", "1980-02-29"), "generalPractitioner": doctor})
    laboratory = clinic.as_("laboratory")
    assert "Practitioner/physician" in listed(clinic.as_("service"), "/fhir/Patient?_include=*")
    assert "Practitioner/physician" not in laboratory.get("/fhir/Patient?_include=*&_include:iterate=*").text
    for asked in (
        "Patient?_include=Patient:general-practitioner",
        "Patient?_include:iterate=Patient:general-practitioner",
        "Practitioner?_revinclude=Patient:general-practitioner",
        "Observation?_include:iterate=Patient:general-practitioner",
    ):
        assert laboratory.get(f"/fhir/{asked}").status_code == 403
    assert listed(laboratory, "/fhir/Practitioner?_revinclude=*") >= {"Practitioner/physician"}
    assert "Patient/anna" not in listed(laboratory, "/fhir/Practitioner?_revinclude=*")
    assert listed(clinic.as_("service"), "/fhir/Practitioner/physician/Patient") == {"Patient/anna"}
    assert listed(laboratory, "/fhir/Practitioner/physician/Patient") == set()


@pytest.mark.parametrize("shape", ["_summary=true", "_summary=data", "_elements=address,generalPractitioner"])
def test_no_portion_shows_what_is_masked(clinic: Clinic, shape: str) -> None:
    hidden = {"address": [{"city": "Hiddenville"}], "generalPractitioner": [{"reference": "Practitioner/physician"}]}
    put_all(clinic.as_("service"), {**patient("anna", "Ångström", "1980-02-29"), **hidden})
    answer = clinic.as_("laboratory").get(f"/fhir/Patient?{shape}")
    assert answer.status_code == 200
    assert "Hiddenville" not in answer.text
    assert "Practitioner/physician" not in answer.text


# ── compartments ─────────────────────────────────────────────────────────────────────────────────────────────────────

INNER = ("*", "Observation", "Condition", "Patient", "*?_summary=count", "Observation?_total=accurate", "*?_sort=_id")


@pytest.mark.parametrize("inner", INNER)
@pytest.mark.parametrize("name", ["nurse", "anna"])
def test_a_compartment_out_of_sight_is_as_one_that_never_was(woven: Clinic, name: str, inner: str) -> None:
    who = woven.as_(name)
    hidden, absent = (who.get(f"/fhir/Patient/{id_}/{inner}") for id_ in ("bert", nobody("bert")))
    assert hidden.status_code == 200
    assert told(hidden, "bert") == told(absent, nobody("bert"))


@pytest.mark.parametrize("owner", ["Patient/anna", "Practitioner/nurse", "Practitioner/physician", "Encounter/x"])
@pytest.mark.parametrize("name", ["anna", "bert", "nurse", "physician", "billing", "laboratory"])
def test_a_compartment_gives_what_a_search_gives_and_no_more(woven: Clinic, name: str, owner: str) -> None:
    who = woven.as_(name)
    answer = who.get(f"/fhir/{owner}/*?_count=1000")
    if answer.status_code == 403:
        return
    for entry in answer.json().get("entry", ()):
        resource = entry["resource"]
        assert who.find(f"{resource['resourceType']}?_id={resource['id']}")
    if name in {"anna", "bert"}:
        other = "bert" if name == "anna" else "anna"
        assert f"-{other}" not in answer.text.replace("DocumentReference/secret-bert", "")


@pytest.mark.parametrize("name", ["administrator", "auditor", "security-officer", "researcher"])
def test_an_overseer_opens_no_compartment(woven: Clinic, name: str) -> None:
    who = woven.as_(name)
    for address in ("Patient/anna/*", "Patient/anna/Observation", "Encounter/x/*", "Practitioner/nurse/Observation"):
        answer = who.get(f"/fhir/{address}")
        assert answer.status_code == 403 or (
            answer.status_code == 200 and "anna" not in answer.text.replace(address, "")
        )
    assert who.get("/fhir/Patient/anna/Observation").status_code == 403


# ── several types ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_patient_searches_everything_and_finds_the_own_record(woven: Clinic) -> None:
    anna = woven.as_("anna")
    everything = anna.get("/fhir?_count=1000&_total=accurate").json()
    assert everything["total"] == len(everything["entry"])
    assert not any(word in str(everything) for word in ("Brown", "pulse-bert", "asthma-bert", "Appointment/shared"))
    for order in ("", "&_sort=_id", "&_sort=-_lastUpdated,_id"):
        assert len(listed(anna, f"/fhir?_count=1{order}")) == everything["total"]


@pytest.mark.parametrize("shape", ["", "&_summary=count", "&_total=accurate", "&_sort=_id"])
@pytest.mark.parametrize("id_", ["bert", "pulse-bert", "asthma-bert", "shared", "secret-anna"])
def test_a_search_over_everything_does_not_tell_of_hidden_records(woven: Clinic, id_: str, shape: str) -> None:
    nurse = woven.as_("nurse")
    hidden, absent = (nurse.get(f"/fhir?_id={each}{shape}") for each in (id_, nobody(id_)))
    assert told(hidden, id_) == told(absent, nobody(id_))


def test_an_overseer_searches_everything_and_finds_no_patient(woven: Clinic) -> None:
    for name in ("administrator", "auditor", "security-officer", "researcher"):
        answer = woven.as_(name).get("/fhir?_count=1000")
        assert answer.status_code in {200, 403}
        if answer.status_code == 200:
            kinds = {entry["resource"]["resourceType"] for entry in answer.json().get("entry", ())}
            assert kinds <= {"Practitioner"}
        assert woven.as_(name).get("/fhir?_type=Patient").status_code == 403


# ── page links ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("own", "elsewhere"),
    [
        ("/fhir?_count=1", "/fhir/Patient/anna/*"),
        ("/fhir/Patient/anna/*?_count=1", "/fhir/Patient/bert/*"),
        ("/fhir/Patient/anna/*?_count=1", "/fhir"),
        ("/fhir?_type=Observation,Patient&_count=1", "/fhir/Observation"),
    ],
)
def test_a_link_works_for_its_owner_on_its_address_only(woven: Clinic, own: str, elsewhere: str) -> None:
    service = woven.as_("service")
    following = next(link["url"] for link in service.get(own).json()["link"] if link["relation"] == "next")
    path, _, sealed = following.removeprefix(BASE).partition("?")
    assert service.get(f"{path}?{sealed}").status_code == 200
    assert service.get(f"{elsewhere}?{sealed}").status_code == 400
    assert woven.as_("physician").get(f"{path}?{sealed}").status_code == 400
    assert woven.as_("anna").get(f"{path}?{sealed}").status_code in {400, 403}


def test_an_order_that_was_kept_shows_nothing_that_is_hidden_by_now(clinic: Clinic) -> None:
    """The care of the nurse ends between two pages of a sorted search."""
    service, nurse = clinic.as_("service"), clinic.as_("nurse")
    for number in range(4):
        pulse = {**clinic.as_("service").get("/fhir/Observation/pulse-anna").json(), "id": f"p-{number}"}
        put_all(service, pulse)
    first = nurse.get("/fhir/Observation?_sort=_id&_count=2").json()
    assert len(first["entry"]) == 2
    team = service.get("/fhir/CareTeam/team-anna").json()
    put_all(service, {**team, "status": "inactive"})
    following = next(link["url"] for link in first["link"] if link["relation"] == "next")
    assert "entry" not in nurse.get(following.removeprefix(BASE)).json()
