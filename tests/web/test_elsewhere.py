# SPDX-License-Identifier: Apache-2.0
"""Signing in with an identity provider at the pages, and what an attacker makes of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlencode, urlparse

import httpx
import pyotp
import pytest

from salus.audit.event import EventType, Outcome
from salus.audit.reading import Filter
from salus.identity.accounts.store import Statement, add
from salus.identity.federation.provider import Provider
from salus.kernel.commit import Unit
from tests.support.clinic import BASE, Clinic
from tests.support.identity_provider import IdentityProvider, Outside
from tests.web.visitor import HTML, Forms

pytestmark = pytest.mark.usefixtures("assets")

PASSWORD = "violet harbour 42 kites"
LOGOUT = {"http://schemas.openid.net/event/backchannel-logout": {}}


class Browser:
    """Keeps cookies, and sends forms as a browser does."""

    def __init__(self, clinic: Clinic) -> None:
        self.clinic = clinic
        self.cookies: dict[str, str] = {}

    def send(self, method: str, path: str, **more: Any) -> httpx.Response:
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        headers = {**HTML, "cookie": cookie, **more.pop("headers", {})}
        answer = self.clinic.run(self.clinic.http.request(method, path.removeprefix(BASE), headers=headers, **more))
        for line in answer.headers.get_list("set-cookie"):
            pair, _, attributes = line.partition(";")
            name, _, value = pair.partition("=")
            assert {"Secure", "HttpOnly", "SameSite=Lax", "Path=/"} <= {a.strip() for a in attributes.split(";")}
            self.cookies.pop(name, None)
            if "Max-Age=0" not in attributes:
                self.cookies[name] = value
        return answer

    def get(self, path: str) -> httpx.Response:
        return self.send("GET", path)

    def submit(self, page: httpx.Response, path: str, **fields: str) -> httpx.Response:
        form = next(
            each for action, each in Forms(page.text).found if action == path and {n for n, _, _ in each} >= set(fields)
        )
        data = {name: value for name, value, on in form if on} | fields
        return self.send("POST", path, data=data, headers={"origin": BASE, "sec-fetch-site": "same-origin"})

    def on(self, answer: httpx.Response) -> httpx.Response:
        assert answer.status_code == 303, answer.text
        return self.get(answer.headers["location"])

    def session(self) -> Any:
        secret = self.cookies.get("__Host-salus.default")
        return self.clinic.house.sessions.lookup("default", secret) if secret else None


class Ward:
    """A clinic with a hospital's identity provider, and Dr Amara, who has an account with password and codes."""

    def __init__(self, clinic: Clinic) -> None:
        self.clinic = clinic
        self.federation = clinic.house.directories.federation
        unit = Unit()
        uri = clinic.run(
            clinic.house.users.add_user(
                unit, "default", "dr.amara", PASSWORD, roles=("physician",), display="Amara", party="Practitioner/1"
            )
        )
        clinic.run(clinic._commit(unit))
        self.secret = parse_qs(urlparse(uri).query)["secret"][0]
        self.begin()

    def begin(self) -> None:
        self.hospital = IdentityProvider("https://id.hospital.example", self.clinic.house.clock)
        self.hospital.change = lambda claims: claims | {"acr": "urn:two"}
        self.federation.party._upstream._wire = Outside(self.hospital)
        self.federation.party._upstream._kept.clear()
        self.browser = Browser(self.clinic)

    def clean(self) -> None:
        """Forget what a test did, so that many can share one clinic."""
        unit = Unit()
        for name in ("idp", "idp_link", "idp_sid", "idp_used", "session", "flow", "attempt", "standing"):
            add(unit, Statement(f"delete from {name}", (), revokes=True))
        add(unit, Statement("update account set disabled = 0, totp_step = 0", ()))
        for name in ("dr.amara-2", "dr.bello"):
            handle = self.clinic.house.keyring.tenant("default").surrogate("user", name)
            add(unit, Statement("delete from account where handle = ?", (handle,)))
        self.clinic.run(self.clinic._commit(unit))
        self.begin()

    def register(self, **more: Any) -> None:
        provider = Provider(
            id="hospital", title="The Hospital", issuer=self.hospital.issuer, client_id="salus", secret="s3cret", **more
        )
        self.change(lambda unit: self.federation.providers.add(unit, "default", provider))

    def link(self, name: str = "dr.amara") -> None:
        issuer, subject = self.hospital.issuer, self.hospital.subject
        self.change(
            lambda unit: self.federation.links.link(
                unit, "default", provider="hospital", issuer=issuer, subject=subject, name=name
            )
        )

    def change(self, change: Any) -> None:
        unit = Unit()
        change(unit)
        self.clinic.run(self.clinic._commit(unit))

    def through(self, browser: Browser | None = None, path: str = "/sign-in/with/hospital") -> httpx.Response:
        """There and back; what the callback answers."""
        browser = browser or self.browser
        left = browser.get(path)
        assert left.status_code == 303, left.text
        return self.back(left.headers["location"], browser)

    def back(self, address: str, browser: Browser | None = None) -> httpx.Response:
        answer = urlencode(self.hospital.approve(address))
        return (browser or self.browser).get(f"/sign-in/callback/hospital?{answer}")

    def code(self) -> str:
        return pyotp.TOTP(self.secret).generate_otp(self.clinic.house.clock.now_ms() // 30_000)

    def refusals(self) -> list[str]:
        entries = self.clinic.log().page("default", Filter(), limit=50).entries
        return [
            entry.event.reason
            for _, entry in entries
            if entry.event.type is EventType.AUTH_REFUSED and entry.event.outcome is Outcome.REFUSED
        ]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ward]:
    clinic = Clinic(tmp_path_factory.mktemp("elsewhere") / "data")
    yield Ward(clinic)
    clinic.close()
    clinic.loop.close()


@pytest.fixture
def ward(shared: Ward) -> Iterator[Ward]:
    """A hospital's identity provider that nobody registered yet, and a fresh browser."""
    yield shared
    shared.clean()


def test_the_sign_in_page_offers_the_providers_that_there_are(ward: Ward) -> None:
    assert "Sign in with" not in ward.browser.get("/sign-in").text
    ward.register()
    page = ward.browser.get("/sign-in?next=/account")
    assert "Sign in with The Hospital" in page.text
    assert "/sign-in/with/hospital?next=/account" in page.text


def test_our_own_second_factor_is_asked_where_theirs_is_not_trusted(ward: Ward) -> None:
    ward.register()
    ward.link()
    answer = ward.through(path="/sign-in/with/hospital?next=/account/sessions")
    assert answer.headers["location"] == "/sign-in/step"
    assert ward.browser.session() is None
    step = ward.browser.on(answer)
    done = ward.browser.submit(step, "/sign-in/code", code=ward.code())
    while done.headers.get("location") == "/sign-in/step":
        done = ward.browser.submit(ward.browser.on(done), "/sign-in/finish", purpose="TREAT")
    assert done.headers["location"] == "/account/sessions"
    session = ward.browser.session()
    assert (session.user.id, session.acr) == ("dr.amara", "urn:salus:aal2")
    assert {"fed", "otp", "mfa"} <= set(session.amr)


def sign_in_trusted(ward: Ward, browser: Browser | None = None) -> Browser:
    browser = browser or ward.browser
    answer = ward.through(browser)
    while answer.headers.get("location") == "/sign-in/step":
        answer = browser.submit(browser.on(answer), "/sign-in/finish", purpose="TREAT")
    assert answer.headers["location"] == "/"
    return browser


def test_two_factors_there_are_enough_where_the_provider_is_trusted_for_them(ward: Ward) -> None:
    ward.register(trusted_acr=("urn:two",))
    ward.link()
    session = sign_in_trusted(ward).session()
    assert (session.user.id, session.acr) == ("dr.amara", "urn:salus:aal2")
    assert session.amr[0] == "fed"
    assert ward.browser.get("/account").status_code == 200


def test_one_factor_there_is_one_factor_here(ward: Ward) -> None:
    ward.register(trusted_acr=("urn:two",))
    ward.link()
    ward.hospital.change = lambda claims: claims | {"acr": "urn:one", "amr": ["pwd"]}
    assert "code" in ward.browser.on(ward.through()).text
    assert ward.browser.session() is None


def test_somebody_whom_no_account_is_linked_to_gets_nowhere(ward: Ward) -> None:
    """Although login name and e-mail address are those of Dr Amara (B14)."""
    ward.register(trusted_acr=("urn:two",))
    answer = ward.through()
    assert answer.status_code == 401
    assert "no account here is linked to you" in answer.text
    assert ward.browser.session() is None
    assert ward.refusals()[0] == "federation: no account is linked to this person"


def test_a_disabled_account_stays_out(ward: Ward) -> None:
    ward.register(trusted_acr=("urn:two",))
    ward.link()
    ward.change(lambda unit: ward.clinic.house.people.life.suspend(unit, "default", "dr.amara"))
    answer = ward.through()
    assert answer.status_code == 401
    assert ward.browser.session() is None


def test_who_leaves_is_linked_no_more(ward: Ward) -> None:
    ward.register()
    users, life = ward.clinic.house.users, ward.clinic.house.people.life
    ward.change(lambda unit: users.add_person(unit, "default", "dr.bello", roles=("physician",), display="Bello"))
    ward.link("dr.bello")
    ward.change(lambda unit: life.leave(unit, "default", "dr.bello"))
    assert ward.federation.links.of_user("default", "dr.bello") == []


def test_an_account_is_made_at_the_first_sign_in_only_where_that_was_said(ward: Ward) -> None:
    ward.register(trusted_acr=("urn:two",), create=True, roles=("nurse",))
    ward.hospital.subject = "new-here"
    session = sign_in_trusted(ward).session()
    assert session.user.id == "dr.amara-2", "the name of somebody else is not taken over"
    assert session.user.roles == ("nurse",)
    again = sign_in_trusted(ward, Browser(ward.clinic)).session()
    assert again.user.id == session.user.id


def test_who_has_no_factor_here_binds_one_first(ward: Ward) -> None:
    ward.register(create=True, roles=("nurse",))
    step = ward.browser.on(ward.through())
    assert "/sign-in/enrol/app" in step.text
    assert ward.browser.session() is None


# ── attacks ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_answer_that_is_planted_in_another_browser(ward: Ward) -> None:
    ward.register(trusted_acr=("urn:two",))
    ward.link()
    left = ward.browser.get("/sign-in/with/hospital")
    victim = Browser(ward.clinic)
    answer = ward.back(left.headers["location"], victim)
    assert answer.status_code == 401
    assert victim.session() is None
    victim.get("/sign-in/with/hospital")
    assert ward.back(left.headers["location"], victim).status_code == 401
    assert victim.session() is None


def test_an_answer_that_is_used_twice(ward: Ward) -> None:
    ward.register(trusted_acr=("urn:two",))
    ward.link()
    left = ward.browser.get("/sign-in/with/hospital")
    kept = dict(ward.browser.cookies)
    answer = urlencode(ward.hospital.approve(left.headers["location"]))
    ward.browser.get(f"/sign-in/callback/hospital?{answer}")
    thief = Browser(ward.clinic)
    thief.cookies = kept
    assert thief.get(f"/sign-in/callback/hospital?{answer}").status_code == 401
    assert thief.session() is None


@pytest.mark.parametrize("elsewhere", ["https://evil.example", "//evil.example", "/\\evil.example", "/t/other/x"])
def test_nobody_is_sent_on_to_another_place(ward: Ward, elsewhere: str) -> None:
    ward.register(trusted_acr=("urn:two",))
    ward.link()
    answer = ward.through(path="/sign-in/with/hospital?" + urlencode({"next": elsewhere}))
    while answer.headers.get("location") == "/sign-in/step":
        answer = ward.browser.submit(ward.browser.on(answer), "/sign-in/finish", purpose="TREAT")
    assert answer.headers["location"] == "/"


def test_addresses_of_providers_that_there_are_not(ward: Ward) -> None:
    assert ward.browser.get("/sign-in/with/nobody").status_code == 404
    assert ward.browser.get("/sign-in/callback/nobody?code=a&state=b").status_code == 401
    assert ward.browser.get("/t/nowhere/sign-in/with/hospital").status_code == 404
    assert ward.browser.send("POST", "/t/nowhere/sign-in/ended/hospital", data={"logout_token": "x"}).status_code == 404


def test_a_provider_that_is_away_is_told_as_such(ward: Ward) -> None:
    ward.register()
    ward.federation.party._upstream._wire = Outside()
    assert ward.browser.get("/sign-in/with/hospital").status_code == 503


def test_an_error_of_the_provider_is_told_in_our_words(ward: Ward) -> None:
    ward.register()
    left = ward.browser.get("/sign-in/with/hospital").headers["location"]
    asked = parse_qs(urlparse(left).query)
    sent = {"error": "<script>x</script>", "error_description": "evil words", "state": asked["state"][0]}
    answer = ward.browser.get("/sign-in/callback/hospital?" + urlencode({**sent, "iss": ward.hospital.issuer}))
    assert answer.status_code == 401
    assert "evil words" not in answer.text
    assert "<script>x" not in answer.text


# ── linking, and showing again ───────────────────────────────────────────────────────────────────────────────────────


def signed_in(ward: Ward) -> Browser:
    """Dr Amara, with password and code, a moment ago."""
    browser = Browser(ward.clinic)
    answer = browser.submit(browser.get("/sign-in"), "/sign-in", name="dr.amara", password=PASSWORD)
    answer = browser.submit(browser.on(answer), "/sign-in/code", code=ward.code())
    while answer.headers.get("location") == "/sign-in/step":
        answer = browser.submit(browser.on(answer), "/sign-in/finish", purpose="TREAT")
    assert browser.session() is not None
    return browser


def leaving(page: httpx.Response) -> str:
    return page.text.split('href="https://id.hospital.example')[1].split('"')[0].replace("&amp;", "&")


def test_a_person_links_their_account_and_takes_the_link_away(ward: Ward) -> None:
    ward.register(trusted_acr=("urn:two",))
    browser = signed_in(ward)
    page = browser.submit(browser.get("/account/links"), "/account/links/hospital")
    assert page.status_code == 200, page.text
    assert "id.hospital.example" in page.text
    answer = ward.back("https://id.hospital.example" + leaving(page), browser)
    assert answer.headers["location"] == "/account/links"
    assert "Linked." in browser.on(answer).text
    assert sign_in_trusted(ward, Browser(ward.clinic)).session().user.id == "dr.amara"
    browser.submit(browser.get("/account/links"), "/account/links/hospital/remove")
    assert ward.through(Browser(ward.clinic)).status_code == 401


def test_a_link_is_not_forged_from_elsewhere(ward: Ward) -> None:
    ward.register()
    browser = signed_in(ward)
    for headers in ({}, {"origin": "https://evil.example"}, {"origin": BASE, "sec-fetch-site": "same-origin"}):
        answer = browser.send("POST", "/account/links/hospital", data={"csrf": "x"}, headers=headers)
        assert answer.status_code == 403
    assert browser.get("/account/links/hospital").status_code in {404, 405}


def test_a_link_is_finished_only_in_the_session_that_began_it(ward: Ward) -> None:
    """Whoever gets a victim's browser to come back with the attacker's answer links nothing."""
    ward.register(trusted_acr=("urn:two",))
    browser = signed_in(ward)
    page = browser.submit(browser.get("/account/links"), "/account/links/hospital")
    stranger = Browser(ward.clinic)
    stranger.cookies = {name: value for name, value in browser.cookies.items() if "federation" in name}
    answer = ward.back("https://id.hospital.example" + leaving(page), stranger)
    assert answer.status_code == 401
    assert ward.federation.links.of_user("default", "dr.amara") == []


def test_somebody_who_is_linked_to_another_account_is_not_linked_again(ward: Ward) -> None:
    ward.register()
    unit = Unit()
    ward.clinic.house.users.add_person(unit, "default", "dr.bello", roles=("physician",), display="Bello")
    ward.clinic.run(ward.clinic._commit(unit))
    issuer, subject = ward.hospital.issuer, ward.hospital.subject
    ward.change(
        lambda unit: ward.federation.links.link(
            unit, "default", provider="hospital", issuer=issuer, subject=subject, name="dr.bello"
        )
    )
    browser = signed_in(ward)
    page = browser.submit(browser.get("/account/links"), "/account/links/hospital")
    assert ward.back("https://id.hospital.example" + leaving(page), browser).status_code == 409
    assert ward.federation.links.of_user("default", "dr.amara") == []


def test_in_a_session_the_provider_shows_again_that_it_is_them(ward: Ward) -> None:
    ward.register(trusted_acr=("urn:two",))
    ward.link()
    browser = sign_in_trusted(ward)
    before = browser.session()
    left = browser.get("/sign-in/with/hospital?next=/account")
    assert parse_qs(urlparse(left.headers["location"]).query)["max_age"] == ["60"]
    answer = ward.back(left.headers["location"], browser)
    assert answer.headers["location"] == "/account"
    after = browser.session()
    assert (after.id, after.proved_ms >= before.proved_ms) == (before.id, True)
    ward.hospital.change = lambda claims: claims | {"acr": "urn:two", "auth_time": claims["auth_time"] - 3600}
    assert ward.through(browser).status_code == 403
    ward.hospital.change = lambda claims: claims | {"acr": "urn:two"}
    ward.hospital.subject = "somebody-else"
    assert ward.through(browser).status_code == 403
    assert browser.session().user.id == "dr.amara"


# ── the end ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_provider_ends_the_session(ward: Ward) -> None:
    ward.register(trusted_acr=("urn:two",))
    ward.link()
    elsewhere, here = sign_in_trusted(ward), signed_in(ward)
    now = ward.clinic.house.clock.now_ms() // 1000
    claims = {"iss": ward.hospital.issuer, "aud": "salus", "iat": now, "exp": now + 60, "jti": "1", "events": LOGOUT}
    token = ward.hospital.signed(claims | {"sid": "there-1"}, typ="logout+jwt")
    forged = token[:-8] + "AAAAAAAA"
    stranger = Browser(ward.clinic)
    for wrong in (forged, "", "a.b.c"):
        answer = stranger.send("POST", "/sign-in/ended/hospital", data={"logout_token": wrong})
        assert (answer.status_code, answer.json()) == (400, {"error": "invalid_request"})
    assert elsewhere.get("/account").status_code == 200
    answer = stranger.send("POST", "/sign-in/ended/hospital", data={"logout_token": token})
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert elsewhere.get("/account").status_code == 303
    assert here.get("/account").status_code == 200, "a session that did not begin there goes on"
    assert stranger.send("POST", "/sign-in/ended/hospital", data={"logout_token": token}).status_code == 400
