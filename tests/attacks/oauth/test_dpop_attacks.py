# SPDX-License-Identifier: Apache-2.0
"""Attacks on tokens that are bound to a key (RFC 9449): theft, replay, forged and confused proofs, downgrade."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from joserfc import jwk

from salus.identity.sessions import Session
from tests.attacks.oauth.test_code_attacks import refused
from tests.support.clinic import BASE, Clinic
from tests.support.hand_clock import HandClock
from tests.support.second_house import second_house
from tests.support.smart import App, ProofKey, challenge_of

PATH = "/fhir/Patient/anna"
JSON = dict[str, Any]


@pytest.fixture
def holder(practice: Clinic, app: App) -> App:
    """A public application with a key of its own."""
    made = App.__new__(App)
    made.clinic, made.client, made.secret, made.verifier = practice, app.client, "", ""
    made.key = ProofKey(practice)
    return made


@pytest.fixture
def token(holder: App, physician: Session) -> str:
    """Its access token."""
    body = holder.tokens(physician, "user/Patient.rs openid offline_access")
    assert body["token_type"] == "DPoP"
    found: str = body["access_token"]
    return found


def show(practice: Clinic, token: str, proof: str, scheme: str = "DPoP") -> httpx.Response:
    headers = {"authorization": f"{scheme} {token}"} | ({"dpop": proof} if proof else {})
    return practice.stranger.get(PATH, headers=headers)


def key_of(app: App) -> ProofKey:
    assert app.key is not None
    return app.key


def test_a_bound_token_works_with_its_key_and_gives_the_next_nonce(practice: Clinic, holder: App, token: str) -> None:
    answer = show(practice, token, key_of(holder).proof("GET", BASE + PATH, token))
    assert answer.status_code == 200
    assert answer.headers["dpop-nonce"]


def test_a_stolen_token_without_the_key(practice: Clinic, holder: App, token: str) -> None:
    assert show(practice, token, "", "Bearer").status_code == 401
    assert show(practice, token, "").status_code == 401
    thief = ProofKey(practice)
    thief.nonce = key_of(holder).nonce
    answer = show(practice, token, thief.proof("GET", BASE + PATH, token))
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("DPoP ")
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]


def test_a_bearer_token_dressed_up(practice: Clinic, app: App, holder: App, physician: Session) -> None:
    bearer = app.tokens(physician, "user/Patient.rs")["access_token"]
    key = key_of(holder)
    key.nonce = practice.house.oauth.proofs.nonce("default")
    assert show(practice, bearer, key.proof("GET", BASE + PATH, bearer)).status_code == 401


def test_a_proof_shown_twice(practice: Clinic, holder: App, token: str) -> None:
    proof = key_of(holder).proof("GET", BASE + PATH, token)
    assert show(practice, token, proof).status_code == 200
    again = show(practice, token, proof)
    assert again.status_code == 401
    assert 'error="invalid_dpop_proof"' in again.headers["www-authenticate"]


def test_a_proof_shown_to_two_processes_at_the_same_moment(practice: Clinic, holder: App, token: str) -> None:
    proof = key_of(holder).proof("GET", BASE + PATH, token)
    headers = {"authorization": f"DPoP {token}", "dpop": proof}
    with second_house(practice) as beside:

        async def race() -> list[httpx.Response]:
            return await asyncio.gather(*(door.get(PATH, headers=headers) for door in (practice.http, beside) * 2))

        answers = practice.run(race())
    assert sorted(answer.status_code for answer in answers) == [200, 401, 401, 401]


@pytest.mark.parametrize(
    "wrong",
    [
        {"htm": "POST"},
        {"htm": "get"},
        {"htm": None},
        {"htu": f"{BASE}/fhir/Patient/bert"},
        {"htu": "https://evil.example/fhir/Patient/anna"},
        {"htu": f"http://localhost:8443{PATH}"},
        {"htu": f"https://u@localhost:8443{PATH}"},
        {"htu": "https://[::1"},
        {"htu": None},
        {"ath": None},
        {"ath": challenge_of("another token")},
        {"iat": None},
        {"iat": "now"},
        {"iat": True},
        {"jti": None},
        {"jti": ""},
        {"jti": "x" * 257},
        {"jti": 7},
    ],
    ids=str,
)
def test_a_proof_for_something_else(practice: Clinic, holder: App, token: str, wrong: JSON) -> None:
    answer = show(practice, token, key_of(holder).proof("GET", BASE + PATH, token, **wrong))
    assert answer.status_code == 401
    assert 'error="invalid_dpop_proof"' in answer.headers["www-authenticate"]


@pytest.mark.parametrize("off", [-61, 61, -3600, 3600])
def test_a_proof_of_another_time(practice: Clinic, holder: App, token: str, off: int) -> None:
    at = practice.house.clock.now_ms() // 1000 + off
    assert show(practice, token, key_of(holder).proof("GET", BASE + PATH, token, iat=at)).status_code == 401


def test_a_proof_made_in_advance(practice: Clinic, holder: App, token: str, clock: HandClock) -> None:
    """Whoever had the key for a moment cannot use it later: the nonces of later are not known yet."""
    key = key_of(holder)
    ahead = key.proof("GET", BASE + PATH, token, iat=practice.house.clock.now_ms() // 1000 + 300)
    clock.forward(300_000)
    answer = show(practice, token, ahead)
    assert answer.status_code == 401
    assert 'error="use_dpop_nonce"' in answer.headers["www-authenticate"]
    key.nonce = answer.headers["dpop-nonce"]
    assert show(practice, token, key.proof("GET", BASE + PATH, token)).status_code == 200


@pytest.mark.parametrize("nonce", [None, "", "x", 7])
def test_a_proof_without_a_nonce_of_ours(practice: Clinic, holder: App, token: str, nonce: Any) -> None:
    answer = show(practice, token, key_of(holder).proof("GET", BASE + PATH, token, nonce=nonce))
    assert answer.status_code == 401
    assert 'error="use_dpop_nonce"' in answer.headers["www-authenticate"]


def test_two_proofs_in_one_request(practice: Clinic, holder: App, token: str) -> None:
    key = key_of(holder)
    headers = [("authorization", f"DPoP {token}")] + [("dpop", key.proof("GET", BASE + PATH, token)) for _ in range(2)]
    answer = practice.run(practice.http.get(PATH, headers=headers))
    assert answer.status_code == 401


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _forged(key: ProofKey, head: JSON, secret: jwk.ECKey | bytes | None, token: str) -> str:
    """A proof with any header, signed with any key as its algorithm does it; no library would make some of these."""
    claims = key.proof("GET", BASE + PATH, token).split(".")[1]
    signed = f"{_b64(json.dumps(head).encode())}.{claims}"
    if secret is None:
        return f"{signed}."
    if isinstance(secret, bytes):
        return f"{signed}.{_b64(hmac.digest(secret, signed.encode(), 'sha256'))}"
    private = secret.private_key
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    r, s = decode_dss_signature(private.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
    return f"{signed}.{_b64(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def test_what_forging_makes_would_be_taken_if_it_were_right(practice: Clinic, holder: App, token: str) -> None:
    key = key_of(holder)
    head = {"typ": "dpop+jwt", "alg": "ES256", "jwk": key.key.as_dict(private=False)}
    assert isinstance(key.key, jwk.ECKey)
    assert show(practice, token, _forged(key, head, key.key, token)).status_code == 200


def test_forged_and_confused_proofs(practice: Clinic, holder: App, token: str) -> None:
    key = key_of(holder)
    assert isinstance(key.key, jwk.ECKey)
    public = key.key.as_dict(private=False)
    shared = b"s" * 32
    symmetric = jwk.OctKey.import_key(shared).as_dict()
    foreign = jwk.ECKey.generate_key("P-256")
    rsa = jwk.RSAKey.generate_key(2048)
    weak = jwk.ECKey.generate_key("P-384")
    forged = [
        ({"typ": "dpop+jwt", "alg": "none", "jwk": public}, None),
        ({"typ": "dpop+jwt", "alg": "HS256", "jwk": public}, shared),
        ({"typ": "dpop+jwt", "alg": "HS256", "jwk": symmetric}, shared),
        ({"typ": "dpop+jwt", "alg": "ES256", "jwk": public}, foreign),
        ({"typ": "JWT", "alg": "ES256", "jwk": public}, key.key),
        ({"alg": "ES256", "jwk": public}, key.key),
        ({"typ": "dpop+jwt", "alg": "ES256"}, key.key),
        ({"typ": "dpop+jwt", "alg": "ES256", "jwk": key.key.as_dict(private=True)}, key.key),
        ({"typ": "dpop+jwt", "alg": "ES256", "jwk": rsa.as_dict(private=False)}, key.key),
        ({"typ": "dpop+jwt", "alg": "ES256", "jwk": weak.as_dict(private=False)}, key.key),
        ({"typ": "dpop+jwt", "alg": "ES256", "jwk": {**public, "x": "AAAA"}}, key.key),
        ({"typ": "dpop+jwt", "alg": "ES256", "jwk": "x"}, key.key),
        ({"typ": "dpop+jwt", "alg": "ES256", "jku": "https://evil.example/jwks"}, key.key),
        ({"typ": "dpop+jwt", "alg": "ES256", "jwk": public, "crit": ["evil"], "evil": 1}, key.key),
    ]
    for head, secret in forged:
        answer = show(practice, token, _forged(key, head, secret, token))
        assert (answer.status_code, 'error="invalid_dpop_proof"' in answer.headers["www-authenticate"]) == (
            401,
            True,
        ), head


@pytest.mark.parametrize("proof", ["x", "a.b.c", "..", "é.é.é", "x" * 20_000, "e30.e30.e30"])
def test_proofs_that_are_none(practice: Clinic, token: str, proof: str) -> None:
    headers = {"authorization": f"DPoP {token}".encode(), "dpop": proof.encode()}
    assert practice.run(practice.http.get(PATH, headers=headers)).status_code == 401


def test_other_keys_than_elliptic_ones(practice: Clinic, app: App, physician: Session) -> None:
    made = App.__new__(App)
    made.clinic, made.client, made.secret = practice, app.client, ""
    for key, algorithm in (
        (jwk.RSAKey.generate_key(2048), "RS256"),
        (jwk.RSAKey.generate_key(2048), "PS256"),
        (jwk.ECKey.generate_key("P-384"), "ES384"),
        (jwk.OKPKey.generate_key("Ed25519"), "Ed25519"),
    ):
        made.key = ProofKey(practice, key, algorithm)
        assert made.tokens(physician, "user/Patient.rs")["token_type"] == "DPoP"


# ── at the token endpoint ────────────────────────────────────────────────────────────────────────────────────────────


def test_a_code_bound_to_a_key_in_the_hands_of_another(practice: Clinic, holder: App, physician: Session) -> None:
    code = holder.code(physician, dpop_jkt=key_of(holder).jkt)
    holder.key = ProofKey(practice)
    assert refused(holder.redeem(code))
    code = holder.code(physician, dpop_jkt=holder.key.jkt)
    holder.key = None
    assert refused(holder.redeem(code))


def test_a_refresh_token_of_a_public_application_with_another_key(
    practice: Clinic, holder: App, physician: Session
) -> None:
    for thief in (ProofKey(practice), None):
        body = holder.tokens(physician, "user/Patient.rs offline_access")
        kept, holder.key = holder.key, thief
        assert refused(holder.refresh(body["refresh_token"]))
        holder.key = kept
        assert refused(holder.refresh(body["refresh_token"]))  # the grant has ended


def test_a_pushed_request_binds_its_code_to_the_key(practice: Clinic, holder: App, physician: Session) -> None:
    pushed = holder.token(holder.parameters("user/Patient.rs"), "/oauth2/par").json()["request_uri"]
    waiting = holder.waiting(holder.authorize({"client_id": "app", "request_uri": pushed}))
    code = holder.approve(waiting, physician)["code"]
    kept, holder.key = holder.key, ProofKey(practice)
    assert refused(holder.redeem(code))
    holder.key = kept
    other = holder.token(holder.parameters(dpop_jkt="A" * 43), "/oauth2/par")
    assert refused(other, "invalid_dpop_proof")


def test_an_application_that_has_to_prove_its_key_gets_nothing_without(practice: Clinic, physician: Session) -> None:
    bound = App(practice, "bound", dpop=True)
    code = bound.code(physician)
    answer = bound.redeem(code)
    assert refused(answer, "invalid_dpop_proof")
    assert answer.headers["dpop-nonce"]
    bound.key = ProofKey(practice)
    assert bound.redeem(code).json()["token_type"] == "DPoP"


def test_a_proof_shown_twice_at_the_token_endpoint(practice: Clinic, holder: App, physician: Session) -> None:
    key = key_of(holder)
    key.nonce = practice.house.oauth.proofs.nonce("default")
    proof = key.proof("POST", f"{BASE}/oauth2/token")
    headers = {"content-type": "application/x-www-form-urlencoded", "dpop": proof}
    post = practice.stranger.post
    form = "grant_type=refresh_token&refresh_token=x&client_id=app"
    assert refused(post("/oauth2/token", content=form, headers=headers))
    assert refused(post("/oauth2/token", content=form, headers=headers), "invalid_dpop_proof")
