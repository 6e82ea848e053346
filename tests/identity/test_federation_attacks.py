# SPDX-License-Identifier: Apache-2.0
"""Signing in with an identity provider, as an attacker would: forged tokens, replays, mix-up, planted answers."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import warnings
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from federation_desk import Federation, federation
from identity_desk import Desk
from joserfc.jwk import RSAKey
from tests.support.identity_provider import CURVE_KEY, KEY, OTHER_KEY, Claims, IdentityProvider, encoded

from salus.identity.federation.refusal import Reason
from salus.identity.federation.relying_party import Identified
from salus.kernel.commit import Unit
from salus.kernel.errors import Kind, Problem


@pytest.fixture
def fed(desk: Desk) -> Federation:
    return federation(desk)


def why(outcome: Identified | Problem) -> str:
    """The reason of a refusal, which the person is never told."""
    assert isinstance(outcome, Problem), "was let in"
    assert outcome.kind is Kind.UNAUTHENTICATED
    assert outcome.public == "Signing in with your organisation did not work. Please start again."
    return outcome.detail.removeprefix("federation: ")


# ── forged and confused tokens ───────────────────────────────────────────────────────────────────────────────────────


def unsigned(provider: IdentityProvider, claims: Claims) -> str:
    return f"{encoded({'alg': 'none'})}.{encoded(claims)}."


def unsigned_with_a_signature(provider: IdentityProvider, claims: Claims) -> str:
    return f"{encoded({'alg': 'none', 'kid': 'k1'})}.{encoded(claims)}.AAAA"


def with_hmac(claims: Claims, secret: bytes, **header: str) -> str:
    signed = f"{encoded({'alg': 'HS256', **header})}.{encoded(claims)}"
    return f"{signed}.{encoded(hmac.digest(secret, signed.encode(), 'sha256'))}"


def hmac_over_the_public_key(provider: IdentityProvider, claims: Claims) -> str:
    return with_hmac(claims, KEY.as_pem(private=False), kid="k1")


def hmac_over_the_client_secret(provider: IdentityProvider, claims: Claims) -> str:
    return with_hmac(claims, b"s3cret")


def key_in_the_header(provider: IdentityProvider, claims: Claims) -> str:
    return provider.signed(claims, OTHER_KEY, kid="k1", jwk=OTHER_KEY.as_dict(private=False))


def key_behind_an_address(provider: IdentityProvider, claims: Claims) -> str:
    return provider.signed(claims, OTHER_KEY, jku="https://evil.example/jwks")


def another_key_of_the_same_name(provider: IdentityProvider, claims: Claims) -> str:
    return provider.signed(claims, OTHER_KEY, kid="k1")


def a_key_that_nobody_published(provider: IdentityProvider, claims: Claims) -> str:
    return provider.signed(claims, OTHER_KEY)


def an_algorithm_that_was_not_registered(provider: IdentityProvider, claims: Claims) -> str:
    provider.keys.append(CURVE_KEY)
    return provider.signed(claims, CURVE_KEY, alg="ES256")


def an_access_token(provider: IdentityProvider, claims: Claims) -> str:
    return provider.signed(claims, typ="at+jwt")


def changed_after_signing(provider: IdentityProvider, claims: Claims) -> str:
    head, _, signature = provider.signed(claims).split(".")
    return f"{head}.{encoded({**claims, 'sub': 'somebody-else'})}.{signature}"


def critical_extension(provider: IdentityProvider, claims: Claims) -> str:
    head, body, _ = provider.signed(claims).split(".")
    head = encoded({"alg": "RS256", "kid": "k1", "crit": ["x"], "x": 1})
    return f"{head}.{body}." + encoded(b"x" * 256)


@pytest.mark.parametrize(
    ("forged", "reason"),
    [
        (unsigned, Reason.FORM),
        (unsigned_with_a_signature, Reason.ALGORITHM),
        (hmac_over_the_public_key, Reason.ALGORITHM),
        (hmac_over_the_client_secret, Reason.ALGORITHM),
        (key_in_the_header, Reason.FORM),
        (key_behind_an_address, Reason.FORM),
        (another_key_of_the_same_name, Reason.SIGNATURE),
        (a_key_that_nobody_published, Reason.KEY),
        (an_algorithm_that_was_not_registered, Reason.ALGORITHM),
        (an_access_token, Reason.FORM),
        (changed_after_signing, Reason.SIGNATURE),
        (critical_extension, Reason.FORM),
        (lambda *_: "not.a.jwt", Reason.FORM),
        (lambda *_: "a" * 40_000, Reason.NO_ID_TOKEN),
    ],
)
def test_a_forged_token_lets_nobody_in(
    fed: Federation, forged: Callable[[IdentityProvider, Claims], str], reason: Reason
) -> None:
    fed.register()
    fed.hospital.make = lambda claims: forged(fed.hospital, claims)
    assert why(fed.whole()) == reason


def test_a_weak_key_is_no_key(fed: Federation) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        weak = RSAKey.generate_key(1024, {"kid": "k1"})
    fed.register()
    fed.hospital.keys = [weak, OTHER_KEY]
    fed.hospital.make = lambda claims: fed.hospital.signed(claims, OTHER_KEY, kid="k1")
    assert why(fed.whole()) == Reason.KEY


def test_a_secret_key_in_the_key_set_is_no_key(fed: Federation, monkeypatch: pytest.MonkeyPatch) -> None:
    fed.register(algorithms=("RS256",))
    secret = {"kty": "oct", "k": encoded(b"0" * 32), "kid": "k1", "alg": "RS256"}

    async def get(address: str) -> bytes:
        found = await real(address)
        return json.dumps({"keys": [secret]}).encode() if address.endswith("/jwks") else found

    real = fed.hospital.get
    monkeypatch.setattr(fed.hospital, "get", get)
    with pytest.raises(Problem) as refused:
        fed.go()
    assert refused.value.kind is Kind.UNAVAILABLE


CHANGES: list[tuple[str, Callable[[Claims, int], Claims], Reason]] = [
    ("another issuer", lambda c, _: c | {"iss": "https://id.rival.example"}, Reason.ISSUER),
    ("an issuer that only begins the same", lambda c, _: c | {"iss": c["iss"] + "/"}, Reason.ISSUER),
    ("another audience", lambda c, _: c | {"aud": "another-client"}, Reason.AUDIENCE),
    ("no audience", lambda c, _: {k: v for k, v in c.items() if k != "aud"}, Reason.AUDIENCE),
    ("several audiences, none of them the client", lambda c, _: c | {"aud": ["a", "b"]}, Reason.AUDIENCE),
    ("several audiences without azp", lambda c, _: c | {"aud": ["salus", "other"]}, Reason.AUDIENCE),
    ("azp of another", lambda c, _: c | {"aud": ["salus", "other"], "azp": "other"}, Reason.AUDIENCE),
    ("azp of another, one audience", lambda c, _: c | {"azp": "other"}, Reason.AUDIENCE),
    ("expired", lambda c, now: c | {"exp": now - 120}, Reason.TIME),
    ("never expires", lambda c, _: {k: v for k, v in c.items() if k != "exp"}, Reason.TIME),
    ("issued long ago", lambda c, now: c | {"iat": now - 3600}, Reason.TIME),
    ("issued tomorrow", lambda c, now: c | {"iat": now + 86_400}, Reason.TIME),
    ("not valid yet", lambda c, now: c | {"nbf": now + 600}, Reason.TIME),
    ("a time that is text", lambda c, now: c | {"exp": str(now + 300)}, Reason.TIME),
    ("a time that is true", lambda c, _: c | {"exp": True}, Reason.TIME),
    ("another nonce", lambda c, _: c | {"nonce": "x" * 43}, Reason.NONCE),
    ("no nonce", lambda c, _: {k: v for k, v in c.items() if k != "nonce"}, Reason.NONCE),
    ("a nonce that is a list", lambda c, _: c | {"nonce": [c["nonce"]]}, Reason.NONCE),
    ("no subject", lambda c, _: {k: v for k, v in c.items() if k != "sub"}, Reason.SUBJECT),
    ("an empty subject", lambda c, _: c | {"sub": ""}, Reason.SUBJECT),
    ("a subject that is a number", lambda c, _: c | {"sub": 7}, Reason.SUBJECT),
    ("an endless subject", lambda c, _: c | {"sub": "s" * 256}, Reason.SUBJECT),
    ("the hash of another access token", lambda c, _: c | {"at_hash": "AAAA"}, Reason.ACCESS_TOKEN_HASH),
]


@pytest.mark.parametrize(("change", "reason"), [c[1:] for c in CHANGES], ids=[c[0] for c in CHANGES])
def test_a_token_that_claims_the_wrong_thing(
    fed: Federation, change: Callable[[Claims, int], Claims], reason: Reason
) -> None:
    fed.register()
    fed.hospital.change = lambda claims: change(claims, fed.desk.clock.now_ms() // 1000)
    assert why(fed.whole()) == reason


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"id_token": None}, Reason.NO_ID_TOKEN),
        ({"id_token": ["a"]}, Reason.NO_ID_TOKEN),
        ({"access_token": None}, Reason.TOKEN_ANSWER),
        ({"token_type": "mac"}, Reason.TOKEN_ANSWER),
    ],
)
def test_a_token_answer_of_another_form(fed: Federation, change: dict[str, Any], reason: Reason) -> None:
    fed.register()
    fed.hospital.answer = lambda answer: answer | change
    assert why(fed.whole()) == reason


# ── replays, planted answers, mix-up ─────────────────────────────────────────────────────────────────────────────────


def test_an_answer_works_once(fed: Federation) -> None:
    fed.register()
    left = fed.go()
    answer = fed.hospital.approve(left.address)
    assert isinstance(fed.back(answer, left.cookie), Identified)
    assert why(fed.back(answer, left.cookie)) == Reason.STATE


def test_of_two_at_the_same_moment_one_is_taken(fed: Federation) -> None:
    fed.register()
    left = fed.go()
    answer = fed.hospital.approve(left.address)

    async def race() -> list[BaseException | None]:
        units = [Unit(), Unit()]
        for unit in units:
            fed.party.returned(unit, "default", "hospital", answer, left.cookie)
        return await fed.desk.commit(*units)

    outcomes = asyncio.run(race())
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["NoneType", "Problem"]


def test_a_code_of_one_sign_in_does_not_finish_another(fed: Federation) -> None:
    """Injected code (RFC 9700 section 4.5): the verifier of this browser does not fit the challenge of the other."""
    fed.register()
    stolen = dict(fed.hospital.approve(fed.go().address))["code"]
    left = fed.go()
    state = dict(fed.hospital.approve(left.address))["state"]
    answer = [("code", stolen), ("state", state), ("iss", fed.hospital.issuer)]
    assert why(fed.back(answer, left.cookie)) == Reason.TOKEN_ANSWER


def test_an_answer_in_a_browser_that_began_nothing(fed: Federation) -> None:
    """Login CSRF: the attacker's own answer, planted in a victim's browser."""
    fed.register()
    left = fed.go()
    answer = fed.hospital.approve(left.address)
    for cookie in ("", fed.go().cookie, left.cookie[:-4] + "AAAA", "é", "x" * 5000):
        assert why(fed.back(answer, cookie)) == Reason.STATE


def test_an_answer_without_a_state_or_with_two(fed: Federation) -> None:
    fed.register()
    left = fed.go()
    answer = fed.hospital.approve(left.address)
    assert why(fed.back([pair for pair in answer if pair[0] != "state"], left.cookie)) == Reason.STATE
    for name in ("state", "code", "iss"):
        assert why(fed.back([*answer, (name, "another")], left.cookie)) == Reason.STATE


def test_a_sign_in_that_took_too_long(fed: Federation) -> None:
    fed.register()
    left = fed.go()
    answer = fed.hospital.approve(left.address)
    fed.desk.clock.later(601)
    assert why(fed.back(answer, left.cookie)) == Reason.STATE


def test_mix_up_the_answer_of_another_provider(fed: Federation) -> None:
    """RFC 9207: the rival answers with a code of its own, or of the hospital, in a sign-in that was begun elsewhere."""
    fed.register()
    fed.register("rival")
    left = fed.go("rival")
    state = dict(fed.rival.approve(left.address))["state"]
    theirs = [("code", "code-of-the-hospital"), ("state", state), ("iss", fed.hospital.issuer)]
    assert why(fed.back(theirs, left.cookie, id_="rival")) == Reason.MIX_UP
    assert why(fed.back(theirs, left.cookie, id_="hospital")) == Reason.MIX_UP
    assert fed.hospital.asked == fed.rival.asked == []


def test_a_provider_that_names_itself_always_does(fed: Federation) -> None:
    fed.register()
    left = fed.go()
    answer = [pair for pair in fed.hospital.approve(left.address) if pair[0] != "iss"]
    assert why(fed.back(answer, left.cookie)) == Reason.MIX_UP


def test_metadata_of_another_issuer_is_not_believed(fed: Federation) -> None:
    fed.register()
    fed.hospital.metadata["issuer"] = fed.rival.issuer
    with pytest.raises(Problem) as refused:
        fed.go()
    assert refused.value.kind is Kind.UNAVAILABLE


@pytest.mark.parametrize("name", ["authorization_endpoint", "token_endpoint", "jwks_uri"])
@pytest.mark.parametrize("address", ["http://id.hospital.example/x", "javascript:alert(1)", "https://a@evil/x", "", 7])
def test_metadata_with_an_address_that_is_not_fit(fed: Federation, name: str, address: Any) -> None:
    fed.register()
    fed.hospital.metadata[name] = address
    with pytest.raises(Problem) as refused:
        fed.go()
    assert refused.value.kind is Kind.UNAVAILABLE


@pytest.mark.parametrize(
    "elsewhere",
    ["https://evil.example", "//evil.example", "/\\evil.example", "\\/evil", "javascript:x", "", "/a b", "/\nx", "x"],
)
def test_nobody_is_sent_on_to_another_place(fed: Federation, elsewhere: str) -> None:
    fed.register()
    found = fed.whole(return_to=elsewhere)
    assert isinstance(found, Identified)
    assert found.travel.return_to == "/"


def test_a_sign_in_of_one_tenant_is_none_in_another(fed: Federation) -> None:
    fed.register()
    left = fed.go()
    answer = fed.hospital.approve(left.address)
    assert why(fed.back(answer, left.cookie, tenant="other")) == Reason.STATE


def test_a_provider_that_was_disabled_meanwhile(fed: Federation) -> None:
    provider = fed.register()
    left = fed.go()
    answer = fed.hospital.approve(left.address)
    off = msgspec.structs.replace(provider, disabled=True)
    fed.desk.do(lambda unit: fed.providers.replace(unit, "default", off))
    assert why(fed.back(answer, left.cookie)) == Reason.UNKNOWN_PROVIDER
    with pytest.raises(Problem) as refused:
        fed.go()
    assert why(refused.value) == Reason.UNKNOWN_PROVIDER


def test_unknown_keys_make_us_ask_again_only_once_a_minute(fed: Federation) -> None:
    fed.register()
    fed.hospital.make = lambda claims: fed.hospital.signed(claims, OTHER_KEY)
    for _ in range(5):
        assert why(fed.whole()) == Reason.KEY
    assert fed.hospital.fetched.count(f"{fed.hospital.issuer}/jwks") == 1
    fed.hospital.keys = [OTHER_KEY]  # a rotation
    fed.desk.clock.later(61)
    assert isinstance(fed.whole(), Identified)
    assert fed.hospital.fetched.count(f"{fed.hospital.issuer}/jwks") == 2


def test_a_provider_that_is_away_is_not_asked_by_everybody(fed: Federation) -> None:
    fed.register()
    metadata, fed.hospital.metadata = fed.hospital.metadata, {}
    for _ in range(5):
        with pytest.raises(Problem) as refused:
            fed.go()
        assert refused.value.kind is Kind.UNAVAILABLE
    assert len(fed.hospital.fetched) == 1
    fed.hospital.metadata = metadata
    fed.desk.clock.later(6)
    fed.go()


def test_secrets_are_sealed_at_rest(fed: Federation) -> None:
    fed.register(secret="very-secret-of-the-hospital")
    for (sealed,) in fed.desk.db.execute("select sealed from idp"):
        assert b"very-secret" not in sealed
        assert b"hospital.example" not in sealed


def test_the_verifier_is_not_in_the_address_nor_readable_in_the_cookie(fed: Federation) -> None:
    fed.register()
    left = fed.go()
    answer = fed.hospital.approve(left.address)
    assert isinstance(fed.back(answer, left.cookie), Identified)
    verifier = fed.hospital.asked[0][0]["code_verifier"]
    assert verifier not in left.address + left.cookie
    assert encoded(hashlib.sha256(verifier.encode()).digest()) in left.address
