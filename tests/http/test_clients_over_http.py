# SPDX-License-Identifier: Apache-2.0
"""Administration of applications and services over HTTP, by those who may and with a fresh second factor."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.support.clinic import PEOPLE, Clinic
from tests.support.signed_in import just_proved

APP = {
    "client_id": "growth",
    "client_name": "Growth charts",
    "token_endpoint_auth_method": "none",
    "redirect_uris": ["https://app.example/callback"],
    "grant_types": ["authorization_code", "refresh_token"],
    "scope": "launch openid patient/Observation.rs",
    "origins": ["https://app.example"],
}
CHANGES = [
    ("POST", "/admin/clients"),
    ("PUT", "/admin/clients/growth"),
    ("DELETE", "/admin/clients/growth"),
    ("POST", "/admin/clients/growth/secrets"),
    ("DELETE", "/admin/clients/growth/secrets/x"),
    ("POST", "/admin/registrations"),
    ("DELETE", "/admin/registrations/x"),
]
LOOKS = [("GET", "/admin/clients"), ("GET", "/admin/clients/growth"), ("GET", "/admin/registrations")]


def added(clinic: Clinic, **other: Any) -> dict[str, Any]:
    sent = {name: value for name, value in {**APP, **other}.items() if value is not None}
    answer = just_proved(clinic, "administrator").post("/admin/clients", sent)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


@pytest.mark.requirement("smart@18", "g10@APP-REG-1")
def test_an_administrator_registers_changes_and_removes_an_application(clinic: Clinic) -> None:
    made = added(clinic)
    assert "client_secret" not in made
    root = just_proved(clinic, "administrator")
    shown = root.get("/admin/clients/growth").json()
    assert shown == made
    changed = root.put("/admin/clients/growth", {**shown, "client_name": "Curves", "disabled": True})
    assert changed.status_code == 200, changed.text
    assert [(c["client_name"], c["disabled"]) for c in root.get("/admin/clients").json()["clients"]] == [
        ("Curves", True)
    ]
    assert root.delete("/admin/clients/growth").status_code == 204
    assert root.get("/admin/clients/growth").status_code == 404


def test_a_secret_is_in_the_answer_that_made_it_alone(clinic: Clinic) -> None:
    made = added(clinic, token_endpoint_auth_method="client_secret_basic")
    assert made["client_secret"].startswith("salus_cs_")
    root = just_proved(clinic, "administrator")
    second = root.post("/admin/clients/growth/secrets", {"overlap_hours": 1}).json()
    shown = root.get("/admin/clients/growth")
    assert len(shown.json()["secrets"]) == 2
    for secret in (made["client_secret"], second["client_secret"]):
        assert secret not in shown.text
    assert root.delete(f"/admin/clients/growth/secrets/{second['id']}").status_code == 204
    assert root.delete(f"/admin/clients/growth/secrets/{second['id']}").status_code == 404
    assert len(root.get("/admin/clients/growth").json()["secrets"]) == 1


def test_nobody_else_looks_at_clients_or_changes_them(clinic: Clinic) -> None:
    for who in PEOPLE.keys() - {"administrator", "security-officer", "privacy-officer"}:
        person = just_proved(clinic, who)
        for method, path in (*LOOKS, *CHANGES):
            answer = person.request(method, path, json={} if method == "POST" else None)
            assert answer.status_code == 403, (who, path)


def test_a_change_asks_for_a_second_factor_shown_a_moment_ago(clinic: Clinic) -> None:
    for method, path in CHANGES:
        answer = clinic.as_("administrator").request(method, path, json={})
        assert answer.status_code == 401, path
        assert "insufficient_user_authentication" in answer.headers["www-authenticate"]
        assert clinic.stranger.request(method, path, json={}).status_code == 401, path


def test_what_the_privacy_officer_may_see_they_may_not_change(clinic: Clinic) -> None:
    added(clinic)
    officer = just_proved(clinic, "privacy-officer")
    assert officer.get("/admin/clients/growth").status_code == 200
    assert officer.delete("/admin/clients/growth").status_code == 403


def test_a_registration_that_is_not_fit_names_its_fields_and_repeats_nothing(clinic: Clinic) -> None:
    sent = {**APP, "redirect_uris": ["javascript:alert(document.cookie)"], "surprise": "unheard-of"}
    root = just_proved(clinic, "administrator")
    unknown = root.post("/admin/clients", sent)
    del sent["surprise"]
    unfit = root.post("/admin/clients", sent)
    assert (unknown.status_code, unfit.status_code) == (422, 422)
    assert [issue["expression"] for issue in unknown.json()["issue"]] == [["surprise"]]
    assert [issue["expression"] for issue in unfit.json()["issue"]] == [["redirect_uris"]]
    assert "unheard-of" not in unknown.text
    assert "cookie" not in unfit.text


def test_native_applications_may_use_loopback_addresses(clinic: Clinic) -> None:
    made = added(clinic, redirect_uris=["http://127.0.0.1/callback", "http://[::1]:8000/cb", "http://localhost:3000/"])
    assert len(made["redirect_uris"]) == 3


@pytest.mark.requirement("smart@344", "g10@APP-REG-2")
def test_a_backend_service_needs_a_key_and_a_service_account(clinic: Clinic) -> None:
    from joserfc import jwk

    key = jwk.ECKey.generate_key("P-384", parameters={"kid": "a"})
    service = {
        "client_id": "exporter",
        "client_name": "Exporter",
        "grant_types": ["client_credentials"],
        "token_endpoint_auth_method": "private_key_jwt",
        "jwks": {"keys": [key.as_dict(private=False)]},
        "scope": "system/Observation.rs",
        "account": "service",
        "purpose": "TREAT",
    }
    root = just_proved(clinic, "administrator")
    for change in (
        {"account": "nobody"},
        {"purpose": "FUN"},
        {"token_endpoint_auth_method": "client_secret_basic", "jwks": None},
        {"scope": "patient/*.rs"},
        {"scope": ""},
        {"redirect_uris": ["https://app.example/cb"]},
        {"jwks": {"keys": [key.as_dict(private=True)]}},
    ):
        sent = {name: value for name, value in {**service, **change}.items() if value is not None}
        assert root.post("/admin/clients", sent).status_code == 422, change
    assert root.post("/admin/clients", service).status_code == 201
    assert root.post("/admin/clients", service).status_code == 409


def test_a_client_of_another_tenant_is_not_seen(clinic: Clinic) -> None:
    added(clinic)
    answer = just_proved(clinic, "administrator").get("/t/other/admin/clients/growth")
    assert answer.status_code == 401


def test_each_look_and_change_is_in_the_log_and_so_is_each_refusal(clinic: Clinic) -> None:
    added(clinic)
    just_proved(clinic, "administrator").get("/admin/clients/growth")
    just_proved(clinic, "nurse").get("/admin/clients")
    just_proved(clinic, "nurse").post("/admin/clients", APP)
    just_proved(clinic, "administrator").post("/admin/clients", {})
    auditor = clinic.as_("auditor")
    entries = auditor.find("AuditEvent?_count=40")
    told = [(entry["subtype"][0]["code"] if "subtype" in entry else "", entry.get("outcome")) for entry in entries]
    assert len(told) >= 4
    text = json.dumps(entries)
    assert "client growth" in text


def test_a_body_that_is_no_json_is_refused(clinic: Clinic) -> None:
    root = just_proved(clinic, "administrator")
    assert root.request("POST", "/admin/clients", content=b"[]").status_code in {400, 415}
    sent = root.request("POST", "/admin/clients", content=b"{", headers={"content-type": "application/json"})
    assert sent.status_code == 400
    form = {"content-type": "application/x-www-form-urlencoded"}
    assert root.request("POST", "/admin/clients", content=b"a=b", headers=form).status_code == 415
