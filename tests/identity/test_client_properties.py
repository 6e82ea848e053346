# SPDX-License-Identifier: Apache-2.0
"""Whatever is sent: an assertion that was changed anywhere proves nobody, and a registration is fit or refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeVar

import pytest
from client_desk import AUDIENCES, EC384, ClientDesk, signed, signer
from hypothesis import given, settings
from hypothesis import strategies as st
from identity_desk import Desk

from salus.identity.clients import assertion
from salus.identity.clients.client import ALGORITHMS, Client
from salus.identity.clients.keys import read
from salus.identity.clients.metadata import from_metadata, metadata_of
from salus.identity.clients.rules import check
from salus.identity.oauth.errors import OAuthError
from salus.kernel.errors import Kind, Problem

NAMES = [
    "client_name",
    "token_endpoint_auth_method",
    "redirect_uris",
    "grant_types",
    "scope",
    "jwks",
    "jwks_uri",
    "contacts",
    "response_types",
    "logo_uri",
    "initiate_login_uri",
    "dpop_bound_access_tokens",
    "profile",
    "algorithms",
    "origins",
    "account",
    "purpose",
    "client_id",
    "surprise",
    "token_endpoint_auth_signing_alg",
    "id_token_signed_response_alg",
]
WORDS = st.sampled_from(
    [
        "none",
        "client_secret_basic",
        "private_key_jwt",
        "authorization_code",
        "client_credentials",
        "refresh_token",
        "backend",
        "user-app",
        "https://app.example/cb",
        "http://127.0.0.1/cb",
        "patient/Observation.rs",
        "system/*.rs",
        "openid",
        "RS384",
        "lab-feed",
        "TREAT",
        "code",
    ]
)
FIT = {"client_name": "App", "token_endpoint_auth_method": "none", "redirect_uris": ["https://app.example/cb"]}
T = TypeVar("T")
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | WORDS | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=6,
)


def unless_invalid(work: Callable[[], T]) -> T | None:
    """What comes out; None when it is refused as not fit, and nothing else may happen."""
    try:
        return work()
    except Problem as problem:
        if problem.kind is not Kind.INVALID:
            raise
        return None


@pytest.fixture
def clients(desk: Desk) -> ClientDesk:
    made = ClientDesk(desk)
    made.register(signer("signer", EC384, algorithms=("ES384",)))
    return made


@settings(max_examples=80)
@given(data=st.data())
def test_an_assertion_that_was_changed_anywhere_proves_nobody(clients: ClientDesk, data: st.DataObject) -> None:
    text = clients.assertion("signer", "ES384")
    at = data.draw(st.integers(0, len(text) - 1))
    letter = data.draw(st.sampled_from("ABCDEFGHijklmnop0123_-."))
    changed = text[:at] + letter + text[at + 1 :]
    outcome = clients.present(signed(changed))
    # The last letter of a part of base64url carries bits that mean nothing: the same bytes are the same assertion.
    if isinstance(outcome, Client):
        assert changed == text or at == len(text) - 1


@settings(max_examples=200)
@given(text=st.text(max_size=200) | st.from_regex(r"[A-Za-z0-9_-]{1,60}\.[A-Za-z0-9_-]{1,60}\.[A-Za-z0-9_-]{1,20}"))
def test_no_text_breaks_the_reading_of_assertions(text: str) -> None:
    with pytest.raises(OAuthError) as refused:
        assertion.read(text, AUDIENCES, 1_760_000_000_000)
    assert refused.value.error == "invalid_client"
    assert refused.value.description.isascii()
    assert not {'"', "\\"} & set(refused.value.description)


@settings(max_examples=300)
@given(sent=st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=8), administrator=st.booleans())
def test_a_registration_is_fit_or_refused_and_comes_back_as_it_was(sent: dict[str, Any], administrator: bool) -> None:
    made = unless_invalid(
        lambda: check(from_metadata({**FIT, **sent}, tenant="default", id="growth", administrator=administrator))
    )
    if made is None:
        return
    assert (made.kind == "public") == (made.auth_method == "none")
    assert set(made.algorithms) <= set(ALGORITHMS)
    assert administrator or (made.account, made.origins, made.profile) == ("", (), "user-app")
    assert from_metadata(metadata_of(made), tenant="default", id="growth", administrator=True) == Client(
        **{name: getattr(made, name) for name in Client.__struct_fields__ if name not in {"dynamic", "created_ms"}}
    )


@settings(max_examples=200)
@given(
    found=st.lists(st.dictionaries(st.sampled_from(["kty", "kid", "n", "e", "crv", "x", "y", "alg", "use"]), VALUES))
)
def test_no_key_set_breaks_the_reading_of_keys(found: list[dict[str, Any]]) -> None:
    unless_invalid(lambda: read(json.dumps({"keys": found})))
