# SPDX-License-Identifier: Apache-2.0
"""Whose scripts may read answers: of discovery anybody's, of records those of applications, of pages none."""

from __future__ import annotations

import httpx
import pytest
from tests.http.test_clients_over_http import added
from tests.support.clinic import Clinic
from tests.support.signed_in import just_proved

from salus.http.cors import Reach, reach

OURS, STRANGE = "https://app.example", "https://evil.example"
ALLOWED = "access-control-allow-origin"


def preflight(clinic: Clinic, path: str, origin: str, method: str = "GET") -> httpx.Response:
    sent = "authorization, if-match"
    asked = {"origin": origin, "access-control-request-method": method, "access-control-request-headers": sent}
    return clinic.stranger.request("OPTIONS", path, headers=asked)


@pytest.mark.parametrize(
    "path",
    [
        "/fhir/metadata",
        "/fhir/.well-known/smart-configuration",
        "/.well-known/openid-configuration",
        "/.well-known/oauth-authorization-server",
        "/oauth2/jwks",
        "/t/other/fhir/metadata",
        "/.well-known/oauth-authorization-server/t/other",
    ],
)
def test_discovery_is_for_anybody_and_without_credentials(path: str) -> None:
    assert reach(path) is Reach.ANYBODY


CLOSED = """
    /oauth2/authorize /oauth2/register / /sign-in /account /authorize/x /auth/token /admin/clients /launches /health
    /static/x /t/other/oauth2/authorize /fhirx/Patient /scim/v2/Users /.well-known /fhirs
"""


@pytest.mark.parametrize("path", CLOSED.split())
def test_pages_and_authorization_are_for_no_script(path: str) -> None:
    assert reach(path) is Reach.NOBODY


@pytest.mark.requirement("smart@16")
def test_any_site_reads_discovery(clinic: Clinic) -> None:
    for path in ("/fhir/metadata", "/fhir/.well-known/smart-configuration", "/oauth2/jwks"):
        answer = clinic.stranger.get(path, headers={"origin": STRANGE})
        assert (answer.status_code, answer.headers[ALLOWED]) == (200, "*"), path
        assert "access-control-allow-credentials" not in answer.headers
        asked = preflight(clinic, path, STRANGE)
        assert (asked.status_code, asked.headers[ALLOWED]) == (204, "*")


@pytest.mark.requirement("smart@17")
def test_a_registered_origin_reads_records_tokens_and_errors(clinic: Clinic) -> None:
    added(clinic)
    asked = preflight(clinic, "/fhir/Patient/anna", OURS, "PUT")
    assert (asked.status_code, asked.headers[ALLOWED], asked.headers["vary"]) == (204, OURS, "origin")
    assert "PUT" in asked.headers["access-control-allow-methods"]
    assert "authorization" in asked.headers["access-control-allow-headers"]
    good = clinic.as_("physician").get("/fhir/Patient/anna", headers={"origin": OURS})
    assert (good.status_code, good.headers[ALLOWED]) == (200, OURS)
    assert "etag" in good.headers["access-control-expose-headers"]
    bad = clinic.stranger.get("/fhir/Patient/anna", headers={"origin": OURS})
    assert (bad.status_code, bad.headers[ALLOWED]) == (401, OURS)
    refused = clinic.run(clinic.http.post("/oauth2/token", data={"grant_type": "x"}, headers={"origin": OURS}))
    assert (refused.status_code, refused.headers[ALLOWED]) == (401, OURS)
    for answer in (asked, good, bad, refused):
        assert "access-control-allow-credentials" not in answer.headers


def test_unregistered_origins_read_nothing(clinic: Clinic) -> None:
    added(clinic)
    doctor = clinic.as_("physician")
    close = ("https://app.example.evil.example", "http://app.example", "https://APP.example", "https://app.example:444")
    for origin in (STRANGE, "null", "", *close):
        for path in ("/fhir/Patient/anna", "/oauth2/token", "/oauth2/introspect"):
            assert ALLOWED not in preflight(clinic, path, origin).headers
        answer = doctor.get("/fhir/Patient/anna", headers={"origin": origin})
        assert answer.status_code == 200
        assert ALLOWED not in answer.headers


def test_no_script_reads_the_authorization_endpoint_or_a_page(clinic: Clinic) -> None:
    added(clinic)
    for path in ("/oauth2/authorize", "/", "/auth/token", "/admin/clients"):
        for origin in (OURS, STRANGE):
            assert ALLOWED not in preflight(clinic, path, origin, "POST").headers
            assert ALLOWED not in clinic.stranger.get(path, headers={"origin": origin}).headers


def test_an_origin_ends_with_its_application(clinic: Clinic) -> None:
    made = added(clinic)
    assert preflight(clinic, "/fhir/Patient", OURS).headers[ALLOWED] == OURS
    root = just_proved(clinic, "administrator")
    root.put("/admin/clients/growth", {**made, "disabled": True})
    assert ALLOWED not in preflight(clinic, "/fhir/Patient", OURS).headers
    root.put("/admin/clients/growth", {**made, "disabled": False})
    assert preflight(clinic, "/fhir/Patient", OURS).headers[ALLOWED] == OURS
    root.delete("/admin/clients/growth")
    assert ALLOWED not in preflight(clinic, "/fhir/Patient", OURS).headers


def test_origins_of_one_tenant_read_nothing_of_another(clinic: Clinic) -> None:
    added(clinic)
    assert ALLOWED not in preflight(clinic, "/t/other/fhir/Patient", OURS).headers


def test_options_that_asks_nothing_is_no_preflight(clinic: Clinic) -> None:
    assert clinic.stranger.request("OPTIONS", "/fhir/Patient", headers={"origin": STRANGE}).status_code == 405
