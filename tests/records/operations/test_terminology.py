# SPDX-License-Identifier: Apache-2.0
"""The terminology operations through the whole application: right answers, plain refusals, and who may ask."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.support.clinic import PEOPLE, Client, Clinic
from tests.support.packages import code_system, value_set

from salus.fhir.validate import check
from salus.kernel.commit import Unit

JSON = dict[str, Any]
STATUS = "http://hl7.org/fhir/observation-status"
STATUS_SET = "http://hl7.org/fhir/ValueSet/observation-status"
ACT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
COLOURS = "http://example.org/colours"
WARM = "http://example.org/warm"


def outputs(answer: Any) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    found = {}
    for each in answer.json().get("parameter", ()):
        value = next((value for name, value in each.items() if name.startswith("value")), each.get("part"))
        found[each["name"]] = value
    return found


def sent(**values: Any) -> JSON:
    """A Parameters resource; the names carry the type, as in `code_valueCode`."""
    parameters = [{"name": key.partition("__")[0], key.partition("__")[2]: value} for key, value in values.items()]
    return {"resourceType": "Parameters", "parameter": parameters}


def outcome(answer: Any, status: int) -> str:
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert body["resourceType"] == "OperationOutcome"
    return str(body["issue"][0]["code"])


@pytest.fixture
def nurse(clinic: Clinic) -> Client:
    return clinic.as_("nurse")


def keep(clinic: Clinic, *resources: JSON) -> None:
    for number, resource in enumerate(resources):
        id_ = f"own-{number}-{resource['resourceType'].lower()}"
        answer = clinic.as_("administrator").put(f"/fhir/{resource['resourceType']}/{id_}", {**resource, "id": id_})
        assert answer.status_code in {200, 201}, answer.text


def test_looking_up_by_get_and_by_post(nurse: Client) -> None:
    by_get = outputs(nurse.get(f"/fhir/CodeSystem/$lookup?system={ACT}&code=AMB"))
    coding = {"system": ACT, "code": "AMB"}
    by_post = outputs(nurse.post("/fhir/CodeSystem/$lookup", sent(coding__valueCoding=coding)))
    assert by_get == by_post
    assert by_get["display"] == "ambulatory"
    assert outcome(nurse.get(f"/fhir/CodeSystem/$lookup?system={ACT}&code=NOPE"), 404) == "not-found"
    assert outcome(nurse.get("/fhir/CodeSystem/$lookup?system=http://loinc.org&code=1-8"), 404) == "not-found"
    assert outcome(nurse.get(f"/fhir/CodeSystem/$lookup?system={ACT}"), 400) == "required"
    assert outcome(nurse.get(f"/fhir/CodeSystem/$lookup?system={ACT}&code=AMB&version=9"), 404) == "not-found"


def test_validating_in_a_system(nurse: Client) -> None:
    path = f"/fhir/CodeSystem/$validate-code?url={STATUS}"
    assert outputs(nurse.get(f"{path}&code=final"))["result"] is True
    wrong = outputs(nurse.get(f"{path}&code=final&display=Nonsense"))
    assert (wrong["result"], wrong["display"]) == (False, "Final")
    assert "Nonsense" not in wrong["message"]
    assert outputs(nurse.get(f"{path}&code=nope"))["result"] is False
    group = f"/fhir/CodeSystem/$validate-code?url={ACT}&code=_ActEncounterCode"
    assert outputs(nurse.get(group))["result"] is False
    assert outputs(nurse.get(f"{group}&abstract=true"))["result"] is True


def test_the_codes_of_licensed_systems_are_said_to_be_missing(nurse: Client) -> None:
    said = outputs(nurse.get("/fhir/CodeSystem/$validate-code?url=http://snomed.info/sct&code=38341003"))
    assert said["result"] is False
    assert "not on this server" in said["message"]
    assert outcome(nurse.get("/fhir/CodeSystem/$validate-code?url=http://loinc.org&code=8867-4"), 404) == "not-found"


def test_a_code_system_may_be_sent_along(nurse: Client) -> None:
    body = sent(codeSystem__resource=code_system(), code__valueCode="red")
    assert outputs(nurse.post("/fhir/CodeSystem/$validate-code", body))["result"] is True
    body = sent(codeSystem__resource=code_system(), code__valueCode="green")
    assert outputs(nurse.post("/fhir/CodeSystem/$validate-code", body))["result"] is False


def test_subsumption(nurse: Client) -> None:
    path = f"/fhir/CodeSystem/$subsumes?system={ACT}"
    assert outputs(nurse.get(f"{path}&codeA=_ActEncounterCode&codeB=AMB"))["outcome"] == "subsumes"
    assert outputs(nurse.get(f"{path}&codeA=AMB&codeB=_ActEncounterCode"))["outcome"] == "subsumed-by"
    assert outcome(nurse.get(f"{path}&codeA=AMB&codeB=NOPE"), 404) == "not-found"
    codings = sent(
        codingA__valueCoding={"system": ACT, "code": "AMB"}, codingB__valueCoding={"system": STATUS, "code": "final"}
    )
    assert outcome(nurse.post("/fhir/CodeSystem/$subsumes", codings), 400) == "value"


def test_expanding_in_pages(nurse: Client) -> None:
    whole = nurse.get(f"/fhir/ValueSet/$expand?url={STATUS_SET}").json()
    codes = [each["code"] for each in whole["expansion"]["contains"]]
    assert "final" in codes
    pages = []
    for offset in range(0, len(codes), 3):
        page = nurse.get(f"/fhir/ValueSet/$expand?url={STATUS_SET}&offset={offset}&count=3").json()["expansion"]
        assert (page["total"], page["offset"]) == (len(codes), offset)
        pages += [each["code"] for each in page["contains"]]
    assert pages == codes
    assert outcome(nurse.get(f"/fhir/ValueSet/$expand?url={STATUS_SET}&count=-1"), 400) == "value"
    assert outcome(nurse.get("/fhir/ValueSet/$expand"), 400) == "required"
    assert outcome(nurse.get("/fhir/ValueSet/$expand?url=http://nowhere"), 404) == "not-found"
    assert outcome(nurse.get(f"/fhir/ValueSet/$expand?url={STATUS_SET}&date=2020-01-01"), 400) == "not-supported"


def test_expanding_as_a_tree(nurse: Client) -> None:
    asked = "/fhir/ValueSet/$expand?url=http://hl7.org/fhir/ValueSet/condition-clinical"
    for flat in (asked, f"{asked}&excludeNested=true", f"{asked}&excludeNested=false&count=50"):
        contains = nurse.get(flat).json()["expansion"]["contains"]
        assert {entry["code"] for entry in contains} >= {"active", "recurrence", "relapse", "inactive", "remission"}
    expanded = nurse.get(f"{asked}&excludeNested=false").json()
    check(expanded, "ValueSet")
    tree = {entry["code"]: entry.get("contains", []) for entry in expanded["expansion"]["contains"]}
    assert {code: [each["code"] for each in below] for code, below in tree.items()} == {
        "active": ["recurrence", "relapse"],
        "inactive": ["remission", "resolved"],
    }


def test_expanding_what_is_not_all_here_names_the_part(nurse: Client) -> None:
    answer = nurse.get("/fhir/ValueSet/$expand?url=http://hl7.org/fhir/ValueSet/body-site")
    assert outcome(answer, 404) == "not-found"
    assert answer.json()["issue"][0]["expression"] == ["ValueSet.compose.include[0]"]


def test_the_binding_of_a_profile_is_expanded_by_context(nurse: Client) -> None:
    profile = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient"
    answer = nurse.get(f"/fhir/ValueSet/$expand?context={profile}%23Patient.gender")
    assert answer.json()["url"] == "http://hl7.org/fhir/ValueSet/administrative-gender"
    assert outcome(nurse.get(f"/fhir/ValueSet/$expand?context={profile}%23Patient.nothing"), 404) == "not-found"


def test_a_value_set_may_be_sent_along_or_be_the_body(nurse: Client) -> None:
    set_ = value_set("http://example.org/x", {"system": STATUS, "concept": [{"code": "final"}]})
    expanded = nurse.post("/fhir/ValueSet/$expand", set_).json()["expansion"]["contains"]
    assert [each["code"] for each in expanded] == ["final"]
    body = sent(valueSet__resource=set_, code__valueCode="final", system__valueUri=STATUS)
    assert outputs(nurse.post("/fhir/ValueSet/$validate-code", body))["result"] is True


def test_versions_can_be_forced_and_checked(nurse: Client) -> None:
    path = f"/fhir/ValueSet/$expand?url={STATUS_SET}"
    assert nurse.get(f"{path}&check-system-version={STATUS}|4.0.1").status_code == 200
    assert outcome(nurse.get(f"{path}&force-system-version={STATUS}|9"), 404) == "not-found"
    assert outcome(nurse.get(f"{path}&system-version={STATUS}"), 400) == "value"


def test_membership(nurse: Client) -> None:
    path = f"/fhir/ValueSet/$validate-code?url={STATUS_SET}"
    assert outputs(nurse.get(f"{path}&code=final&system={STATUS}"))["result"] is True
    assert outputs(nurse.get(f"{path}&code=final"))["result"] is True
    assert outputs(nurse.get(f"{path}&code=nope"))["result"] is False
    concept = {"coding": [{"system": "http://elsewhere", "code": "x"}, {"system": STATUS, "code": "final"}]}
    body = sent(url__valueUri=STATUS_SET, codeableConcept__valueCodeableConcept=concept)
    assert outputs(nurse.post("/fhir/ValueSet/$validate-code", body))["result"] is True
    assert outcome(nurse.get("/fhir/ValueSet/$validate-code?url=http://nowhere&code=x"), 404) == "not-found"


def test_translating(nurse: Client) -> None:
    path = "/fhir/ConceptMap/$translate?url=http://hl7.org/fhir/ConceptMap/cm-address-use-v2"
    forward = outputs(nurse.get(f"{path}&system=http://hl7.org/fhir/address-use&code=home"))
    assert forward["result"] is True
    assert any(part.get("valueCoding", {}).get("code") == "H" for part in forward["match"])
    back = nurse.get(f"{path}&system=http://terminology.hl7.org/CodeSystem/v2-0190&code=H&reverse=true")
    assert outputs(back)["result"] is True
    none = outputs(nurse.get(f"{path}&system=http://hl7.org/fhir/address-use&code=nope"))
    assert none["result"] is False
    assert none["message"]
    assert outcome(nurse.get("/fhir/ConceptMap/$translate?url=http://nowhere&code=x&system=y"), 404) == "not-found"
    assert outcome(nurse.get("/fhir/ConceptMap/$translate?code=x&system=y"), 400) == "required"


# ── the clinic's own ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_the_clinic_wrote_is_used_by_url_and_on_the_instance(clinic: Clinic, nurse: Client) -> None:
    keep(clinic, code_system(), value_set(WARM, {"system": COLOURS, "concept": [{"code": "red"}]}))
    assert outputs(nurse.get(f"/fhir/ValueSet/$validate-code?url={WARM}&code=red&system={COLOURS}"))["result"] is True
    assert outputs(nurse.get(f"/fhir/ValueSet/$validate-code?url={WARM}&code=blue"))["result"] is False
    assert outputs(nurse.get("/fhir/ValueSet/own-1-valueset/$validate-code?code=red"))["result"] is True
    expanded = nurse.get("/fhir/ValueSet/own-1-valueset/$expand").json()["expansion"]
    assert [each["display"] for each in expanded["contains"]] == ["Red"]
    assert outputs(nurse.get("/fhir/CodeSystem/own-0-codesystem/$validate-code?code=red"))["result"] is True
    assert (
        outputs(nurse.get("/fhir/CodeSystem/own-0-codesystem/$subsumes?codeA=red&codeB=blue"))["outcome"]
        == "not-subsumed"
    )
    assert outcome(nurse.get("/fhir/ValueSet/nobody/$expand"), 404) == "not-found"
    assert clinic.as_("administrator").delete("/fhir/ValueSet/own-1-valueset").status_code == 204
    assert outcome(nurse.get(f"/fhir/ValueSet/$expand?url={WARM}"), 404) == "not-found"


def test_the_newest_active_version_of_the_clinic_is_meant(clinic: Clinic, nurse: Client) -> None:
    red, blue = ({"system": COLOURS, "concept": [{"code": code}]} for code in ("red", "blue"))
    keep(
        clinic,
        code_system(),
        value_set(WARM, red, version="1.10.0"),
        value_set(WARM, blue, version="1.9.0"),
        value_set(WARM, blue, version="2.0.0", status="draft"),
    )
    assert nurse.get(f"/fhir/ValueSet/$expand?url={WARM}").json()["version"] == "1.10.0"
    assert nurse.get(f"/fhir/ValueSet/$expand?url={WARM}|1.9.0").json()["version"] == "1.9.0"
    assert nurse.get(f"/fhir/ValueSet/$expand?url={WARM}&valueSetVersion=2.0.0").json()["version"] == "2.0.0"


def test_attack_a_clinic_cannot_change_what_a_standard_set_means(clinic: Clinic, nurse: Client) -> None:
    keep(clinic, value_set(STATUS_SET, {"system": "http://evil", "concept": [{"code": "anything"}]}, version="99"))
    path = f"/fhir/ValueSet/$validate-code?url={STATUS_SET}"
    assert outputs(nurse.get(f"{path}&code=anything&system=http://evil"))["result"] is False
    assert outputs(nurse.get(f"{path}&code=final"))["result"] is True


def test_attack_learning_of_a_value_set_that_one_may_not_read(clinic: Clinic) -> None:
    """Patients may ask about codes and may not read the clinic's catalogue: hidden and absent read the same."""
    keep(clinic, code_system(), value_set(WARM, {"system": COLOURS}))
    anna = clinic.as_("anna")
    for operation in ("$expand?x", "$validate-code?code=red"):
        name, _, more = operation.partition("?")
        more = more.removeprefix("x")
        hidden = anna.get(f"/fhir/ValueSet/{name}?url={WARM}&{more}".rstrip("&"))
        absent = anna.get(f"/fhir/ValueSet/{name}?url=http://example.org/none&{more}".rstrip("&"))
        assert (hidden.status_code, hidden.json()["issue"]) == (absent.status_code, absent.json()["issue"])
        assert hidden.status_code == 404
    listed = {"system": COLOURS}
    body = sent(
        valueSet__resource=value_set("http://example.org/y", listed), code__valueCode="red", system__valueUri=COLOURS
    )
    assert outputs(anna.post("/fhir/ValueSet/$validate-code", body))["result"] is False
    assert outcome(anna.get(f"/fhir/CodeSystem/$lookup?system={COLOURS}&code=red"), 404) == "not-found"
    assert anna.get("/fhir/ValueSet/own-1-valueset/$expand").status_code in {403, 404}


def test_attack_reaching_into_another_tenant(clinic: Clinic) -> None:
    keep(clinic, code_system(), value_set(WARM, {"system": COLOURS}))
    house = clinic.house
    house.keyring.create_tenant("other")

    async def enrol() -> str:
        unit = Unit()
        house.users.add_service(unit, "other", "physician", roles=("physician",), display="Elsewhere", party="")
        await house.writer.submit(unit)
        user = house.users.find("other", "physician")
        assert user is not None
        unit = Unit()
        token, _ = house.tokens.issue(unit, user, "TREAT")
        await house.writer.submit(unit)
        return token

    client = Client(clinic, {"authorization": f"Bearer {clinic.run(enrol())}"})
    assert client.get(f"/t/other/fhir/ValueSet/$expand?url={STATUS_SET}").status_code == 200
    assert outcome(client.get(f"/t/other/fhir/ValueSet/$expand?url={WARM}"), 404) == "not-found"
    assert outcome(client.get(f"/t/other/fhir/CodeSystem/$lookup?system={COLOURS}&code=red"), 404) == "not-found"
    assert client.get("/t/other/fhir/ValueSet/own-1-valueset/$expand").status_code == 404


# ── every door ───────────────────────────────────────────────────────────────────────────────────────────────────────

DOORS = (
    f"CodeSystem/$lookup?system={STATUS}&code=final",
    f"CodeSystem/$validate-code?url={STATUS}&code=final",
    f"CodeSystem/$subsumes?system={STATUS}&codeA=final&codeB=final",
    f"ValueSet/$expand?url={STATUS_SET}",
    f"ValueSet/$validate-code?url={STATUS_SET}&code=final",
    "ConceptMap/$translate?url=http://hl7.org/fhir/ConceptMap/cm-address-use-v2&system=http://x&code=home",
)
MAY_NOT = {"security-officer", "privacy-officer", "auditor"}


@pytest.mark.parametrize("door", DOORS)
def test_who_may_ask_and_who_may_not(clinic: Clinic, door: str) -> None:
    for name in PEOPLE:
        assert clinic.as_(name).get(f"/fhir/{door}").status_code == (403 if name in MAY_NOT else 200), name
    assert clinic.stranger.get(f"/fhir/{door}").status_code == 401


def test_asking_and_being_refused_are_in_the_log(clinic: Clinic) -> None:
    keep(clinic, code_system(), value_set(WARM, {"system": COLOURS}))
    clinic.as_("nurse").get(f"/fhir/ValueSet/$expand?url={WARM}")
    clinic.as_("auditor").get(f"/fhir/ValueSet/$expand?url={WARM}")
    entries = [each["resource"] for each in clinic.as_("auditor").get("/fhir/AuditEvent?_count=30").json()["entry"]]
    asked = [each for each in entries if each["subtype"][-1]["code"] == "record.operation"]
    assert [each["outcome"] for each in asked] == ["4", "0"]
    named = {entity.get("what", {}).get("reference", "") for entity in asked[1]["entity"]}
    assert any("ValueSet/own-1-valueset" in reference for reference in named)


def test_a_batch_may_ask(nurse: Client) -> None:
    entry = {"request": {"method": "GET", "url": f"ValueSet/$validate-code?url={STATUS_SET}&code=final"}}
    answer = nurse.post("/fhir", {"resourceType": "Bundle", "type": "batch", "entry": [entry]}).json()
    assert answer["entry"][0]["response"]["status"].startswith("200")


@pytest.mark.parametrize(
    "path",
    [
        "CodeSystem/$lookup?system=&code=",
        "CodeSystem/$lookup?system=%00&code=%00",
        f"CodeSystem/$lookup?system={STATUS}|&code=final",
        "ValueSet/$expand?url=|",
        "ValueSet/$expand?url=%7C%7C%7C%5C%24%2C",
        f"ValueSet/$expand?url={STATUS_SET}&count=99999999999999999999",
        f"ValueSet/$expand?url={STATUS_SET}&offset=2147483647",
        f"ValueSet/$expand?url={STATUS_SET}&filter=%27%22%2A%20NEAR%28",
        "ValueSet/$expand?context=%23",
        "ConceptMap/$translate?source=a&code=b&system=c",
        "CodeSystem/$validate-code?url=urn:ietf:bcp:47&code=" + "a-" * 2000,
    ],
)
def test_nothing_that_is_sent_breaks_the_server(nurse: Client, path: str) -> None:
    assert nurse.get(f"/fhir/{path}").status_code < 500


def test_many_questions_side_by_side(clinic: Clinic) -> None:
    headers = {"authorization": f"Bearer {clinic.token('nurse')}"}
    urls = [f"/fhir/ValueSet/$validate-code?url={STATUS_SET}&code=final"] * 20

    async def ask() -> list[int]:
        answers = await asyncio.gather(*(clinic.http.get(url, headers=headers) for url in urls))
        return [answer.status_code for answer in answers]

    assert clinic.run(ask()) == [200] * 20


def test_the_terminology_capabilities_are_valid_and_list_what_is_here(clinic: Clinic) -> None:
    answer = clinic.stranger.get("/fhir/metadata?mode=terminology")
    assert answer.status_code == 200
    described = answer.json()
    check(described, "TerminologyCapabilities")
    systems = {each["uri"]: [v["code"] for v in each.get("version", ())] for each in described["codeSystem"]}
    assert systems[STATUS] == ["4.0.1"]
    assert "http://unitsofmeasure.org" in systems
    assert "http://loinc.org" not in systems
    assert outcome(clinic.stranger.get("/fhir/metadata?mode=nonsense"), 400) == "value"
    assert clinic.stranger.get("/fhir/metadata?mode=full").json()["resourceType"] == "CapabilityStatement"
