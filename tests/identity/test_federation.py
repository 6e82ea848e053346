# SPDX-License-Identifier: Apache-2.0
"""Identity providers: registered, asked, believed as far as they are trusted; links, and sessions that they end."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest
from federation_desk import HOME, Federation, federation
from identity_desk import Desk
from joserfc import jws
from joserfc.jwk import ECKey
from tests.support.identity_provider import CURVE_KEY, Claims

from salus.identity.federation.links import Link
from salus.identity.federation.provider import Provider, check_provider
from salus.identity.federation.providers import new_private_key, public_key
from salus.identity.federation.refusal import Reason
from salus.identity.federation.relying_party import Identified
from salus.kernel.errors import Kind, Problem

GOOD = Provider(id="x", title="X", issuer="https://id.example/realm", client_id="c", secret="s")
LOGOUT = {"http://schemas.openid.net/event/backchannel-logout": {}}


@pytest.fixture
def fed(desk: Desk) -> Federation:
    return federation(desk)


def found(outcome: Identified | Problem) -> Identified:
    assert isinstance(outcome, Identified), outcome.detail
    return outcome


def test_the_way_there_carries_pkce_state_and_nonce(fed: Federation) -> None:
    fed.register(scopes=("profile", "openid"), acr_values=("urn:two",))
    left = fed.go(max_age=60)
    asked = {name: values[0] for name, values in parse_qs(urlsplit(left.address).query).items()}
    assert left.address.startswith("https://id.hospital.example/authorize?")
    assert asked["scope"] == "openid profile"
    assert asked["redirect_uri"] == f"{HOME}/sign-in/callback/hospital"
    assert (asked["acr_values"], asked["max_age"], asked["client_id"]) == ("urn:two", "60", "salus")
    assert len(asked["state"]) == len(asked["nonce"]) == len(asked["code_challenge"]) == 43
    assert len({asked["state"], asked["nonce"], asked["code_challenge"]}) == 3


def test_somebody_comes_back(fed: Federation) -> None:
    fed.register()
    somebody = found(fed.whole(return_to="/authorize/7?x=1"))
    assert (somebody.subject, somebody.sid, somebody.name) == ("248289761001", "there-1", "Amara Okafor")
    assert somebody.travel.return_to == "/authorize/7?x=1"


def test_a_provider_that_does_not_name_itself_is_used_as_well(fed: Federation) -> None:
    fed.register()
    fed.hospital.names_itself = False
    fed.hospital.metadata["authorization_response_iss_parameter_supported"] = False
    found(fed.whole())


def test_a_signature_on_a_curve_where_that_is_registered(fed: Federation) -> None:
    fed.register(algorithms=("ES256",))
    fed.hospital.keys = [CURVE_KEY]
    fed.hospital.make = lambda claims: fed.hospital.signed(claims, CURVE_KEY, alg="ES256")
    found(fed.whole())


def test_a_key_without_a_name_if_it_is_the_only_one_that_fits(fed: Federation) -> None:
    fed.register()
    fed.hospital.keys.append(CURVE_KEY)

    def nameless(claims: Claims) -> str:
        return jws.serialize_compact({"alg": "RS256"}, json.dumps(claims), fed.hospital.keys[0], algorithms=["RS256"])

    fed.hospital.make = nameless
    found(fed.whole())


def test_the_person_must_have_signed_in_there_lately_where_that_was_asked(fed: Federation) -> None:
    fed.register()
    found(fed.whole(max_age=60))
    fed.hospital.change = lambda claims: claims | {"auth_time": claims["auth_time"] - 1000}
    outcome = fed.whole(max_age=60)
    assert isinstance(outcome, Problem)
    assert outcome.detail.endswith(Reason.STALE)
    found(fed.whole())


# ── proving ourselves ────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_secret_goes_where_the_provider_wants_it(fed: Federation) -> None:
    fed.register(client_id="salus:1", secret="a b%", auth_method="client_secret_basic")
    found(fed.whole())
    form, headers = fed.hospital.asked[-1]
    assert base64.b64decode(headers["authorization"].removeprefix("Basic ")) == b"salus%3A1:a+b%25"
    assert "client_secret" not in form


def test_the_secret_in_the_form(fed: Federation) -> None:
    fed.register(auth_method="client_secret_post")
    found(fed.whole())
    form, headers = fed.hospital.asked[-1]
    assert (form["client_id"], form["client_secret"]) == ("salus", "s3cret")
    assert "authorization" not in headers


def test_a_key_instead_of_a_secret(fed: Federation) -> None:
    secret = new_private_key()
    fed.register(auth_method="private_key_jwt", secret=secret)
    found(fed.whole())
    form, headers = fed.hospital.asked[-1]
    assert "authorization" not in headers
    assert "client_secret" not in form
    public = public_key(secret)
    assert "d" not in public
    signed = jws.deserialize_compact(form["client_assertion"], ECKey.import_key(public), algorithms=["ES256"])
    claims: dict[str, Any] = json.loads(signed.payload)
    assert signed.headers()["kid"] == public["kid"]
    assert claims["iss"] == claims["sub"] == form["client_id"] == "salus"
    assert claims["aud"] == "https://id.hospital.example/token"
    assert claims["exp"] - claims["iat"] == 60


# ── how surely ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("trusted", "said", "counts"),
    [
        ({}, {"acr": "urn:two", "amr": ["pwd", "otp", "mfa"]}, False),
        ({"trusted_acr": ("urn:two",)}, {"acr": "urn:two"}, True),
        ({"trusted_acr": ("urn:two",)}, {"acr": "urn:one"}, False),
        ({"trusted_acr": ("urn:two",)}, {"acr": ["urn:two"]}, False),
        ({"trusted_acr": ("urn:two",)}, {}, False),
        ({"trusted_amr": ("mfa", "hwk")}, {"amr": ["pwd", "mfa"]}, True),
        ({"trusted_amr": ("mfa", "hwk")}, {"amr": ["pwd"]}, False),
        ({"trusted_amr": ("mfa", "hwk")}, {"amr": "mfa"}, False),
        ({"trusted_amr": ("mfa",), "trusted_acr": ("urn:two",)}, {"amr": ["mfa"], "acr": "urn:one"}, True),
    ],
)
def test_their_second_factor_counts_only_where_they_are_trusted_for_it(
    fed: Federation, trusted: dict[str, Any], said: dict[str, Any], counts: bool
) -> None:
    fed.register(**trusted)
    fed.hospital.change = lambda claims: claims | said
    assert found(fed.whole()).assurance.second_factor is counts


# ── the registry ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "change",
    [
        {"id": ""},
        {"id": "A"},
        {"id": "a/b"},
        {"id": "-a"},
        {"title": " "},
        {"issuer": "http://id.example"},
        {"issuer": "https://id.example?x"},
        {"issuer": "https://id.example#x"},
        {"issuer": "https://a:b@id.example"},
        {"issuer": "ftp://id.example"},
        {"issuer": "id.example"},
        {"issuer": "https://id.example:0"},
        {"issuer": "https://[::1"},
        {"issuer": "https://id.example\\@evil"},
        {"client_id": ""},
        {"secret": ""},
        {"algorithms": ()},
        {"algorithms": ("none",)},
        {"algorithms": ("RS256", "HS256")},
        {"scopes": ("a b",)},
        {"trusted_acr": ("",)},
        {"create": True},
        {"roles": ("nurse",)},
    ],
)
def test_what_is_not_fit_is_not_registered(change: dict[str, Any]) -> None:
    check_provider(GOOD)
    with pytest.raises(Problem) as refused:
        check_provider(msgspec.structs.replace(GOOD, **change))
    assert refused.value.kind is Kind.INVALID
    assert refused.value.issues[0].place in change or change == {"create": True}


def test_a_provider_is_changed_disabled_and_removed_with_its_links(fed: Federation) -> None:
    fed.desk.person()
    made = fed.register(title="Hospital")
    assert fed.providers.offered("default") == [("hospital", "Hospital")]
    off = msgspec.structs.replace(made, title="Old hospital", disabled=True)
    fed.desk.do(lambda unit: fed.providers.replace(unit, "default", off))
    assert fed.providers.offered("default") == []
    assert fed.providers.known("default", "hospital").title == "Old hospital"
    link(fed)
    fed.desk.do(lambda unit: fed.providers.remove(unit, "default", "hospital"))
    assert fed.providers.all("default") == []
    assert fed.links.of_user("default", "dr.amara") == []
    for change in (
        lambda unit: fed.providers.remove(unit, "default", "hospital"),
        lambda unit: fed.providers.replace(unit, "default", off),
    ):
        with pytest.raises(Problem) as refused:
            fed.desk.do(change)
        assert refused.value.kind is Kind.NOT_FOUND


def test_a_name_is_taken_once_and_an_issuer_never_changes(fed: Federation) -> None:
    made = fed.register()
    with pytest.raises(Problem) as refused:
        fed.register()
    assert refused.value.kind is Kind.CONFLICT
    moved = msgspec.structs.replace(made, issuer="https://id.rival.example")
    with pytest.raises(Problem) as refused:
        fed.desk.do(lambda unit: fed.providers.replace(unit, "default", moved))
    assert refused.value.kind is Kind.INVALID


# ── links ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def link(fed: Federation, id_: str = "hospital", subject: str = "248289761001", name: str = "dr.amara") -> None:
    issuer = {"hospital": fed.hospital, "rival": fed.rival}[id_].issuer
    fed.desk.do(lambda unit: fed.links.link(unit, "default", provider=id_, issuer=issuer, subject=subject, name=name))


def linked(fed: Federation, who: Identified) -> Link | None:
    return fed.links.find("default", who.provider.issuer, who.subject)


def test_the_same_subject_at_another_issuer_is_somebody_else(fed: Federation) -> None:
    """B14: neither the subject nor the e-mail address alone says who it is."""
    fed.desk.person()
    fed.register()
    fed.register("rival")
    link(fed)
    here = linked(fed, found(fed.whole()))
    assert here is not None
    assert here.user == "dr.amara"
    left = fed.go("rival")
    rival = found(fed.back(fed.rival.approve(left.address), left.cookie, id_="rival"))
    assert rival.subject == "248289761001"
    assert linked(fed, rival) is None


def test_a_login_name_or_an_address_that_is_the_same_links_nothing(fed: Federation) -> None:
    fed.desk.person("dr.amara")
    fed.register()
    somebody = found(fed.whole())
    assert somebody.login == "dr.amara"
    assert linked(fed, somebody) is None


def test_somebody_is_linked_to_one_account_only(fed: Federation) -> None:
    fed.desk.person()
    fed.desk.person("dr.bello")
    fed.register()
    link(fed)
    with pytest.raises(Problem) as refused:
        link(fed, name="dr.bello")
    assert refused.value.kind is Kind.CONFLICT
    with pytest.raises(Problem) as refused:
        link(fed, subject="another", name="nobody")
    assert refused.value.kind is Kind.NOT_FOUND


def test_a_link_is_taken_away(fed: Federation) -> None:
    fed.desk.person()
    fed.register()
    link(fed)
    assert [each.subject for each in fed.links.of_provider("default", "hospital")] == ["248289761001"]
    fed.desk.do(lambda unit: fed.links.unlink(unit, "default", "dr.amara", "hospital"))
    assert linked(fed, found(fed.whole())) is None
    with pytest.raises(Problem) as refused:
        fed.desk.do(lambda unit: fed.links.unlink(unit, "default", "dr.amara", "hospital"))
    assert refused.value.kind is Kind.NOT_FOUND


def test_a_link_row_that_was_pointed_at_another_account_does_not_open(fed: Federation) -> None:
    fed.desk.person()
    fed.register()
    link(fed)
    fed.desk._writing.execute("update idp_link set handle = zeroblob(16)")
    with pytest.raises(Problem) as refused:
        fed.links.find("default", fed.hospital.issuer, "248289761001")
    assert refused.value.kind is Kind.FAULT


# ── sessions that the provider ends ──────────────────────────────────────────────────────────────────────────────────


def remember(fed: Federation, *, sid: str = "there-1", subject: str = "248289761001") -> None:
    provider = fed.providers.known("default", "hospital")
    fed.desk.do(lambda unit: fed.logout.remember(unit, "default", provider, subject=subject, sid=sid))


def ended(fed: Federation, **change: Any) -> str:
    """The account whose sessions a logout token ends, or the reason why it is refused."""
    now = fed.desk.clock.now_ms() // 1000
    claims = {
        "iss": fed.hospital.issuer,
        "aud": "salus",
        "iat": now,
        "exp": now + 120,
        "jti": "1",
        "sub": "248289761001",
        "events": LOGOUT,
        **change,
    }
    claims = {name: value for name, value in claims.items() if value is not None}
    typ = claims.pop("typ", "logout+jwt")
    token = fed.hospital.signed(claims, typ=typ)
    try:
        return str(fed.desk.do(lambda unit: fed.logout.ended(unit, "default", "hospital", token)))
    except Problem as problem:
        return problem.detail.removeprefix("federation: ")


def test_the_provider_ends_the_sessions_of_a_person_by_subject_or_by_session(fed: Federation) -> None:
    fed.desk.person()
    fed.register()
    link(fed)
    remember(fed)
    remember(fed, sid="there-4", subject="another")
    assert ended(fed, jti="a") == "dr.amara"
    assert ended(fed, sub=None, sid="there-1", jti="b") == "dr.amara"
    assert ended(fed, sub="another", jti="c") == ""
    assert ended(fed, sub=None, sid="there-4", jti="d") == ""
    assert ended(fed, sub=None, sid="never-heard-of", jti="e") == ""


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"events": None}, Reason.LOGOUT),
        ({"events": {"another": {}}}, Reason.LOGOUT),
        ({"events": {next(iter(LOGOUT)): True}}, Reason.LOGOUT),
        ({"nonce": "n"}, Reason.LOGOUT),
        ({"jti": None}, Reason.LOGOUT),
        ({"sub": None}, Reason.LOGOUT),
        ({"sid": 7}, Reason.LOGOUT),
        ({"iss": "https://id.rival.example"}, Reason.ISSUER),
        ({"aud": "another"}, Reason.AUDIENCE),
        ({"iat": 1}, Reason.TIME),
        ({"typ": "at+jwt"}, Reason.FORM),
    ],
)
def test_what_is_no_logout_token_ends_nothing(fed: Federation, change: dict[str, Any], reason: Reason) -> None:
    fed.desk.person()
    fed.register()
    link(fed)
    assert ended(fed, **change) == reason
    assert ended(fed) == "dr.amara"


def test_an_identity_token_is_no_logout_token_and_the_other_way_round(fed: Federation) -> None:
    fed.register()
    assert ended(fed, typ="JWT", events=None, nonce="n") == Reason.LOGOUT
    fed.hospital.make = lambda claims: fed.hospital.signed(claims | {"events": LOGOUT}, typ="logout+jwt")
    outcome = fed.whole()
    assert isinstance(outcome, Problem)
    assert outcome.detail.endswith(Reason.FORM)


def test_a_logout_token_works_once(fed: Federation) -> None:
    fed.desk.person()
    fed.register()
    link(fed)
    assert ended(fed) == "dr.amara"
    assert ended(fed) == Reason.REPLAYED
