# SPDX-License-Identifier: Apache-2.0
"""Services that act for themselves: a signed assertion in, a token for five minutes back (SMART Backend Services)."""

from __future__ import annotations

import time
from typing import Any

import httpx
import pytest
from joserfc import jwk, jwt
from tests.support.clinic import BASE, Clinic
from tests.support.signed_in import just_proved

from salus.kernel.commit import Unit
from salus.kernel.ids import uuid7

TOKEN = "/oauth2/token"
KEY = jwk.ECKey.generate_key("P-384", parameters={"kid": "one"})
SERVICE = {
    "client_id": "exporter",
    "client_name": "Exporter",
    "grant_types": ["client_credentials"],
    "token_endpoint_auth_method": "private_key_jwt",
    "jwks": {"keys": [KEY.as_dict(private=False)]},
    "scope": "system/Observation.rs system/Patient.r",
    "account": "service",
    "purpose": "TREAT",
}


@pytest.fixture
def service(clinic: Clinic) -> Clinic:
    answer = just_proved(clinic, "administrator").post("/admin/clients", SERVICE)
    assert answer.status_code == 201, answer.text
    return clinic


def assertion(**other: Any) -> str:
    now = int(time.time())
    said = {"iss": "exporter", "sub": "exporter", "aud": BASE + TOKEN, "exp": now + 240, "jti": uuid7(), **other}
    return jwt.encode({"alg": "ES384", "kid": "one", "typ": "JWT"}, said, KEY, algorithms=["ES384"])


def ask(clinic: Clinic, scope: str | None = "system/Observation.rs", **other: str) -> httpx.Response:
    form = {
        "grant_type": "client_credentials",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": assertion(),
        **({} if scope is None else {"scope": scope}),
        **other,
    }
    return clinic.run(clinic.http.post(TOKEN, data=form))


def bearer(answer: httpx.Response) -> dict[str, str]:
    return {"authorization": f"Bearer {answer.json()['access_token']}"}


@pytest.mark.requirement(
    "smart@142",
    "smart@253",
    "smart@254",
    "smart@255",
    "smart@256",
    "smart@258",
    "smart@261",
    "smart@266",
    "g10@AUT-SYS-1",
    "g10@AUT-SYS-2",
    "g10@AUT-SYS-9",
)
def test_a_service_gets_a_token_for_five_minutes_and_reads_what_its_scopes_open(service: Clinic) -> None:
    answer = ask(service)
    assert answer.status_code == 200, answer.text
    said = answer.json()
    assert (said["token_type"], said["scope"]) == ("Bearer", "system/Observation.rs")
    assert 0 < said["expires_in"] <= 300
    assert "refresh_token" not in said
    assert "patient" not in said
    assert answer.headers["cache-control"] == "no-store"
    found = service.stranger.get("/fhir/Observation", headers=bearer(answer))
    assert len(found.json()["entry"]) == 2
    assert service.stranger.get("/fhir/Condition", headers=bearer(answer)).status_code == 403
    refused = service.stranger.post("/fhir/Observation", {"resourceType": "Observation"}, headers=bearer(answer))
    assert refused.status_code == 403


ASKED: list[tuple[str | None, str]] = [
    ("system/*.rs", "system/Observation.rs system/Patient.r"),
    ("system/Observation.cruds", "system/Observation.rs"),
    ("system/Observation.read", "system/Observation.read"),
    ("system/Patient.rs system/Condition.rs", "system/Patient.r"),
    ("patient/*.rs", ""),
    ("user/Observation.rs", ""),
    ("patient/Observation.rs openid offline_access", ""),
    ("system/Condition.rs", ""),
    ("urn:salus:introspect", ""),
    ("nonsense", ""),
    ("", ""),
    (None, ""),
]


@pytest.mark.requirement(
    "smart@240", "smart@241", "smart@250", "smart@251", "smart@259", "g10@AUT-SYS-8", "g10@AUT-SYS-10"
)
def test_a_service_is_given_what_was_registered_and_never_more(service: Clinic) -> None:
    for asked, granted in ASKED:
        answer = ask(service, asked)
        if granted:
            assert sorted(answer.json()["scope"].split()) == sorted(granted.split())
        else:
            assert (answer.status_code, answer.json()["error"]) == (400, "invalid_scope")


@pytest.mark.requirement("smart@336", "smart@340", "g10@AUT-SYS-7")
def test_replay_of_an_assertion_is_refused_over_http(service: Clinic) -> None:
    text = assertion()
    assert ask(service, client_assertion=text).status_code == 200
    again = ask(service, client_assertion=text)
    assert (again.status_code, again.json()["error"]) == (401, "invalid_client")


def test_other_ways_to_a_token_are_closed_to_a_service(service: Clinic) -> None:
    for grant, error in (("authorization_code", "unauthorized_client"), ("password", "unsupported_grant_type")):
        answer = ask(service, grant_type=grant, code="x", redirect_uri="https://a.example/", username="a", password="b")
        assert (answer.status_code, answer.json()["error"]) == (400, error)


def test_an_application_for_people_is_no_service(clinic: Clinic) -> None:
    app = {
        "client_id": "app",
        "client_name": "App",
        "token_endpoint_auth_method": "none",
        "redirect_uris": ["https://app.example/cb"],
        "scope": "patient/*.rs",
    }
    assert just_proved(clinic, "administrator").post("/admin/clients", app).status_code == 201
    form = {"grant_type": "client_credentials", "client_id": "app", "scope": "patient/*.rs"}
    answer = clinic.run(clinic.http.post(TOKEN, data=form))
    assert (answer.status_code, answer.json()["error"]) == (400, "unauthorized_client")


@pytest.mark.parametrize("how", ["client disabled", "client removed", "scopes taken away", "account disabled"])
def test_what_a_service_holds_ends_with_its_registration_and_its_account(service: Clinic, how: str) -> None:
    headers = bearer(ask(service))
    assert service.stranger.get("/fhir/Observation", headers=headers).status_code == 200
    root = just_proved(service, "administrator")
    if how == "client disabled":
        root.put("/admin/clients/exporter", {**SERVICE, "disabled": True})
    elif how == "client removed":
        root.delete("/admin/clients/exporter")
    elif how == "scopes taken away":
        root.put("/admin/clients/exporter", {**SERVICE, "scope": "system/Patient.r"})
    else:

        async def disable() -> None:
            unit = Unit()
            service.house.users.set_disabled(unit, "default", "service", disabled=True)
            await service.house.writer.submit(unit)

        service.run(disable())
    assert service.stranger.get("/fhir/Observation", headers=headers).status_code == 401
    assert ask(service).status_code in {400, 401}


def test_who_did_it_is_in_the_log_with_the_application(service: Clinic) -> None:
    headers = bearer(ask(service))
    service.stranger.get("/fhir/Observation", headers=headers)
    ask(service, client_assertion="a.b.c")
    text = str(service.as_("auditor").find("AuditEvent?_count=20"))
    assert "exporter" in text
