# SPDX-License-Identifier: Apache-2.0
"""How clients prove who they are: each in the one way that it registered, and nothing else counts."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote_plus

import pytest
from client_desk import (
    AUDIENCES,
    EC256,
    EC384,
    ISSUER,
    JWT_BEARER,
    KEY_OF,
    KEYS_AT,
    RSA,
    STRANGE,
    ClientDesk,
    app,
    confidential,
    key_set,
    signed,
    signer,
)
from identity_desk import Desk
from joserfc import jwk

from salus.identity.clients.client import ALGORITHMS, Client
from salus.identity.oauth.errors import OAuthError


@pytest.fixture
def clients(desk: Desk) -> ClientDesk:
    return ClientDesk(desk)


def basic(client_id: str, secret: str) -> str:
    return "Basic " + base64.b64encode(f"{quote_plus(client_id)}:{quote_plus(secret)}".encode()).decode()


def refused(outcome: Client | OAuthError) -> OAuthError:
    assert isinstance(outcome, OAuthError), outcome
    assert outcome.error == "invalid_client"
    return outcome


def test_a_public_client_is_known_by_its_id(clients: ClientDesk) -> None:
    clients.register(app())
    found = clients.present({"client_id": "app"})
    assert isinstance(found, Client)
    assert found.id == "app"


def test_secrets_prove_a_client_in_the_way_that_it_registered(clients: ClientDesk) -> None:
    by_header = clients.secret(clients.register(confidential("header", "client_secret_basic")))
    by_form = clients.secret(clients.register(confidential("form", "client_secret_post")))
    assert isinstance(clients.present({}, basic("header", by_header)), Client)
    assert isinstance(clients.present({"client_id": "form", "client_secret": by_form}), Client)
    refused(clients.present({"client_id": "header", "client_secret": by_header}))
    refused(clients.present({}, basic("form", by_form)))
    refused(clients.present({"client_id": "header"}))


def test_an_empty_secret_is_as_good_as_none(clients: ClientDesk) -> None:
    clients.register(app())
    clients.secret(clients.register(confidential("form", "client_secret_post")))
    assert isinstance(clients.present({"client_id": "app", "client_secret": ""}), Client)
    refused(clients.present({"client_id": "form", "client_secret": ""}))


def test_a_refused_header_is_answered_with_its_challenge(clients: ClientDesk) -> None:
    error = refused(clients.present({}, basic("nobody", "x")))
    assert (error.status, error.challenge.split()[0]) == (401, "Basic")
    assert refused(clients.present({"client_id": "nobody", "client_secret": "x"})).challenge == ""


@pytest.mark.parametrize(
    "header", ["Basic", "Basic !!!", "Basic " + base64.b64encode(b"nocolon").decode(), "Basic /w=="]
)
def test_a_broken_header_is_refused(clients: ClientDesk, header: str) -> None:
    refused(clients.present({}, header))


@pytest.mark.requirement("smart@310", "g10@AUT-SYS-6")
@pytest.mark.parametrize("alg", ALGORITHMS)
def test_assertions_of_each_algorithm_are_taken_from_who_registered_it(clients: ClientDesk, alg: str) -> None:
    clients.register(signer("signer", KEY_OF[alg], algorithms=(alg,)))
    assert isinstance(clients.present(signed(clients.assertion("signer", alg))), Client)
    assert isinstance(clients.present(signed(clients.assertion("signer", alg, aud=[ISSUER]))), Client)


def test_an_algorithm_that_was_not_registered_is_refused_even_with_the_right_key(clients: ClientDesk) -> None:
    clients.register(signer("signer", RSA, algorithms=("RS384",)))
    for alg in ("RS256", "PS384"):
        refused(clients.present(signed(clients.assertion("signer", alg))))


@pytest.mark.requirement("smart@249", "smart@335", "smart@337", "g10@AUT-SYS-3")
@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "https://evil.example/token"},
        {"aud": list(AUDIENCES)},
        {"aud": []},
        {"aud": None},
        {"iss": "somebody"},
        {"sub": "somebody"},
        {"iss": None},
        {"jti": None},
        {"jti": ""},
        {"jti": 7},
        {"jti": "x" * 256},
        {"exp": None},
        {"exp": "soon"},
        {"exp": True},
        {"exp": 1},
        {"exp": 1 << 50},
    ],
)
def test_claims_that_are_not_in_order_are_refused(clients: ClientDesk, claims: dict[str, object]) -> None:
    clients.register(signer())
    refused(clients.present(signed(clients.assertion("signer", **claims))))


def test_an_assertion_lives_for_five_minutes_at_most(clients: ClientDesk) -> None:
    clients.register(signer())
    now = clients.desk.clock.now_ms() // 1000
    refused(clients.present(signed(clients.assertion("signer", exp=now + 301))))
    refused(clients.present(signed(clients.assertion("signer", exp=now))))
    refused(clients.present(signed(clients.assertion("signer", nbf=now + 120))))
    refused(clients.present(signed(clients.assertion("signer", iat=now + 120))))
    assert isinstance(clients.present(signed(clients.assertion("signer", exp=now + 300, iat=now, nbf=now))), Client)


@pytest.mark.parametrize(
    "header",
    [
        {"kid": None},
        {"kid": "another"},
        {"crit": ["exp"]},
        {"jwk": RSA.as_dict(private=False)},
        {"x5c": ["MIIB"]},
        {"x5u": "https://evil.example/cert"},
        {"b64": True},
        {"typ": "at+jwt"},
        {"jku": "https://evil.example/jwks"},
    ],
)
def test_headers_that_bring_more_than_a_name_of_a_key_are_refused(
    clients: ClientDesk, header: dict[str, object]
) -> None:
    clients.register(signer())
    # Signed by hand: the library would not even make some of them.
    head = {"alg": "RS384", "kid": "rsa", "typ": "JWT", **header}
    text = by_hand({name: value for name, value in head.items() if value is not None}, clients.claims("signer"))
    refused(clients.present(signed(text)))
    assert isinstance(
        clients.present(signed(by_hand({"alg": "RS384", "kid": "rsa"}, clients.claims("signer")))), Client
    )


def by_hand(header: dict[str, object], claims: dict[str, object]) -> str:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding

    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (header, claims)]
    assert RSA.private_key is not None
    signature = RSA.private_key.sign(b".".join(parts), padding.PKCS1v15(), hashes.SHA384())
    return b".".join([*parts, base64.urlsafe_b64encode(signature).rstrip(b"=")]).decode()


@pytest.mark.requirement("smart@338")
def test_the_address_of_the_keys_in_a_header_may_be_the_registered_one(clients: ClientDesk) -> None:
    clients.register(signer(jwks_uri=KEYS_AT))
    clients.net.publish(key_set(RSA))
    assert isinstance(clients.present(signed(clients.assertion("signer", header={"jku": KEYS_AT}))), Client)
    refused(clients.present(signed(clients.assertion("signer", header={"jku": KEYS_AT + "?"}))))
    assert clients.net.fetched == [KEYS_AT]


@pytest.mark.requirement("smart@338")
def test_two_keys_of_one_name_prove_nobody(clients: ClientDesk) -> None:
    twin = jwk.RSAKey.import_key(STRANGE.as_dict(private=True) | {"kid": "rsa"})
    clients.register(signer("signer", RSA, twin))
    refused(clients.present(signed(clients.assertion("signer"))))


@pytest.mark.requirement("smart@338")
def test_keys_of_one_name_and_different_kinds_are_told_apart(clients: ClientDesk) -> None:
    elliptic = jwk.ECKey.import_key(EC384.as_dict(private=True) | {"kid": "rsa"})
    clients.register(signer("signer", RSA, elliptic))
    assert isinstance(clients.present(signed(clients.assertion("signer"))), Client)
    assert isinstance(clients.present(signed(clients.assertion("signer", "ES384", key=elliptic))), Client)


def test_a_key_that_names_its_algorithm_serves_no_other(clients: ClientDesk) -> None:
    bound = jwk.RSAKey.import_key(RSA.as_dict(private=True) | {"alg": "RS384"})
    clients.register(signer("signer", bound, algorithms=("RS384", "PS384")))
    assert isinstance(clients.present(signed(clients.assertion("signer", "RS384"))), Client)
    refused(clients.present(signed(clients.assertion("signer", "PS384"))))


@pytest.mark.requirement("smart@335", "smart@340", "g10@AUT-SYS-6", "g10@AUT-SYS-7")
def test_a_foreign_signature_or_a_changed_claim_is_refused(clients: ClientDesk) -> None:
    clients.register(signer())
    refused(clients.present(signed(clients.assertion("signer", key=STRANGE))))
    head, _, signature = clients.assertion("signer").split(".")
    other = base64.urlsafe_b64encode(json.dumps(clients.claims("signer")).encode()).rstrip(b"=").decode()
    refused(clients.present(signed(f"{head}.{other}.{signature}")))


def test_two_ways_at_once_are_refused_even_if_each_is_right(clients: ClientDesk) -> None:
    secret = clients.secret(clients.register(confidential()))
    clients.register(signer())
    header = basic("portal", secret)
    for form in (
        {"client_secret": secret, "client_id": "portal"},
        signed(clients.assertion("signer")),
        {"client_assertion_type": JWT_BEARER},
    ):
        refused(clients.present(form, header))
    refused(clients.present({**signed(clients.assertion("signer")), "client_secret": secret}))
    refused(clients.present({"client_id": "app"}, header))


@pytest.mark.requirement("smart@337")
def test_strangers_and_disabled_clients_are_refused_in_the_same_words(clients: ClientDesk) -> None:
    made = clients.register(signer())
    wrong = refused(clients.present(signed(clients.assertion("signer", key=STRANGE))))
    nobody = refused(clients.present(signed(clients.assertion("nobody"))))
    clients.desk.do(lambda unit: clients.clients.set_disabled(unit, "default", made.id, disabled=True))
    disabled = refused(clients.present(signed(clients.assertion("signer"))))
    assert str(wrong) == str(nobody) == str(disabled)
    assert (wrong.status, wrong.challenge) == (nobody.status, nobody.challenge) == (disabled.status, disabled.challenge)


def test_a_client_of_another_tenant_is_a_stranger(clients: ClientDesk) -> None:
    secret = clients.secret(clients.register(confidential()))
    clients.register(app())
    refused(clients.present({"client_id": "app"}, tenant="other"))
    refused(clients.present({}, basic("portal", secret), tenant="other"))
    clients.register(confidential(tenant="other"))
    refused(clients.present({}, basic("portal", secret), tenant="other"))


def test_the_former_secret_goes_on_only_as_long_as_was_said(clients: ClientDesk) -> None:
    made = clients.register(confidential())
    first = clients.secret(made)
    second = clients.secret(made, overlap_ms=60_000)
    assert isinstance(clients.present({}, basic("portal", first)), Client)
    assert isinstance(clients.present({}, basic("portal", second)), Client)
    third = clients.secret(made, overlap_ms=60_000)
    refused(clients.present({}, basic("portal", first)))
    assert len(clients.secrets.of("default", "portal")) == 2
    clients.desk.clock.later(61)
    refused(clients.present({}, basic("portal", second)))
    assert isinstance(clients.present({}, basic("portal", third)), Client)
    clients.secret(made)
    refused(clients.present({}, basic("portal", third)))


def test_secrets_do_not_come_back_when_the_way_of_proving_is_changed_and_changed_back(clients: ClientDesk) -> None:
    made = clients.register(confidential())
    secret = clients.secret(made)
    clients.change(signer("portal"))
    refused(clients.present({}, basic("portal", secret)))
    clients.change(made)
    refused(clients.present({}, basic("portal", secret)))
    assert clients.secrets.of("default", "portal") == []


def test_secrets_lie_nowhere_in_the_database(clients: ClientDesk) -> None:
    secret = clients.secret(clients.register(confidential()))
    kept = "".join(map(repr, clients.desk.db.execute("select * from client_secret")))
    kept += "".join(map(repr, clients.desk.db.execute("select * from client")))
    assert secret not in kept
    assert "portal" not in kept
    assert "app.example" not in kept


@pytest.mark.requirement("smart@336")
def test_an_assertion_counts_once(clients: ClientDesk) -> None:
    clients.register(signer())
    text = clients.assertion("signer")
    assert isinstance(clients.present(signed(text)), Client)
    refused(clients.present(signed(text)))


def test_replayed_identifier_in_another_assertion_is_refused_and_of_another_client_is_not(clients: ClientDesk) -> None:
    clients.register(signer("one"))
    clients.register(signer("two"))
    assert isinstance(clients.present(signed(clients.assertion("one", jti="same"))), Client)
    refused(clients.present(signed(clients.assertion("one", "ES384", jti="same"))))
    assert isinstance(clients.present(signed(clients.assertion("two", jti="same"))), Client)


def test_race_with_one_assertion_has_one_winner(clients: ClientDesk) -> None:
    clients.register(signer())
    form = signed(clients.assertion("signer"))
    outcomes = clients.together(*[form] * 8)
    assert [isinstance(each, Client) for each in outcomes].count(True) == 1


def test_an_assertion_shown_to_one_process_is_used_up_in_the_other(clients: ClientDesk, second: Desk) -> None:
    other = ClientDesk(second)
    clients.register(signer())
    text = clients.assertion("signer")
    assert isinstance(clients.present(signed(text)), Client)
    refused(other.present(signed(text)))


def test_a_refused_assertion_is_not_used_up(clients: ClientDesk) -> None:
    clients.register(signer())
    refused(clients.present(signed(clients.assertion("signer", key=STRANGE, jti="kept"))))
    assert isinstance(clients.present(signed(clients.assertion("signer", jti="kept"))), Client)


@pytest.mark.parametrize("text", ["", "a", "a.b", "a.b.c", "e30.e30.e30", "é.é.é", ".." * 5000, "[].[].[]"])
def test_nonsense_is_refused_and_never_breaks(clients: ClientDesk, text: str) -> None:
    refused(clients.present(signed(text)))


def test_the_kind_of_assertion_has_to_be_named(clients: ClientDesk) -> None:
    clients.register(signer())
    refused(clients.present({"client_assertion": clients.assertion("signer")}))
    refused(clients.present({"client_assertion": clients.assertion("signer"), "client_assertion_type": "saml"}))
    refused(clients.present({"client_assertion_type": JWT_BEARER, "client_id": "signer"}))


def test_a_curve_that_is_not_that_of_the_algorithm_is_refused(clients: ClientDesk) -> None:
    clients.register(signer("signer", EC256, EC384, algorithms=("ES384",)))
    refused(clients.present(signed(clients.assertion("signer", "ES256", header={"kid": "p384"}, key=EC256))))
