# SPDX-License-Identifier: Apache-2.0
"""SMART App Launch 2.2 from discovery to the last token, as the test kits of Inferno go about it.

The numbers are those of `tests/conformance/requirements`. What goes wrong on purpose is in `tests/attacks/oauth`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from joserfc import jwk, jwt
from tests.support.clinic import BASE, Clinic, heart_rate, put_all
from tests.support.hand_clock import HandClock
from tests.support.smart import AUDIENCE, CALLBACK, FORM, SCOPES, App, signed_in

from salus.identity.clients.store import handle_of
from salus.identity.oauth.scopes import INTROSPECT
from salus.identity.sessions import Session
from salus.identity.smart.context import LaunchContext
from salus.identity.smart.scopes import Scope, granular, parse
from salus.kernel.commit import Unit
from salus.kernel.errors import Kind, Problem
from salus.kernel.ids import uuid7

JSON = dict[str, Any]
SMART = "/fhir/.well-known/smart-configuration"
CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
US_CORE = (
    *("AllergyIntolerance", "CarePlan", "CareTeam", "Condition", "Device", "DiagnosticReport", "DocumentReference"),
    *("Encounter", "Goal", "Immunization", "Location", "Medication", "MedicationDispense", "MedicationRequest"),
    *("Observation", "Organization", "Patient", "Practitioner", "Procedure", "Provenance", "ServiceRequest"),
)


@pytest.fixture(scope="module")
def practice(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    """A clinic with a visit, an implant and observations in categories."""
    made = Clinic(tmp_path_factory.mktemp("smart") / "data", clock=HandClock())
    lab, vital = heart_rate("anna", 1, "lab"), heart_rate("anna", 2, "vital")
    lab["category"] = [{"coding": [{"system": CATEGORY, "code": "laboratory"}]}]
    vital["category"] = [{"coding": [{"system": CATEGORY, "code": "vital-signs"}]}]
    visit = {
        "resourceType": "Encounter",
        "id": "visit",
        "status": "finished",
        "class": {"code": "AMB"},
        "subject": {"reference": "Patient/anna"},
    }
    implant = {"resourceType": "Device", "id": "implant", "patient": {"reference": "Patient/anna"}}
    put_all(made.as_("service"), lab, vital, visit, implant)
    yield made
    made.close()
    made.loop.close()


@pytest.fixture(scope="module")
def public(practice: Clinic) -> App:
    return App(practice, "public", scopes=(*SCOPES, "user/*.cruds"))


@pytest.fixture(scope="module")
def portal(practice: Clinic) -> App:
    return App(practice, "portal", secret=True)


@pytest.fixture
def physician(practice: Clinic) -> Session:
    return signed_in(practice, "physician")


@pytest.fixture
def configuration(practice: Clinic) -> JSON:
    answer = practice.stranger.get(SMART)
    assert answer.status_code == 200
    found: JSON = answer.json()
    return found


def launch(app: App, session: Session, **more: Any) -> str:
    """A handle of a launch from within the record."""
    unit = Unit()
    context = LaunchContext(session.user.id, session.id, "anna", **more)
    handle: str = app.clinic.house.apps.launches.start(unit, app.client, context, AUDIENCE).handle
    app.clinic.run(app.clinic._commit(unit))
    return handle


# ── discovery ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.requirement("smart@30", "smart@372", "smart@374", "smart@377", "smart@380", "g10@AUT-PAT-24")
@pytest.mark.parametrize("accept", ["application/json", "application/fhir+xml", "text/html", "*/*"])
def test_the_configuration_is_json_whatever_is_accepted(practice: Clinic, accept: str) -> None:
    answer = practice.stranger.get(SMART, headers={"accept": accept})
    assert answer.status_code == 200
    assert answer.headers["content-type"].partition(";")[0] == "application/json"
    assert isinstance(answer.json(), dict)


@pytest.mark.requirement("smart@373", "smart@378", "smart@381", "smart@382", "smart@383", "smart@384", "smart@385")
@pytest.mark.requirement("smart@228", "smart@285", "smart@286", "smart@287", "smart@288", "smart@289")
@pytest.mark.requirement("smart@14", "smart@15", "smart@393", "smart@394", "g10@AUT-PAT-6")
def test_the_configuration_tells_what_is_demanded(configuration: JSON) -> None:
    for name in ("issuer", "jwks_uri", "authorization_endpoint", "token_endpoint", "introspection_endpoint"):
        assert configuration[name].startswith(BASE), name
    addresses = [text for name, text in configuration.items() if name.endswith(("_endpoint", "_uri"))]
    assert all(text.startswith("https://") for text in addresses)
    assert {"authorization_code", "client_credentials"} <= set(configuration["grant_types_supported"])
    assert "S256" in configuration["code_challenge_methods_supported"]
    assert "plain" not in configuration["code_challenge_methods_supported"]
    assert "private_key_jwt" in configuration["token_endpoint_auth_methods_supported"]
    assert {"RS384", "ES384"} <= set(configuration["token_endpoint_auth_signing_alg_values_supported"])
    assert {"openid", "fhirUser", "launch", "launch/patient", "offline_access"} <= set(
        configuration["scopes_supported"]
    )
    assert configuration["capabilities"]


@pytest.mark.requirement("smart@348", "smart@349", "smart@350", "smart@351", "g10@AUT-PAT-25")
def test_the_capability_sets_are_whole(configuration: JSON) -> None:
    assert set(configuration["capabilities"]) >= {
        *("launch-ehr", "launch-standalone", "authorize-post", "sso-openid-connect"),
        *("client-public", "client-confidential-symmetric", "client-confidential-asymmetric"),
        *("context-banner", "context-style", "context-ehr-patient", "context-ehr-encounter"),
        *("context-standalone-patient", "context-standalone-encounter", "permission-offline", "permission-online"),
        *("permission-patient", "permission-user", "permission-v1", "permission-v2"),
    }


@pytest.mark.requirement("g10@AUT-PAT-5", "g10@AUT-PAT-7", "g10@AUT-PAT-17", "smart@207")
def test_metadata_and_openid_discovery(practice: Clinic, configuration: JSON) -> None:
    statement = practice.stranger.get("/fhir/metadata").json()
    assert statement["resourceType"] == "CapabilityStatement"
    told = {each["url"] for each in statement["rest"][0]["security"]["extension"][0]["extension"]}
    assert {"authorize", "token"} <= told
    openid = practice.stranger.get("/.well-known/openid-configuration").json()
    for name in ("issuer", "authorization_endpoint", "token_endpoint", "jwks_uri", "response_types_supported"):
        assert openid[name] == configuration.get(name, openid[name])
    assert openid["subject_types_supported"]
    keys = practice.stranger.get(openid["jwks_uri"].removeprefix(BASE)).json()["keys"]
    assert {"RS256"} <= {key["alg"] for key in keys}
    for key in keys:  # bare: no certificates, nothing private
        assert key["kid"]
        assert not {"x5c", "x5u", "d", "p", "q"} & key.keys()


# ── a standalone launch ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.requirement(
    "smart@48", "smart@49", "smart@53", "smart@56", "smart@57", "smart@59", "smart@353", "smart@354"
)
@pytest.mark.requirement("smart@205", "smart@355", "g10@AUT-PAT-1", "g10@AUT-PAT-3", "g10@AUT-PAT-4", "g10@AUT-PAT-8")
@pytest.mark.requirement("g10@AUT-PAT-14", "g10@AUT-PAT-26", "g10@AUT-PAT-27")
@pytest.mark.parametrize("post", [False, True])
def test_a_person_allows_and_the_browser_comes_back_with_a_code(public: App, physician: Session, post: bool) -> None:
    asked = public.parameters("launch/patient openid fhirUser offline_access patient/*.rs")
    told = public.approve(public.waiting(public.authorize(asked, post=post)), physician)
    assert told["state"] == asked["state"]
    assert told["iss"] == BASE
    assert public.redeem(told["code"]).status_code == 200


@pytest.mark.requirement("smart@54", "g10@AUT-PAT-18")
def test_a_person_refuses_and_the_application_is_told(public: App) -> None:
    waiting = public.waiting(public.authorize(public.parameters()))
    unit = Unit()
    address = public.clinic.house.oauth.interactions.refuse(unit, waiting)
    public.clinic.run(public.clinic._commit(unit))
    assert address.startswith(CALLBACK)
    assert "error=access_denied" in address


@pytest.mark.requirement("smart@73", "smart@74", "smart@75", "smart@78", "smart@84", "smart@85", "smart@86", "smart@87")
@pytest.mark.requirement("smart@88", "smart@89", "smart@200", "g10@AUT-PAT-16", "smart@168", "smart@169", "smart@173")
@pytest.mark.requirement("smart@175", "smart@176", "smart@359", "smart@360", "smart@365", "g10@AUT-PAT-9")
def test_the_answer_with_a_token_is_whole(public: App, physician: Session) -> None:
    scope = "launch/patient openid fhirUser offline_access patient/Observation.rs patient/Patient.read"
    answer = public.redeem(public.code(physician, scope))
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["pragma"] == "no-cache"
    body = answer.json()
    assert body["token_type"] == "Bearer"
    assert body["access_token"].isascii()
    assert not set(body["access_token"]) & set(' "\\')
    assert body["expires_in"] > 0
    assert set(body["scope"].split(" ")) == set(scope.split(" "))
    assert body["patient"] == "anna"
    assert body["need_patient_banner"] is True
    assert body["smart_style_url"].startswith("https://")
    assert isinstance(body["tenant"], str)
    assert body["id_token"].count(".") == 2
    assert body["refresh_token"]
    assert "refresh_token" not in public.tokens(physician, "launch/patient patient/Observation.rs")


@pytest.mark.requirement("smart@356", "g10@AUT-PAT-15")
def test_a_secret_in_the_header(practice: Clinic, physician: Session) -> None:
    app = App(practice, "basic", secret=True, auth_method="client_secret_basic")
    secret, app.secret = app.secret, ""
    code = app.code(physician)
    proof = base64.b64encode(f"basic:{secret}".encode()).decode()
    answer = app.clinic.stranger.post(
        "/oauth2/token",
        content=urlencode(
            {
                "grant_type": "authorization_code",
                "code": code,
                "redirect_uri": CALLBACK,
                "code_verifier": app.verifier,
            }
        ),
        headers={**FORM, "authorization": f"Basic {proof}"},
    )
    assert answer.status_code == 200, answer.text


@pytest.mark.requirement("smart@357", "g10@AUT-PAT-30", "smart@297", "smart@310", "smart@335")
@pytest.mark.parametrize("algorithm", ["RS384", "ES384"])
def test_a_signed_assertion(practice: Clinic, physician: Session, algorithm: str) -> None:
    rsa, curve = jwk.RSAKey.generate_key, jwk.ECKey.generate_key
    named = {"kid": "k"}
    kind = rsa(2048, parameters=named) if algorithm == "RS384" else curve("P-384", parameters=named)
    keys = json.dumps({"keys": [kind.as_dict(private=False)]})
    name = f"signed-{algorithm.lower()}"
    app = App(practice, name, kind="confidential", auth_method="private_key_jwt", algorithms=(algorithm,), jwks=keys)
    now = practice.house.clock.now_ms() // 1000
    said = {"iss": name, "sub": name, "aud": f"{BASE}/oauth2/token", "exp": now + 200, "jti": uuid7()}
    answer = app.redeem(
        app.code(physician),
        client_assertion_type="urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        client_assertion=jwt.encode({"alg": algorithm, "kid": "k", "typ": "JWT"}, said, kind, algorithms=[algorithm]),
    )
    assert answer.status_code == 200, answer.text


# ── context ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.requirement("smart@149", "smart@164", "smart@170", "smart@171", "smart@363", "smart@364", "g10@AUT-PAT-29")
@pytest.mark.requirement("g10@AUT-PAT-19", "g10@AUT-PAT-32", "g10@AUT-PAT-36", "g10@AUT-PAT-35", "g10@AUT-PAT-28")
def test_patient_and_encounter_of_a_standalone_launch(public: App, physician: Session) -> None:
    asked = public.parameters("launch/patient launch/encounter patient/Patient.rs patient/Encounter.rs openid")
    waiting = public.waiting(public.authorize(asked))
    assert waiting.needs_patient
    assert waiting.needs_encounter
    body = public.redeem(public.approve(waiting, physician, patient="anna", encounter="visit")["code"]).json()
    assert (body["patient"], body["encounter"]) == ("anna", "visit")
    for path in ("Patient/anna", "Encounter/visit"):
        assert public.get(f"/fhir/{path}", body["access_token"]).status_code == 200


@pytest.mark.requirement("smart@172", "smart@174", "smart@177", "smart@178", "smart@352", "smart@361", "smart@362")
@pytest.mark.requirement("smart@168", "smart@173", "g10@AUT-PAT-2")
def test_context_of_a_launch_from_the_record(practice: Clinic, physician: Session) -> None:
    chart = App(practice, "chart", launch_uri="https://app.example/launch")
    references = [{"reference": "Observation/lab"}, {"canonical": "https://clinic.example/Questionnaire/q"}]
    handle = launch(
        chart,
        physician,
        encounter="visit",
        intent="reconcile",
        need_patient_banner=False,
        fhir_context=json.dumps(references),
    )
    asked = chart.parameters("launch patient/Observation.rs", launch=handle)
    body = chart.redeem(chart.approve(chart.waiting(chart.authorize(asked)), physician)["code"]).json()
    assert (body["patient"], body["encounter"], body["intent"]) == ("anna", "visit", "reconcile")
    assert body["need_patient_banner"] is False
    assert body["fhirContext"] == references
    assert all({"reference", "canonical", "identifier"} & each.keys() for each in body["fhirContext"])


@pytest.mark.requirement("smart@136", "smart@170", "smart@367", "smart@95")
def test_patient_scopes_are_held_to_the_patient(public: App, practice: Clinic, physician: Session) -> None:
    token = public.tokens(physician, "launch/patient patient/*.rs")["access_token"]
    assert practice.as_("physician").get("/fhir/Patient/bert").status_code == 200
    for path in ("Patient/bert", "Observation/pulse-bert", "Condition/asthma-bert"):
        assert public.get(f"/fhir/{path}", token).status_code == 404, path
    found = public.get("/fhir/Observation?_count=50", token).json()["entry"]
    assert {entry["resource"]["subject"]["reference"] for entry in found} == {"Patient/anna"}


@pytest.mark.requirement("smart@198", "smart@209", "smart@210", "smart@358")
def test_the_person_is_named_and_can_be_read(public: App, physician: Session) -> None:
    body = public.tokens(physician, "openid fhirUser")
    keys = jwk.KeySet.import_key_set(public.clinic.stranger.get("/oauth2/jwks").json())
    token = jwt.decode(body["id_token"], keys, algorithms=["RS256"])
    assert token.header["alg"] == "RS256"
    address = token.claims["fhirUser"]
    assert address == f"{BASE}/fhir/Practitioner/physician"
    assert public.get(address.removeprefix(BASE), body["access_token"]).status_code == 200
    assert public.get("/fhir/Practitioner/nurse", body["access_token"]).status_code == 404
    assert public.get("/fhir/Patient/anna", body["access_token"]).status_code == 403


@pytest.mark.requirement("smart@197")
def test_who_has_no_resource_is_not_named(public: App, practice: Clinic) -> None:
    body = public.tokens(signed_in(practice, "billing"), "openid fhirUser user/Patient.rs")
    keys = jwk.KeySet.import_key_set(public.clinic.stranger.get("/oauth2/jwks").json())
    assert "fhirUser" not in jwt.decode(body["id_token"], keys, algorithms=["RS256"]).claims


# ── scopes ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.requirement("smart@140", "smart@144", "smart@368")
def test_user_scopes_and_wildcards_open_what_the_person_may_see(
    public: App, practice: Clinic, physician: Session
) -> None:
    token = public.tokens(physician, "user/*.rs")["access_token"]
    own = practice.as_("physician")
    for type_ in US_CORE:
        there, here = (each.status_code for each in (own.get(f"/fhir/{type_}"), public.get(f"/fhir/{type_}", token)))
        assert there == here == 200, type_
    assert public.get("/fhir/Patient/bert", token).status_code == 200


@pytest.mark.requirement("smart@119")
def test_scopes_do_not_go_beyond_the_person(public: App, practice: Clinic) -> None:
    token = public.tokens(signed_in(practice, "billing"), "user/*.cruds")["access_token"]
    own = practice.as_("billing")
    for path in ("Patient/anna", "Observation/lab", "Condition/asthma-anna", "Claim"):
        assert public.get(f"/fhir/{path}", token).status_code == own.get(f"/fhir/{path}").status_code


@pytest.mark.requirement("smart@369")
def test_version_1_is_answered_in_version_1(public: App, physician: Session) -> None:
    body = public.tokens(physician, "launch/patient patient/Observation.read patient/Condition.*")
    assert set(body["scope"].split(" ")) == {"launch/patient", "patient/Observation.read", "patient/Condition.*"}
    assert public.get("/fhir/Observation/lab", body["access_token"]).status_code == 200
    headers = {"authorization": f"Bearer {body['access_token']}"}
    changed = public.clinic.stranger.put("/fhir/Observation/lab", heart_rate("anna", 3, "lab"), headers=headers)
    assert changed.status_code == 403


@pytest.mark.requirement("smart@370", "g10@AUT-PAT-33", "g10@AUT-PAT-34")
def test_a_person_gives_observations_category_by_category(public: App, physician: Session) -> None:
    whole = parse("patient/Observation.rs")
    assert isinstance(whole, Scope)
    lab = next(each.text for each in granular(whole) if "laboratory" in each.text)
    waiting = public.waiting(
        public.authorize(public.parameters("launch/patient patient/Observation.rs patient/Patient.rs"))
    )
    told = public.approve(waiting, physician, ("launch/patient", "patient/Patient.rs", lab))
    body = public.redeem(told["code"]).json()
    assert lab in body["scope"].split(" ")
    assert "patient/Observation.rs" not in body["scope"].split(" ")
    token = body["access_token"]
    assert public.get("/fhir/Observation/lab", token).status_code == 200
    assert public.get("/fhir/Observation/vital", token).status_code == 404
    found = public.get("/fhir/Observation?patient=anna&_total=accurate", token).json()
    assert (found["total"], [each["resource"]["id"] for each in found["entry"]]) == (1, ["lab"])


@pytest.mark.requirement("g10@AUT-PAT-10", "g10@AUT-PAT-11", "g10@AUT-PAT-12")
def test_a_person_gives_type_by_type_and_decides_about_offline_access(public: App, physician: Session) -> None:
    asked = " ".join(f"patient/{type_}.rs" for type_ in US_CORE)
    waiting = public.waiting(public.authorize(public.parameters(f"launch/patient offline_access {asked}")))
    assert {f"patient/{type_}.rs" for type_ in US_CORE} <= set(waiting.scopes)
    some = ("launch/patient", "patient/Patient.rs", "patient/Condition.rs")
    body = public.redeem(public.approve(waiting, physician, some)["code"]).json()
    assert set(body["scope"].split(" ")) == set(some)
    assert "refresh_token" not in body
    for type_ in US_CORE:
        expected = 200 if f"patient/{type_}.rs" in some else 403
        assert public.get(f"/fhir/{type_}", body["access_token"]).status_code == expected, type_


# ── how long ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.requirement("smart@101", "smart@104", "smart@109", "smart@110", "smart@111", "smart@112", "smart@113")
@pytest.mark.requirement("smart@114", "smart@115", "g10@AUT-PAT-20", "smart@366")
def test_refreshing(practice: Clinic, portal: App) -> None:
    session = signed_in(practice, "physician")
    body = portal.tokens(session, "launch/patient patient/Observation.rs offline_access")
    unit = Unit()
    practice.house.sessions.end(unit, "default", session.id)  # nobody is there any more
    practice.run(practice._commit(unit))
    again = portal.refresh(body["refresh_token"]).json()
    assert again["access_token"] != body["access_token"]
    assert (again["token_type"], again["scope"], again["patient"]) == ("Bearer", body["scope"], "anna")
    assert again["expires_in"] > 0
    less = portal.refresh(again["refresh_token"], scope="patient/Observation.r").json()
    assert less["scope"] == "patient/Observation.r"
    online = portal.tokens(signed_in(practice, "physician"), "launch/patient patient/Observation.rs online_access")
    assert portal.refresh(online["refresh_token"]).json()["scope"] == online["scope"]


@pytest.mark.requirement("smart@77", "smart@94", "smart@265")
def test_a_token_ends_when_it_said(practice: Clinic, portal: App) -> None:
    assert isinstance(practice.clock, HandClock)
    body = portal.tokens(signed_in(practice, "physician"), "launch/patient patient/Observation.rs offline_access")
    assert portal.get("/fhir/Observation/lab", body["access_token"]).status_code == 200
    practice.clock.forward(body["expires_in"] * 1000)
    assert portal.get("/fhir/Observation/lab", body["access_token"]).status_code == 401
    practice._tokens.clear()


@pytest.mark.requirement("smart@271", "smart@272", "smart@273", "smart@274", "smart@275", "smart@276", "smart@277")
@pytest.mark.requirement("smart@278", "smart@279", "smart@282", "smart@283", "g10@TOK-INTRO-1")
def test_introspection(practice: Clinic, portal: App, public: App) -> None:
    before = practice.house.clock.now_ms() // 1000
    body = public.tokens(signed_in(practice, "physician"), "launch/patient openid fhirUser patient/Observation.rs")
    watcher = App(practice, "watcher", secret=True, scopes=("openid", INTROSPECT))
    told = watcher.token({"token": body["access_token"]}, "/oauth2/introspect").json()
    assert told["active"] is True
    assert (told["scope"], told["client_id"], told["patient"]) == (body["scope"], "public", "anna")
    assert told["exp"] == before + body["expires_in"]
    keys = jwk.KeySet.import_key_set(practice.stranger.get("/oauth2/jwks").json())
    claims = jwt.decode(body["id_token"], keys, algorithms=["RS256"]).claims
    assert (told["iss"], told["sub"]) == (claims["iss"], claims["sub"])
    assert watcher.token({"token": "nonsense"}, "/oauth2/introspect").json() == {"active": False}


@pytest.mark.requirement("smart@305")
def test_keys_that_an_application_handed_in_cannot_be_exchanged(practice: Clinic) -> None:
    keys = json.dumps({"keys": [jwk.ECKey.generate_key("P-384", parameters={"kid": "k"}).as_dict(private=False)]})
    for name in ("kept", "thief"):
        App(practice, name, kind="confidential", auth_method="private_key_jwt", algorithms=("ES384",), jwks=keys)
    kept, thief = (handle_of(practice.house.keyring.tenant("default"), name) for name in ("kept", "thief"))
    db = practice.house.db
    ((own,),) = db.execute("select sealed from client where handle = ?", (kept,)).fetchall()
    ((other,),) = db.execute("select sealed from client where handle = ?", (thief,)).fetchall()
    for sealed in (other, own[:-1] + bytes([own[-1] ^ 1])):
        with practice.behind() as thieves:
            thieves.execute("update client set sealed = ? where handle = ?", (sealed, kept))
        with pytest.raises(Problem) as raised:
            practice.house.apps.clients.find("default", "kept")
        assert raised.value.kind is Kind.FAULT
    with practice.behind() as thieves:
        thieves.execute("update client set sealed = ? where handle = ?", (own, kept))
    found = practice.house.apps.clients.find("default", "kept")
    assert found is not None
    assert found.jwks == keys
