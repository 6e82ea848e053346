# SPDX-License-Identifier: Apache-2.0
"""What may stand in a registration: rules over values, and properties of the addresses they let through."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import pytest
from client_desk import EC384, RSA
from hypothesis import given
from hypothesis import strategies as st

from salus.identity.clients.addresses import is_https, is_loopback, is_origin
from salus.identity.clients.client import Client
from salus.identity.clients.metadata import from_metadata, metadata_of
from salus.identity.clients.rules import check
from salus.kernel.errors import Kind, Problem

APP: dict[str, Any] = {
    "client_name": "Growth charts",
    "token_endpoint_auth_method": "none",
    "redirect_uris": ["https://app.example/callback"],
    "grant_types": ["authorization_code", "refresh_token"],
    "scope": "launch openid patient/Observation.rs",
    "origins": ["https://app.example"],
}


def made(**change: Any) -> Client:
    sent = {name: value for name, value in {**APP, **change}.items() if value is not None}
    return check(from_metadata(sent, tenant="default", id=sent.pop("client_id", "growth"), administrator=True))


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"redirect_uris": ["http://app.example/cb"]}, "redirect_uris"),
        ({"redirect_uris": ["javascript:alert(1)"]}, "redirect_uris"),
        ({"redirect_uris": ["https://app.example/cb#x"]}, "redirect_uris"),
        ({"redirect_uris": ["https://user@app.example/cb"]}, "redirect_uris"),
        ({"redirect_uris": ["https://*.example/cb"]}, "redirect_uris"),
        ({"redirect_uris": ["https://app.example/*"]}, "redirect_uris"),
        ({"redirect_uris": []}, "redirect_uris"),
        ({"redirect_uris": "https://app.example/cb"}, "redirect_uris"),
        ({"client_name": ""}, "client_name"),
        ({"client_name": "evil\u202eppa"}, "client_name"),
        ({"client_id": "../x"}, "client_id"),
        ({"client_id": "a b"}, "client_id"),
        ({"scope": "system/*.rs"}, "scope"),
        ({"scope": "patient/Nothing.rs"}, "scope"),
        ({"scope": "patient/Observation.sr"}, "scope"),
        ({"origins": ["https://app.example/"]}, "origins"),
        ({"origins": ["null"]}, "origins"),
        ({"origins": ["*"]}, "origins"),
        ({"token_endpoint_auth_method": "tls_client_auth"}, "token_endpoint_auth_method"),
        ({"grant_types": ["implicit"]}, "grant_types"),
        ({"grant_types": ["password", "authorization_code"]}, "grant_types"),
        ({"response_types": ["token"]}, "response_types"),
        ({"jwks": {"keys": []}}, "jwks"),
        ({"surprise": 1}, "surprise"),
        ({"logo_uri": "http://app.example/logo.png"}, "logo_uri"),
        ({"account": "service"}, "account"),
        (
            {"token_endpoint_auth_method": "client_secret_basic", "redirect_uris": ["http://127.0.0.1/cb"]},
            "redirect_uris",
        ),
        ({"token_endpoint_auth_method": "private_key_jwt", "jwks_uri": "http://app.example/k"}, "jwks_uri"),
        ({"token_endpoint_auth_method": "private_key_jwt"}, "jwks"),
    ],
)
def test_what_is_not_fit_is_named_by_its_field(change: dict[str, Any], place: str) -> None:
    with pytest.raises(Problem) as refused:
        made(**change)
    assert refused.value.kind is Kind.INVALID
    assert place in [issue.place for issue in refused.value.issues]


def test_what_is_answered_may_be_sent_back() -> None:
    keys = {"keys": [EC384.as_dict(private=False), RSA.as_dict(private=False)]}
    for change in (
        {},
        {"token_endpoint_auth_method": "private_key_jwt", "jwks": keys, "algorithms": ["PS384", "ES384"]},
    ):
        client = made(
            **change, logo_uri="https://app.example/l.png", contacts=["a@b.example"], dpop_bound_access_tokens=True
        )
        again = from_metadata(metadata_of(client), tenant="default", id="growth", administrator=True)
        assert again == client


DECEIVING = [
    "https://app.example/cb/../evil",
    "https://app.example/./cb",
    "https://app.example/cb%2f..%2fevil",
    "https://app.example/%2e%2e/cb",
    "https://app.example//evil.example",
    "https://app.example./cb",
    "https://app.example@evil.example/cb",
    "https://APP.example/cb",
    "https://app.example/cb#f",
    "https://app.example\\@evil.example/",
    "https://app.example/cb\n",
    "https://app.example /cb",
    "https:/app.example/cb",
    "https://-app.example/cb",
    "https://app_.example/cb",
    "https://app.example:0/cb",
    "https://app.example:/cb",
    "https://ápp.example/cb",
    "https://",
    "//app.example/cb",
    "data:text/html,x",
    "com.example.app:/cb",
    "http://127.0.0.1.evil.example/cb",
    "http://localhost.evil.example/cb",
    "http://127.0.0.1@evil.example/cb",
    "http://127.1/cb",
    "http://2130706433/cb",
    "http://0.0.0.0/cb",
]


@pytest.mark.parametrize("text", DECEIVING)
def test_redirect_tricks_are_refused(text: str) -> None:
    assert not is_https(text)
    assert not is_loopback(text)


@given(st.text(max_size=60))
def test_whatever_is_let_through_reads_the_same_to_a_browser(text: str) -> None:
    for candidate in (text, "https://" + text, "https://app.example/" + text, "http://127.0.0.1" + text):
        if is_https(candidate) or is_loopback(candidate):
            parts = urlsplit(candidate)
            assert parts.geturl() in {candidate, candidate.rstrip("?")}
            assert parts.username is None
            assert not parts.fragment
            assert "*" not in candidate
            assert parts.hostname
            assert parts.hostname == parts.hostname.lower()
            assert is_loopback(candidate) == (parts.scheme == "http")
            if parts.scheme == "http":
                assert parts.hostname in {"127.0.0.1", "::1", "localhost"}
            assert ".." not in parts.path.split("/")


@given(st.from_regex(r"https://[a-z0-9.:/*@-]{0,30}", fullmatch=True))
def test_an_origin_is_what_a_browser_would_write(text: str) -> None:
    if is_origin(text, native=False):
        parts = urlsplit(text)
        assert f"{parts.scheme}://{parts.netloc}" == text
        assert parts.port != 443
