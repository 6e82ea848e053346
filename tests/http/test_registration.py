# SPDX-License-Identifier: Apache-2.0
"""Programs that register themselves: only with a permission, never with more than it names, and each for itself."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from tests.support.clinic import BASE, Clinic
from tests.support.signed_in import just_proved

from salus.kernel.commit import Unit

ADDRESS = "/oauth2/register"
APP = {
    "client_name": "Pulse",
    "redirect_uris": ["https://pulse.example/cb"],
    "token_endpoint_auth_method": "none",
    "grant_types": ["authorization_code", "refresh_token"],
    "scope": "launch/patient patient/Observation.rs",
}


def permission(clinic: Clinic, **said: Any) -> str:
    answer = just_proved(clinic, "administrator").post("/admin/registrations", {"label": "for tests", **said})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["initial_access_token"])


def register(clinic: Clinic, token: str, **change: Any) -> httpx.Response:
    sent = {name: value for name, value in {**APP, **change}.items() if value is not None}
    return clinic.stranger.post(ADDRESS, sent, headers=bearer(token))


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


@pytest.mark.requirement("smart@24", "smart@316")
def test_a_program_registers_itself_and_looks_after_its_registration(clinic: Clinic) -> None:
    answer = register(clinic, permission(clinic))
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert made["scope"] == APP["scope"]
    assert made["registration_client_uri"] == f"{BASE}{ADDRESS}/{made['client_id']}"
    own, token = f"{ADDRESS}/{made['client_id']}", bearer(made["registration_access_token"])
    assert clinic.stranger.get(own, headers=token).json() == made
    changed = clinic.stranger.put(own, {**made, "client_name": "Beat"}, headers=token)
    assert changed.json()["client_name"] == "Beat"
    assert clinic.stranger.delete(own, headers=token).status_code == 204
    assert clinic.stranger.get(own, headers=token).status_code == 401


def test_confidential_programs_get_a_secret_once(clinic: Clinic) -> None:
    made = register(clinic, permission(clinic), token_endpoint_auth_method=None).json()
    assert made["token_endpoint_auth_method"] == "client_secret_basic"
    assert made["client_secret_expires_at"] == 0
    own = clinic.stranger.get(f"{ADDRESS}/{made['client_id']}", headers=bearer(made["registration_access_token"]))
    assert made["client_secret"] not in own.text


def test_registration_without_permission_is_refused(clinic: Clinic) -> None:
    for token in ("", "salus_ia_" + "A" * 43, "x" * 5000):
        answer = clinic.stranger.post(ADDRESS, APP, headers=bearer(token) if token else {})
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token")
    assert clinic.house.apps.clients.all("default") == []


def test_tokens_of_people_and_services_permit_no_registration(clinic: Clinic) -> None:
    assert register(clinic, clinic.token("administrator")).status_code == 401


def test_a_permission_is_used_up_ends_and_can_be_withdrawn(clinic: Clinic) -> None:
    token = permission(clinic, count=2)
    assert [register(clinic, token).status_code for _ in range(3)] == [201, 201, 401]
    other = permission(clinic)
    root = just_proved(clinic, "administrator")
    (listed,) = root.get("/admin/registrations").json()["registrations"]
    assert (listed["label"], listed["remaining"]) == ("for tests", 1)
    assert root.delete(f"/admin/registrations/{listed['id']}").status_code == 204
    assert register(clinic, other).status_code == 401


def test_race_for_the_last_registration_has_one_winner(clinic: Clinic) -> None:
    token = permission(clinic)

    async def both() -> list[int]:
        sent = (clinic.http.post(ADDRESS, json=APP, headers=bearer(token)) for _ in range(4))
        return [answer.status_code for answer in await asyncio.gather(*sent)]

    assert sorted(clinic.run(both())) == [201, 401, 401, 401]
    assert len(clinic.house.apps.clients.all("default")) == 1


UNFIT: list[tuple[dict[str, Any], str]] = [
    ({"redirect_uris": ["http://pulse.example/cb"]}, "invalid_redirect_uri"),
    ({"redirect_uris": ["javascript:alert(1)"]}, "invalid_redirect_uri"),
    ({"redirect_uris": ["https://pulse.example/cb#f"]}, "invalid_redirect_uri"),
    ({"redirect_uris": None}, "invalid_redirect_uri"),
    (
        {"redirect_uris": ["http://127.0.0.1/cb"], "token_endpoint_auth_method": "client_secret_basic"},
        "invalid_redirect_uri",
    ),
    ({"grant_types": ["client_credentials"]}, "invalid_client_metadata"),
    ({"grant_types": ["implicit"]}, "invalid_client_metadata"),
    ({"response_types": ["token"]}, "invalid_client_metadata"),
    ({"logo_uri": "file:///etc/passwd"}, "invalid_client_metadata"),
    ({"jwks_uri": "https://169.254.169.254/", "token_endpoint_auth_method": "none"}, "invalid_client_metadata"),
    ({"client_name": "a\u202eb"}, "invalid_client_metadata"),
    ({"client_name": 7}, "invalid_client_metadata"),
    ({"token_endpoint_auth_method": "magic"}, "invalid_client_metadata"),
]


def test_what_is_not_fit_is_refused_in_the_words_of_the_standard(clinic: Clinic) -> None:
    token = permission(clinic)
    for change, error in UNFIT:
        answer = register(clinic, token, **change)
        assert (answer.status_code, answer.json()["error"]) == (400, error), answer.text
    assert clinic.house.apps.clients.all("default") == []
    assert register(clinic, token).status_code == 201  # what was refused used nothing up


def test_no_program_gets_more_than_the_permission_names(clinic: Clinic) -> None:
    token = permission(clinic, scope="patient/Observation.rs openid", count=3)
    wide = register(
        clinic, token, scope="patient/*.cruds user/*.cruds system/*.rs openid offline_access nonsense"
    ).json()
    assert wide["scope"].split() == ["patient/Observation.rs", "openid"]
    assert register(clinic, token, scope=None).json()["scope"].split() == ["patient/Observation.rs", "openid"]
    own = bearer(wide["registration_access_token"])
    sent = {**wide, "scope": "patient/*.cruds openid offline_access"}
    changed = clinic.stranger.put(f"{ADDRESS}/{wide['client_id']}", sent, headers=own).json()
    assert changed["scope"].split() == ["patient/Observation.rs", "openid"]


def test_what_only_administrators_say_counts_for_nothing_here(clinic: Clinic) -> None:
    said = {"origins": ["https://evil.example"], "account": "service", "disabled": False, "profile": "backend"}
    made = register(clinic, permission(clinic), **said).json()
    assert not said.keys() & made.keys()
    kept = clinic.house.apps.clients.find("default", made["client_id"])
    assert kept is not None
    assert (kept.origins, kept.account, kept.profile, kept.dynamic) == ((), "", "user-app", True)


def test_a_program_looks_after_no_registration_but_its_own(clinic: Clinic) -> None:
    token = permission(clinic, count=2)
    one, two = register(clinic, token).json(), register(clinic, token).json()
    key = bearer(one["registration_access_token"])
    for method in ("GET", "PUT", "DELETE"):
        answer = clinic.stranger.request(method, f"{ADDRESS}/{two['client_id']}", json=two, headers=key)
        assert answer.status_code == 401
    moved = clinic.stranger.put(f"{ADDRESS}/{one['client_id']}", two, headers=key)
    assert moved.status_code == 400
    raised = {**one, "token_endpoint_auth_method": "client_secret_basic"}
    assert clinic.stranger.put(f"{ADDRESS}/{one['client_id']}", raised, headers=key).status_code == 400


def test_a_program_takes_nothing_back_that_an_administrator_demanded(clinic: Clinic) -> None:
    made = register(clinic, permission(clinic)).json()
    root, at = just_proved(clinic, "administrator"), f"/admin/clients/{made['client_id']}"
    demanded = {"require_pushed_authorization_requests": True, "dpop_bound_access_tokens": True}
    narrowed = {
        **root.get(at).json(),
        **demanded,
        "grant_types": ["authorization_code"],
        "origins": ["https://a.example"],
    }
    assert root.put(at, narrowed).status_code == 200
    own = bearer(made["registration_access_token"])
    changed = clinic.stranger.put(f"{ADDRESS}/{made['client_id']}", made, headers=own)
    assert changed.status_code == 200, changed.text
    kept = root.get(at).json()
    assert {name: kept[name] for name in demanded} == demanded
    assert kept["dynamic"] is True
    assert (kept["grant_types"], kept["origins"]) == (["authorization_code"], ["https://a.example"])


def test_markup_in_a_name_stays_text(clinic: Clinic) -> None:
    made = register(clinic, permission(clinic), client_name="<img src=x onerror=alert(1)>")
    assert made.headers["content-type"].startswith("application/json")
    assert made.headers["x-content-type-options"] == "nosniff"
    assert made.json()["client_name"] == "<img src=x onerror=alert(1)>"


def test_bodies_that_cannot_be_read_are_refused(clinic: Clinic) -> None:
    headers = {**bearer(permission(clinic)), "content-type": "application/json"}
    for body in (b"", b"[]", b"{", b'{"a":1,"a":2}', b'{"redirect_uris": NaN}', b"x" * 70_000):
        answer = clinic.stranger.request("POST", ADDRESS, content=body, headers=headers)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_client_metadata")


def test_tenants_do_not_share_permissions(clinic: Clinic) -> None:
    token = permission(clinic)
    assert clinic.stranger.post(f"/t/other{ADDRESS}", APP, headers=bearer(token)).status_code == 404


def test_what_lies_in_the_database_opens_nothing(clinic: Clinic) -> None:
    token = permission(clinic, count=2)
    made = register(clinic, token).json()
    rows = "".join(
        repr(clinic.house.db.execute(f"select * from {table}").fetchall())
        for table in ("client", "client_permission", "client_secret")
    )
    for secret in (token, made["registration_access_token"], made["client_id"], "Pulse", "pulse.example", "for tests"):
        assert secret not in rows


def test_a_removed_permission_of_a_unit_that_was_not_committed_changes_nothing(clinic: Clinic) -> None:
    token = permission(clinic)
    clinic.house.apps.registration.register(Unit(), "default", token, APP)
    assert register(clinic, token).status_code == 201
