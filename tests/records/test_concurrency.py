# SPDX-License-Identifier: Apache-2.0
"""Many requests at once on one process: nothing is lost, nothing happens twice, versions have no gaps."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx

from salus.app.house import CHECKPOINTS
from salus.audit.verify import verify
from tests.support.clinic import Clinic, heart_rate, patient

JSON = dict[str, Any]
_TYPE = {"content-type": "application/fhir+json"}


def _at_once(clinic: Clinic, requests: list[tuple[str, str, Any, dict[str, str]]]) -> list[httpx.Response]:
    headers = {"authorization": f"Bearer {clinic.token('service')}", **_TYPE}

    async def everything() -> list[httpx.Response]:
        return await asyncio.gather(
            *(clinic.http.request(m, url, json=body, headers={**headers, **more}) for m, url, body, more in requests)
        )

    return clinic.run(everything())


def _versions(clinic: Clinic, record: str) -> list[int]:
    entries = clinic.as_("service").get(f"/fhir/{record}/_history?_count=1000").json()["entry"]
    return [int(entry["response"]["etag"][3:-1]) for entry in entries]


def _proven(clinic: Clinic) -> bool:
    keys = clinic.house.keyring.tenant("default")
    return verify(clinic.house.db, keys, clinic.folder / CHECKPOINTS).ok


def test_of_twenty_updates_with_if_match_exactly_one_wins_for_each_version(clinic: Clinic) -> None:
    for version in (1, 2, 3):
        answers = _at_once(
            clinic,
            [
                ("PUT", "/fhir/Patient/anna", patient("anna", f"F{n}", "1980-02-29"), {"if-match": f'W/"{version}"'})
                for n in range(20)
            ],
        )
        assert sorted(answer.status_code for answer in answers) == [200] + [412] * 19
        (winner,) = [answer for answer in answers if answer.status_code == 200]
        assert clinic.as_("service").get("/fhir/Patient/anna").content == winner.content
    assert _versions(clinic, "Patient/anna") == [4, 3, 2, 1]
    assert _proven(clinic)


def test_sixty_updates_without_if_match_are_all_kept_as_versions(clinic: Clinic) -> None:
    answers = _at_once(
        clinic, [("PUT", "/fhir/Patient/anna", patient("anna", f"F{n}", "1980-02-29"), {}) for n in range(60)]
    )
    assert {answer.status_code for answer in answers} == {200}
    assert _versions(clinic, "Patient/anna") == list(range(61, 0, -1))
    assert len({answer.headers["etag"] for answer in answers}) == 60


def test_conditional_creates_at_once_make_exactly_one_record(clinic: Clinic) -> None:
    sent = {"resourceType": "Patient", "identifier": [{"system": "urn:mrn", "value": "1"}]}
    answers = _at_once(clinic, [("POST", "/fhir/Patient", sent, {"if-none-exist": "identifier=urn:mrn|1"})] * 30)
    assert sorted(answer.status_code for answer in answers) == [200] * 29 + [201]
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert len(clinic.as_("service").find("Patient?identifier=urn:mrn|1")) == 1


def test_conditional_updates_at_once_make_exactly_one_record(clinic: Clinic) -> None:
    sent = {"resourceType": "Patient", "identifier": [{"system": "urn:mrn", "value": "1"}]}
    answers = _at_once(clinic, [("PUT", "/fhir/Patient?identifier=urn:mrn|1", sent, {})] * 15)
    assert sorted(answer.status_code for answer in answers) == [200] * 14 + [201]
    assert len({answer.json()["id"] for answer in answers}) == 1


def test_creates_with_the_same_chosen_id_make_one_record_with_all_versions(clinic: Clinic) -> None:
    answers = _at_once(clinic, [("PUT", "/fhir/Patient/new", {"resourceType": "Patient", "id": "new"}, {})] * 10)
    assert sorted(answer.status_code for answer in answers) == [200] * 9 + [201]
    assert _versions(clinic, "Patient/new") == list(range(10, 0, -1))


def test_two_hundred_creates_at_once_lose_nothing(clinic: Clinic) -> None:
    answers = _at_once(clinic, [("POST", "/fhir/Observation", heart_rate("anna", n), {}) for n in range(200)])
    assert {answer.status_code for answer in answers} == {201}
    found = clinic.as_("service").find("Observation?patient=anna&_count=50")
    assert {answer.json()["id"] for answer in answers} <= {resource["id"] for resource in found}
    assert len(found) == 201
    assert _proven(clinic)


def test_transactions_on_one_record_follow_each_other_whole(clinic: Clinic) -> None:
    def bundle(n: int) -> JSON:
        entries = [
            {
                "resource": patient("anna", f"F{n}", "1980-02-29"),
                "request": {"method": "PUT", "url": "Patient/anna"},
            },
            {
                "resource": heart_rate("anna", n, id_="shared"),
                "request": {"method": "PUT", "url": "Observation/shared"},
            },
            {"resource": heart_rate("anna", n), "request": {"method": "POST", "url": "Observation"}},
        ]
        return {"resourceType": "Bundle", "type": "transaction", "entry": entries}

    answers = _at_once(clinic, [("POST", "/fhir", bundle(n), {}) for n in range(25)])
    assert {answer.status_code for answer in answers} == {200}
    assert _versions(clinic, "Patient/anna") == list(range(26, 0, -1))
    assert _versions(clinic, "Observation/shared") == list(range(25, 0, -1))
    service = clinic.as_("service")
    for version in range(1, 26):  # both records of a transaction got their version in the same commit
        number = service.get(f"/fhir/Observation/shared/_history/{version}").json()["valueQuantity"]["value"]
        named = service.get(f"/fhir/Patient/anna/_history/{version + 1}").json()["name"][0]["family"]
        assert named == f"F{number}"
    assert len(service.find("Observation?patient=anna&_count=100")) == 27


def test_transactions_that_make_the_same_records_are_not_taken_for_strangers(clinic: Clinic) -> None:
    """Each is staged in slices, between which another may be committed: what it made is no hidden record."""

    def bundle(n: int) -> JSON:
        entries = [
            {
                "resource": heart_rate("anna", n, id_=f"made-{number}"),
                "request": {"method": "PUT", "url": f"Observation/made-{number}"},
            }
            for number in range(120)
        ]
        return {"resourceType": "Bundle", "type": "transaction", "entry": entries}

    answers = _at_once(clinic, [("POST", "/fhir", bundle(n), {}) for n in range(4)])
    assert [answer.status_code for answer in answers] == [200] * 4
    assert _versions(clinic, "Observation/made-7") == [4, 3, 2, 1]


def test_a_refused_request_does_not_harm_its_neighbours_in_the_group(clinic: Clinic) -> None:
    requests: list[tuple[str, str, Any, dict[str, str]]] = []
    for n in range(20):
        requests.append(("POST", "/fhir/Observation", heart_rate("anna", n), {}))
        requests.append(("PUT", "/fhir/Patient/anna", patient("anna", "X", "1980-02-29"), {"if-match": 'W/"9"'}))
        requests.append(("POST", "/fhir/Observation", {"resourceType": "Observation"}, {}))
    statuses = [answer.status_code for answer in _at_once(clinic, requests)]
    assert statuses == [201, 412, 422] * 20


def test_reads_at_the_same_moment_get_each_their_own_answer(clinic: Clinic) -> None:
    """They are found together; what one may see, or cannot open, says nothing about the others."""
    ids = [clinic.as_("service").post("/fhir/Observation", heart_rate("anna", 60 + n)).json()["id"] for n in range(8)]
    spoiled = ids[3]
    rid = clinic.house.services.store.rid("default", "Observation", spoiled)
    with clinic.behind() as db:
        db.execute("update record set body = x'00' where rid = ?", (rid,))
    asked = [*((id_, "physician") for id_ in ids), (ids[0], "administrator"), ("nobody", "physician")]

    calls = [
        clinic.http.get(f"/fhir/Observation/{id_}", headers={"authorization": f"Bearer {clinic.token(who)}"})
        for id_, who in asked
    ]

    async def everything() -> list[httpx.Response]:
        return await asyncio.gather(*calls)

    answers = clinic.run(everything())
    assert [answer.status_code for answer in answers] == [200, 200, 200, 500, 200, 200, 200, 200, 403, 404]
    good = [answer.json() for answer in answers[:8] if answer.status_code == 200]
    assert [one["id"] for one in good] == [id_ for id_ in ids if id_ != spoiled]
    assert [one["valueQuantity"]["value"] for one in good] == [60, 61, 62, 64, 65, 66, 67]
