# SPDX-License-Identifier: Apache-2.0
"""A stage for browser tests: one served Salus and one Chromium for all of them, in a thread of their own.

Playwright's plain interface keeps an event loop running in its thread, which other tests would stumble over; so the
bodies of these tests run in that thread, too (`conftest.py`).
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlparse

import msgspec
import pyotp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from playwright.sync_api import Browser, BrowserContext, CDPSession, Page, Playwright, sync_playwright

from salus.app.house import House
from salus.identity.accounts.people_store import open_row, seal_row
from salus.identity.accounts.store import Statement, add
from salus.identity.ceremonies.flow import Began
from salus.identity.sessions import _Sealed
from salus.kernel.commit import Unit
from salus.kernel.settings import load
from tests.support.served import PATIENCE, Served, free_port, salus

T = TypeVar("T")
PASSWORD = "violet harbour 42 kites"
AXE = Path(__file__).parents[2] / "clients" / "node_modules" / "axe-core" / "axe.min.js"
WIDTHS = (390, 768, 1280)


@dataclass
class Person:
    """Somebody with an account.

    Attributes:
        secret: of their codes; the stage has enrolled an application for them.
        used: codes that were typed; a code works once.
    """

    name: str
    secret: str
    used: set[str] = field(default_factory=set)

    def code(self) -> str:
        """A code that was not used yet: of this half minute, the one before or the next."""
        clock = pyotp.TOTP(self.secret)
        import time

        for offset in (0, 1):
            code = clock.at(int(time.time()) + offset * 30)
            if code not in self.used:
                self.used.add(code)
                return code
        raise AssertionError("this person has typed too many codes for half a minute")


class Stage:
    """One server, one browser."""

    def __init__(self, place: Path) -> None:
        self.folder, self.port = place / "data", free_port()
        self.thread = ThreadPoolExecutor(1, "browser")
        salus("init", "--data-dir", self.folder, "--port", str(self.port))
        self.served = Served(self.folder, self.port)
        self.base = self.served.base
        self.people = 0
        self.filled = False  # with the records of `records.fill`
        self.play(self._open)

    def play(self, act: Callable[[], T]) -> T:
        """Do something in the browser's thread."""
        return self.thread.submit(act).result()

    def _open(self) -> None:
        self.playwright: Playwright = sync_playwright().start()
        certificate = x509.load_pem_x509_certificate((self.folder / "tls" / "server.crt").read_bytes())
        key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        pin = base64.b64encode(hashlib.sha256(key).digest()).decode()
        # Not ignore_https_errors: Chromium makes no passkeys on a page whose certificate it had to overlook.
        self.browser: Browser = self.playwright.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=[f"--ignore-certificate-errors-spki-list={pin}", "--no-sandbox", "--disable-dev-shm-usage"],
        )

    def close(self) -> None:
        """End everything."""

        def shut() -> None:
            self.browser.close()
            self.playwright.stop()

        self.play(shut)
        self.thread.shutdown()
        self.served.stop()

    def person(self, *, roles: tuple[str, ...] = ("physician",)) -> Person:
        """A new account with a password and an authenticator application."""
        self.people += 1
        name = f"dr.person{self.people}"
        uri = self._change(
            lambda house, unit: house.users.add_user(
                unit, "default", name, PASSWORD, roles=roles, display="Ada Ångström"
            )
        )
        return Person(name, parse_qs(urlparse(uri).query)["secret"][0])

    def invite(self, person: Person, began: Began = Began.INVITE) -> str:
        """The code of an administrator for somebody."""
        code, _ = self._change(lambda house, unit: house.people.invitations.make(unit, "default", person.name, began))
        return str(code)

    def age(self, person: Person) -> None:
        """Let the last proof of somebody's sessions be an hour old."""

        def older(house: House, unit: Unit) -> None:
            keys = house.keyring.tenant("default")
            for session in house.sessions.of_user("default", person.name):
                row = house.db.execute("select hash, sealed from session where id = ?", (session.id,)).fetchone()
                content = open_row(keys, "session", row[0], row[1], _Sealed)
                content = msgspec.structs.replace(content, proved=content.proved - 3_600_000)
                values = (seal_row(keys, "session", row[0], content), session.id)
                add(unit, Statement("update session set sealed = ? where id = ?", values, revokes=True))

        self._change(older)

    def _change(self, change: Callable[[House, Unit], Any]) -> Any:
        """Change something in a process beside the server, as the command line does."""

        async def run() -> Any:
            house, unit = House(load(self.folder)), Unit()
            try:
                made = change(house, unit)
                if asyncio.iscoroutine(made):
                    made = await made
                await house.writer.submit(unit)
                return made
            finally:
                house.close()

        with ThreadPoolExecutor(1) as apart:
            return apart.submit(asyncio.run, run()).result()


_WITHOUT_AUTOFILL = "PublicKeyCredential.isConditionalMediationAvailable = async () => false"


class Visitor:
    """One browser profile, with whatever a test looks at.

    Attributes:
        page: the page.
        violations: what the content policy has stopped, and every other complaint of the console.
        outside: addresses of other hosts that were asked for.

    Args:
        autofill: whether the browser proposes passkeys beside the user name. An authenticator that answers by itself
            takes up such a proposal as soon as the page is open.
    """

    def __init__(self, stage: Stage, *, javascript: bool = True, width: int = 1280, autofill: bool = False) -> None:
        self.stage = stage
        self.violations: list[str] = []
        self.outside: list[str] = []
        self.context: BrowserContext = stage.browser.new_context(
            java_script_enabled=javascript, viewport={"width": width, "height": 900}
        )
        self.context.set_default_timeout(PATIENCE * 1000)
        if not autofill:
            self.context.add_init_script(_WITHOUT_AUTOFILL)
        self.page: Page = self.context.new_page()
        self.page.on("console", lambda said: self._heard(said.type, said.text))
        self.page.on("pageerror", lambda error: self.violations.append(str(error)))
        self.page.on("request", lambda sent: self._asked(sent.url))
        self.device: CDPSession | None = None

    def _heard(self, type_: str, text: str) -> None:
        if type_ in {"error", "warning"} and "status of 4" not in text:  # a form that is shown again says 4xx
            self.violations.append(text)

    def _asked(self, url: str) -> None:
        if not url.startswith((self.stage.base, "data:", "about:", "blob:")):
            self.outside.append(url)

    def key(self) -> None:
        """Plug in an authenticator that verifies its user and answers by itself."""
        self.device = self.context.new_cdp_session(self.page)
        self.device.send("WebAuthn.enable", {"enableUI": False})
        self.authenticator = self.device.send(
            "WebAuthn.addVirtualAuthenticator",
            {
                "options": {
                    "protocol": "ctap2",
                    "transport": "internal",
                    "hasResidentKey": True,
                    "hasUserVerification": True,
                    "isUserVerified": True,
                    "automaticPresenceSimulation": True,
                }
            },
        )["authenticatorId"]

    def go(self, path: str) -> None:
        """Open a page of the server."""
        self.page.goto(self.stage.base + path)

    def path(self) -> str:
        """Where the browser is."""
        return self.page.url.removeprefix(self.stage.base)

    def says(self) -> str:
        """The heading of the page."""
        return self.page.locator("h1").inner_text()

    def expect(self, heading: str) -> None:
        """Wait for the page with this heading."""
        self.page.locator("h1", has_text=heading).wait_for()

    def press(self, words: str) -> None:
        """Press a button, or follow a link, by its words."""
        self.page.locator("main").get_by_role("button", name=words, exact=True).or_(
            self.page.locator("main").get_by_role("link", name=words)
        ).first.click()
        self.page.wait_for_load_state()

    def password(self, person: Person, *, password: str = PASSWORD, at: str = "/sign-in") -> None:
        """Type name and password."""
        self.go(at)
        self.page.fill("#name", person.name)
        self.page.fill("#password", password)
        self.press("Go on")

    def sign_in(self, person: Person, *, at: str = "/sign-in") -> None:
        """Sign in with password and code."""
        self.password(person, at=at)
        self.page.fill("#code", person.code())
        self.press("Go on")
        self.choose()

    def choose(self) -> None:
        """Choose the first purpose, if there is a choice."""
        if self.page.locator("input[name=purpose]").count():
            self.press("Go on")

    def close(self) -> None:
        """Close the profile."""
        self.context.close()


def why_not() -> str:
    """Why browser tests cannot run here; empty if they can."""
    return "" if shutil.which("chromium") else "Chromium is not installed (tools/debian.sh chromium)"


def skip_unless_possible() -> None:
    """Skip with the reason where there is no browser."""
    reason = why_not()
    if reason:
        pytest.skip(reason)
