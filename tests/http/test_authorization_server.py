# SPDX-License-Identifier: Apache-2.0
"""The authorization server as an application meets it: discovery, id_tokens, keys that are replaced, its context."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from joserfc import jwk, jws, jwt
from tests.support.clinic import BASE, Clinic
from tests.support.hand_clock import HandClock
from tests.support.smart import App, noted, signed_in

from salus.app.key_tending import tend_keys
from salus.app.safety import unsafe
from salus.audit.event import EventType
from salus.identity.oauth.discovery import SCOPES
from salus.identity.oauth.issuance import at_hash
from salus.kernel.settings import OAuth

DAY_MS = 24 * 3600 * 1000
JSON = dict[str, Any]
SMART = "/fhir/.well-known/smart-configuration"
RFC8414 = "/.well-known/oauth-authorization-server"
OPENID = "/.well-known/openid-configuration"


@pytest.fixture
def timed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    """A clinic whose clock is turned by hand."""
    made = Clinic(tmp_path_factory.mktemp("timed") / "data", clock=HandClock())
    yield made
    made.close()
    made.loop.close()


def document(clinic: Clinic, path: str, **headers: str) -> JSON:
    answer = clinic.stranger.get(path, headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("application/json")
    found: JSON = answer.json()
    return found


def claims_of(clinic: Clinic, id_token: str, algorithm: str = "RS256") -> JSON:
    """The claims of an id_token, verified with the published keys as a client would."""
    keys = jwk.KeySet.import_key_set(document(clinic, "/oauth2/jwks"))  # type: ignore[arg-type]
    claims: JSON = jwt.decode(id_token, keys, algorithms=[algorithm]).claims
    return claims


# ── discovery ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_three_documents_agree_where_they_overlap(clinic: Clinic) -> None:
    found = [document(clinic, path) for path in (SMART, RFC8414, OPENID)]
    for one in found:
        for other in found:
            assert {name: one[name] for name in one.keys() & other.keys()} == {
                name: other[name] for name in one.keys() & other.keys()
            }
    assert {each["issuer"] for each in found} == {BASE}


def test_discovery_is_json_whatever_is_accepted(clinic: Clinic) -> None:
    for accept in ("application/fhir+xml", "text/html", "image/png", ""):
        assert document(clinic, SMART, accept=accept)["issuer"] == BASE


def test_discovery_says_what_smart_and_certification_demand(clinic: Clinic) -> None:
    found = document(clinic, SMART)
    assert found["code_challenge_methods_supported"] == ["S256"]
    assert {"authorization_code", "refresh_token"} <= set(found["grant_types_supported"])
    assert {"RS384", "ES384"} <= set(found["token_endpoint_auth_signing_alg_values_supported"])
    assert {"launch-ehr", "launch-standalone", "permission-v1", "permission-v2", "authorize-post"} <= set(
        found["capabilities"]
    )
    addresses = [value for name, value in found.items() if name.endswith(("_endpoint", "_uri"))]
    assert addresses
    assert all(address.startswith(f"{BASE}/") for address in addresses)
    openid = document(clinic, OPENID)
    assert "RS256" in openid["id_token_signing_alg_values_supported"]
    assert openid["request_uri_parameter_supported"] is False


def test_the_style_is_there(clinic: Clinic) -> None:
    body = App(clinic).tokens(signed_in(clinic, "physician"), "launch/patient patient/Observation.rs")
    style = document(clinic, body["smart_style_url"].removeprefix(BASE))
    assert {"color_background", "color_text", "dim_font_size", "font_family_body"} <= style.keys()


def test_every_endpoint_that_is_listed_is_there(clinic: Clinic) -> None:
    found = document(clinic, RFC8414)
    there = {
        name: clinic.stranger.request(method, found[name].removeprefix(BASE)).status_code
        for name, method in (
            ("authorization_endpoint", "GET"),
            ("token_endpoint", "POST"),
            ("pushed_authorization_request_endpoint", "POST"),
            ("introspection_endpoint", "POST"),
            ("revocation_endpoint", "POST"),
            ("userinfo_endpoint", "GET"),
            ("jwks_uri", "GET"),
            ("registration_endpoint", "POST"),
        )
    }
    assert set(there.values()) <= {200, 400, 401}, there


@pytest.mark.parametrize("scope", [scope for scope in SCOPES if not scope.startswith("system/")])
def test_every_scope_that_is_listed_works(quiet: tuple[Clinic, App], scope: str) -> None:
    clinic, app = quiet
    asked = scope if scope.startswith(("patient", "user")) else f"{scope} user/Patient.rs"
    body = app.tokens(signed_in(clinic, "physician"), asked)
    assert scope in body["scope"].split(" ")


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Clinic, App]]:
    """A clinic and an application that may ask for everything."""
    made = Clinic(tmp_path_factory.mktemp("scopes") / "data")
    yield made, App(made, scopes=tuple(scope for scope in SCOPES if not scope.startswith("system/")))
    made.close()
    made.loop.close()


def test_tenants_are_other_issuers(clinic: Clinic) -> None:
    clinic.house.keyring.create_tenant("other")
    found = [
        document(clinic, path)
        for path in (f"/t/other{SMART}", f"/t/other{RFC8414}", f"{RFC8414}/t/other", f"/t/other{OPENID}")
    ]
    assert {each["issuer"] for each in found} == {f"{BASE}/t/other"}
    assert {each["token_endpoint"] for each in found} == {f"{BASE}/t/other/oauth2/token"}
    ours, theirs = document(clinic, "/oauth2/jwks"), document(clinic, "/t/other/oauth2/jwks")
    assert not {key["kid"] for key in ours["keys"]} & {key["kid"] for key in theirs["keys"]}
    for path in (SMART, RFC8414, OPENID, "/oauth2/jwks", "/oauth2/smart-style"):
        assert clinic.stranger.get(f"/t/nobody{path}").status_code == 404


def test_metadata_points_to_the_authorization_server(clinic: Clinic) -> None:
    security = clinic.stranger.get("/fhir/metadata").json()["rest"][0]["security"]
    addresses = {each["url"]: each["valueUri"] for each in security["extension"][0]["extension"]}
    found = document(clinic, SMART)
    assert addresses["authorize"] == found["authorization_endpoint"]
    assert addresses["token"] == found["token_endpoint"]
    assert security["service"][0]["coding"][0]["code"] == "SMART-on-FHIR"


@pytest.mark.parametrize(
    "wrong",
    [
        {"access_minutes": 0},
        {"access_minutes": 60 * 25},
        {"refresh_days": 0},
        {"refresh_days": 400},
        {"grant_days": 50},
        {"signing_key_days": 1},
        {"signing_key_days": 1000},
    ],
    ids=str,
)
def test_a_server_does_not_start_with_lifetimes_that_make_no_sense(clinic: Clinic, wrong: dict[str, int]) -> None:
    assert unsafe(clinic.settings) == []
    concerns = unsafe(msgspec.structs.replace(clinic.settings, oauth=OAuth(**wrong)))
    assert [concern.what for concern in concerns if next(iter(wrong)) in concern.what]


# ── id_tokens ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_id_token_says_who_how_and_when(clinic: Clinic) -> None:
    app = App(clinic)
    session = signed_in(clinic, "physician")
    body = app.tokens(session, "openid fhirUser user/Patient.rs", nonce="n-1")
    claims = claims_of(clinic, body["id_token"])
    assert (claims["iss"], claims["aud"], claims["nonce"]) == (BASE, "app", "n-1")
    assert claims["fhirUser"] == f"{BASE}/fhir/Practitioner/physician"
    assert claims["auth_time"] == session.signed_in_ms // 1000
    assert (claims["acr"], claims["amr"]) == (session.acr, list(session.amr))
    assert claims["at_hash"] == at_hash(body["access_token"])
    assert 0 < claims["exp"] - claims["iat"] <= 600
    assert 0 < len(claims["sub"]) <= 255
    again = claims_of(clinic, app.tokens(session, "openid user/Patient.rs")["id_token"])
    assert again["sub"] == claims["sub"]
    assert again.keys().isdisjoint({"fhirUser", "nonce"})
    userinfo = app.get("/oauth2/userinfo", body["access_token"]).json()
    assert userinfo["sub"] == claims["sub"]


def test_a_patient_is_their_own_record(clinic: Clinic) -> None:
    body = App(clinic).tokens(signed_in(clinic, "anna"), "openid fhirUser launch/patient patient/*.rs")
    claims = claims_of(clinic, body["id_token"])
    assert claims["fhirUser"] == f"{BASE}/fhir/Patient/anna"
    assert body["patient"] == "anna"


def test_an_account_that_stands_for_nobody(clinic: Clinic) -> None:
    app = App(clinic)
    body = app.tokens(signed_in(clinic, "administrator"), "openid fhirUser user/Patient.rs")
    assert "fhirUser" not in claims_of(clinic, body["id_token"])
    assert app.get("/oauth2/userinfo", body["access_token"]).json().keys() == {"sub"}


def test_es256_where_an_application_is_registered_for_it(clinic: Clinic) -> None:
    body = App(clinic, id_token_alg="ES256").tokens(signed_in(clinic, "physician"), "openid user/Patient.rs")
    assert claims_of(clinic, body["id_token"], "ES256")["aud"] == "app"
    with pytest.raises(Exception, match="alg"):
        claims_of(clinic, body["id_token"], "RS256")


def test_without_openid_there_is_no_id_token(clinic: Clinic) -> None:
    assert "id_token" not in App(clinic).tokens(signed_in(clinic, "physician"), "user/Patient.rs")


def test_the_published_keys_are_public(clinic: Clinic) -> None:
    keys = document(clinic, "/oauth2/jwks")["keys"]
    assert {key["alg"] for key in keys} == {"RS256", "ES256"}
    for key in keys:
        assert key.keys() <= {"kty", "kid", "alg", "use", "n", "e", "crv", "x", "y"}


# ── keys that are replaced ───────────────────────────────────────────────────────────────────────────────────────────


def _states(clinic: Clinic) -> list[str]:
    return sorted(key.state for key in clinic.house.oauth.signing.all("default") if key.algorithm == "RS256")


def test_keys_are_replaced_on_schedule_and_nothing_signed_becomes_invalid(timed: Clinic) -> None:
    clock = timed.clock
    assert isinstance(clock, HandClock)
    app = App(timed)
    old = app.tokens(signed_in(timed, "physician"), "openid user/Patient.rs")["id_token"]
    assert timed.run(tend_keys(timed.house)) == []
    clock.forward(89 * DAY_MS)  # a day before they are too old
    assert len(timed.run(tend_keys(timed.house))) == 2
    assert _states(timed) == ["active", "pending"]
    assert EventType.OAUTH_KEY in noted(timed)
    during = app.tokens(signed_in(timed, "physician"), "openid user/Patient.rs")["id_token"]
    assert timed.run(tend_keys(timed.house)) == []
    clock.forward(DAY_MS)
    assert len(timed.run(tend_keys(timed.house))) == 2
    assert _states(timed) == ["active", "retired"]
    after = app.tokens(signed_in(timed, "physician"), "openid user/Patient.rs")["id_token"]
    heads = [jws.extract_compact(each.encode()).headers()["kid"] for each in (old, during, after)]
    assert heads[0] == heads[1] != heads[2]
    for each in (old, during, after):
        assert claims_of(timed, each)["aud"] == "app"
    clock.forward(DAY_MS)
    timed.run(tend_keys(timed.house))
    assert _states(timed) == ["active"]


def test_the_private_part_of_a_retired_key_is_gone(timed: Clinic) -> None:
    clock = timed.clock
    assert isinstance(clock, HandClock)
    document(timed, "/oauth2/jwks")
    clock.forward(89 * DAY_MS)
    timed.run(tend_keys(timed.house))
    clock.forward(DAY_MS)
    timed.run(tend_keys(timed.house))
    rows = timed.house.db.execute("select state, length(sealed) from oauth_signing_key").fetchall()
    assert {(state, size > 0) for state, size in rows} == {("active", True), ("retired", False)}
