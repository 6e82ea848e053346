# SPDX-License-Identifier: Apache-2.0
"""Whatever is sent to the authorization server, it answers as one: never with a fault of its own."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.clinic import BASE, Clinic
from tests.support.smart import AUDIENCE, CALLBACK, FORM, App

POSTED = ("/oauth2/token", "/oauth2/par", "/oauth2/introspect", "/oauth2/revoke", "/oauth2/authorize")
_VALUES = {
    "client_id": ["app", "portal", "nobody", "\x00", "é"],
    "client_secret": ["x", "\ud7ff"],
    "client_assertion": ["x", "a.b.c", "e30.e30.e30"],
    "client_assertion_type": ["urn:ietf:params:oauth:client-assertion-type:jwt-bearer", "x"],
    "grant_type": ["authorization_code", "refresh_token", "client_credentials", "password"],
    "code": ["x"],
    "code_verifier": ["x" * 43],
    "refresh_token": ["x"],
    "token": ["x", "salus_" + "A" * 43],
    "redirect_uri": [CALLBACK, "https://evil.example", "http://[::1", "é"],
    "response_type": ["code"],
    "scope": ["openid", "user/*.rs", "launch", "é", "patient/Observation.rs?code=%"],
    "state": ["s", "\n", "é"],
    "aud": [AUDIENCE],
    "launch": ["x"],
    "prompt": ["none", "login"],
    "max_age": ["0", "٣", "9" * 30],
    "code_challenge": ["A" * 43],
    "code_challenge_method": ["S256"],
    "request_uri": ["urn:ietf:params:oauth:request_uri:x"],
    "dpop_jkt": ["A" * 43],
}
_PAIRS = st.lists(
    st.one_of(
        st.sampled_from([(name, value) for name, values in _VALUES.items() for value in values]),
        st.tuples(st.sampled_from(sorted(_VALUES)), st.text(max_size=30)),
    ),
    max_size=14,
)
_HEADERS = st.dictionaries(
    st.sampled_from(["authorization", "dpop", "user-agent"]),
    st.sampled_from(["Basic ", "Basic eDp5", "Basic é", "Bearer x", "DPoP x", "a.b.c", "e30.e30.e30", ""]),
)


@settings(max_examples=60)
@given(path=st.sampled_from(POSTED), sent=_PAIRS, headers=_HEADERS)
def test_no_form_is_a_fault_of_ours(
    practice: Clinic, app: App, portal: App, path: str, sent: list[tuple[str, str]], headers: dict[str, str]
) -> None:
    body = urlencode(sent, errors="surrogatepass")
    raw = {name: value.encode() for name, value in {**FORM, **headers}.items()}
    answer = practice.run(practice.http.post(path, content=body, headers=raw))
    assert answer.status_code in {200, 201, 303, 400, 401, 403}, answer.text
    if answer.status_code == 303:
        assert answer.headers["location"].startswith((CALLBACK, f"{BASE}/authorize/"))


@settings(max_examples=30)
@given(body=st.binary(max_size=200), path=st.sampled_from(POSTED))
def test_no_bytes_are_a_fault_of_ours(practice: Clinic, app: App, body: bytes, path: str) -> None:
    answer = practice.stranger.post(path, content=body, headers=FORM)
    assert 400 <= answer.status_code < 500
    get = practice.run(practice.http.get("/oauth2/authorize", params={"client_id": "app", "state": body.hex()}))
    assert get.status_code == 400


@pytest.mark.parametrize("path", POSTED)
def test_a_tenant_that_there_is_not(practice: Clinic, path: str) -> None:
    answer = practice.stranger.post(f"/t/nobody{path}", content="grant_type=refresh_token", headers=FORM)
    assert answer.status_code == 404
    assert practice.stranger.get("/t/nobody/oauth2/authorize?client_id=app").status_code == 404


@pytest.mark.parametrize("path", POSTED)
def test_a_form_that_is_too_large(practice: Clinic, path: str) -> None:
    answer = practice.stranger.post(path, content="scope=" + "x" * 70_000, headers=FORM)
    assert answer.status_code == 413
