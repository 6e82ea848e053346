# SPDX-License-Identifier: Apache-2.0
"""What an attacker tries with the pages of somebody else's browser."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlparse

import httpx
import pyotp
import pytest

from salus.kernel.clock import SystemClock
from salus.kernel.commit import Unit
from salus.web import cookies
from tests.support.clinic import BASE, Clinic
from tests.support.route_table import every_route
from tests.web.visitor import HTML, Visitor

pytestmark = pytest.mark.usefixtures("assets")

PASSWORD = "violet harbour 42 kites"


class Browser(Visitor):
    """Keeps whatever cookies it is given."""

    def __init__(self, clinic: Clinic) -> None:
        super().__init__(clinic)
        self.jar: dict[str, str] = {}

    def _kept(self, answer: httpx.Response) -> httpx.Response:
        for header in answer.headers.get_list("set-cookie"):
            name, _, value = header.partition(";")[0].partition("=")
            self.jar[name] = value
        self.cookie = "; ".join(f"{name}={value}" for name, value in self.jar.items() if value)
        return answer

    def get(self, address: str) -> httpx.Response:
        return self._kept(super().get(address))

    def post(self, path: str, fields: object, **headers: str) -> httpx.Response:
        return self._kept(super().post(path, fields, **headers))  # type: ignore[arg-type]

    @property
    def session(self) -> str:  # type: ignore[override]
        return self.jar.get(cookies.session_name("default"), "")


@pytest.fixture
def secret(clinic: Clinic) -> str:
    """Of the codes of `ada`, who is a nurse."""

    async def made() -> str:
        unit = Unit()
        uri = await clinic.house.users.add_user(unit, "default", "ada", PASSWORD, roles=("nurse",), display="Ada")
        await clinic.house.writer.submit(unit)
        return parse_qs(urlparse(uri).query)["secret"][0]

    return clinic.run(made())


def signed_in(clinic: Clinic, secret: str, browser: Browser, start: str = "/sign-in") -> httpx.Response:
    page = browser.get(start)
    browser.submit(page, "/sign-in", ("name", "ada"), ("password", PASSWORD))
    code = pyotp.TOTP(secret).at(SystemClock().now_ms() // 1000)
    answer = browser.submit(browser.get("/sign-in/step"), "/sign-in/code", ("code", code))
    if answer.headers["location"] == "/sign-in/step":
        page = browser.get("/sign-in/step")
        answer = browser.submit(
            page, "/sign-in/finish", ("purpose", re.findall(r'name="purpose"[^>]*value="(\w+)"', page.text)[0])
        )
    return answer


def test_a_sign_in_gives_a_secret_that_nobody_knew_before(clinic: Clinic, secret: str) -> None:
    """Session fixation: a value that was there before is worth nothing after."""
    browser = Browser(clinic)
    planted = "A" * 43
    browser.jar[cookies.session_name("default")] = planted
    browser.cookie = f"{cookies.session_name('default')}={planted}"
    answer = signed_in(clinic, secret, browser)
    assert answer.status_code == 303
    assert browser.session not in {"", planted}
    assert browser.jar[cookies.door_name("default")] == ""
    assert browser.jar[cookies.ceremony_name("default")] == ""
    for header in answer.headers.get_list("set-cookie"):
        assert {"Secure", "HttpOnly", "SameSite=Lax", "Path=/"} <= {part.strip() for part in header.split(";")}
    assert browser.get("/account").status_code == 200
    attacker = Browser(clinic)
    attacker.cookie = f"{cookies.session_name('default')}={planted}"
    assert attacker.get("/account").headers["location"].startswith("/sign-in")


def test_signing_out_ends_the_secret_and_not_only_the_cookie(clinic: Clinic, secret: str) -> None:
    browser = Browser(clinic)
    signed_in(clinic, secret, browser)
    kept = browser.session
    browser.submit(browser.get("/account"), "/sign-out")
    assert browser.session == ""
    thief = Browser(clinic)
    thief.cookie = f"{cookies.session_name('default')}={kept}"
    assert thief.get("/account").status_code == 303


def test_nobody_is_signed_in_to_an_account_of_the_attacker(clinic: Clinic, secret: str) -> None:
    """Login CSRF: the attacker's own form and token, sent by the victim's browser."""
    attacker, victim = Browser(clinic), Browser(clinic)
    page = attacker.get("/sign-in")
    token = re.findall(r'action="/sign-in"[^>]*>\s*<input type="hidden" name="csrf" value="([^"]+)"', page.text)[0]
    victim.get("/sign-in")
    fields = [("csrf", token), ("name", "ada"), ("password", PASSWORD)]
    assert victim.post("/sign-in", fields).status_code == 403
    assert victim.post("/sign-in", fields, **{"sec-fetch-site": "cross-site"}).status_code == 403
    assert attacker.post("/sign-in", fields).status_code == 303  # it is the browser that it does not fit


@pytest.mark.parametrize(
    "where", ["//evil.example", "https://evil.example/", "/\\evil.example", "/t/other/", "javascript:1"]
)
def test_after_the_sign_in_the_way_leads_nowhere_else(clinic: Clinic, secret: str, where: str) -> None:
    browser = Browser(clinic)
    answer = signed_in(clinic, secret, browser, str(httpx.URL("/sign-in", params={"next": where})))
    assert answer.headers["location"] == "/"
    again = browser.get(str(httpx.URL("/sign-in", params={"next": where})))
    assert again.headers["location"] == "/"


def test_a_session_is_worth_nothing_in_another_tenant_or_as_a_token(clinic: Clinic, secret: str) -> None:
    browser = Browser(clinic)
    signed_in(clinic, secret, browser)
    clinic.house.keyring.create_tenant("other")
    stranger = Browser(clinic)
    stranger.cookie = f"{cookies.session_name('other')}={browser.session}"
    assert stranger.get("/t/other/account").headers["location"].startswith("/t/other/sign-in")
    answer = clinic.run(clinic.http.get("/fhir/Patient/anna", headers={"authorization": f"Bearer {browser.session}"}))
    assert answer.status_code == 401
    with_cookie = clinic.run(clinic.http.get("/fhir/Patient/anna", headers={"cookie": browser.cookie}))
    assert with_cookie.status_code == 401  # the interface for programs knows no cookies: nothing there can be forged


def test_who_does_not_exist_is_told_the_same(clinic: Clinic, secret: str) -> None:
    told = []
    for name in ("ada", "nobody"):
        browser = Browser(clinic)
        answer = browser.submit(browser.get("/sign-in"), "/sign-in", ("name", name), ("password", "not the password"))
        kept = re.sub(r'(value|data-passkey-token|nonce)="[^"]*"', "", answer.text)
        told.append((answer.status_code, kept))
    assert told[0] == told[1]
    assert told[0][0] == 422


def test_every_page_that_needs_a_session_sends_a_stranger_away_and_is_noted(clinic: Clinic) -> None:
    asked = [route for route in every_route() if route.page and route.permission != "public"]
    assert len(asked) > 20
    for route in asked:
        path = re.sub(r"\{\w+\}", "0198c0de", route.pattern)
        answer = clinic.run(clinic.http.request(route.method, path, headers=HTML))
        assert answer.status_code == 303, (route.method, route.pattern)
        assert urlparse(answer.headers["location"]).path in {"/sign-in"}, route.pattern


def test_every_form_of_a_session_wants_its_token(clinic: Clinic, secret: str) -> None:
    browser = Browser(clinic)
    signed_in(clinic, secret, browser)
    for route in every_route():
        if route.page and route.method == "POST":
            path = re.sub(r"\{\w+\}", "0198c0de", route.pattern)
            answer = browser.post(path, [("csrf", "A" * 43)])
            known = {303, 403, 404} if route.pattern.startswith(("/authorize", "/launch")) else {303, 403}
            assert answer.status_code in known, (route.pattern, answer.status_code)
            if answer.status_code == 303:  # a step without a ceremony: there is nothing to judge
                assert path.startswith("/sign-in/"), path
    assert browser.get("/account").status_code == 200


def test_a_failure_is_told_to_people_without_what_they_sent(clinic: Clinic) -> None:
    answer = clinic.run(clinic.http.get("/account/<script>x</script>", headers=HTML))
    assert answer.status_code == 404
    assert "<script>x" not in answer.text
    assert "OperationOutcome" not in answer.text


def test_what_a_person_looks_at_is_in_the_log(clinic: Clinic, secret: str) -> None:
    browser = Browser(clinic)
    signed_in(clinic, secret, browser)
    browser.get("/account/sessions")
    events = clinic.as_("auditor").get("/fhir/AuditEvent?_count=20").json()["entry"]
    kinds = [code["code"] for entry in events for code in entry["resource"]["subtype"]]
    assert "page.view" in kinds
    assert "auth.signin" in kinds


def test_the_secret_of_codes_and_recovery_codes_are_in_no_address(clinic: Clinic) -> None:
    """Nothing secret is a parameter of a GET; what is posted stays out of the log of requests."""
    for route in every_route():
        if route.page and route.method == "GET":
            assert not re.search(r"code|secret|token|password=", route.pattern.replace("codes.txt", "")), route.pattern


def test_a_tenants_pages_link_to_its_own_pages(clinic: Clinic) -> None:
    clinic.house.keyring.create_tenant("other")
    page = clinic.run(clinic.http.get(f"{BASE}/t/other/sign-in", headers=HTML)).text
    links = re.findall(r'(?:href|action|data-passkey)="(/[^"]*)"', page)
    assert links
    assert all(link.startswith(("/t/other/", "/static/")) for link in links)
