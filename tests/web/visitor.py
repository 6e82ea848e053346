# SPDX-License-Identifier: Apache-2.0
"""A browser without scripts: keeps the cookie, reads forms out of pages, and sends them as a browser does."""

from __future__ import annotations

from collections.abc import Sequence
from html.parser import HTMLParser
from typing import Any

import httpx

from salus.identity.accounts.profile import make_profile
from salus.identity.accounts.users import User
from salus.identity.factors.assurance import AAL2, Proof
from salus.kernel.commit import Unit
from salus.web.cookies import session_name
from tests.support.clinic import BASE, PEOPLE, Clinic

HTML = {"accept": "text/html"}


class Forms(HTMLParser):
    """The forms of a page: address, and (name, value, ticked or not) of each field."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, list[tuple[str, str, bool]]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given: dict[str, str] = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.found.append((given.get("action", ""), []))
        elif tag in {"input", "button"} and self.found and given.get("name"):
            boxed = given.get("type") in {"checkbox", "radio", "submit"}
            self.found[-1][1].append((given["name"], given.get("value", ""), not boxed or "checked" in given))


def person(clinic: Clinic, name: str) -> User:
    """An account of a person, with roles and record of one of `PEOPLE`; made at its first use, without any factor."""
    users, login = clinic.house.users, f"{name}.person"
    if users.find("default", login) is None:
        roles, _, party = PEOPLE[name]
        unit = Unit()
        profile = make_profile(login, "user", roles, name.title(), party)
        users._insert(unit, clinic.house.keyring.tenant("default"), profile, (None, None))
        clinic.run(clinic._commit(unit))
    found = users.find("default", login)
    assert found is not None
    return found


class Visitor:
    """Somebody at a browser: signed in as one of `PEOPLE`, or nobody."""

    def __init__(self, clinic: Clinic, name: str = "") -> None:
        self.clinic = clinic
        self.cookie = ""
        if name:
            user = person(clinic, name)
            unit = Unit()
            proof = Proof(("pwd", "otp", "mfa"), AAL2, clinic.house.clock.now_ms())
            secret, self.session = clinic.house.sessions.begin(unit, user, proof, purpose=PEOPLE[name][1])
            clinic.run(clinic._commit(unit))
            self.cookie = f"{session_name('default')}={secret}"

    def get(self, address: str) -> httpx.Response:
        path = address.removeprefix(BASE)
        return self.clinic.run(self.clinic.http.get(path, headers={**HTML, "cookie": self.cookie}))

    def post(self, path: str, fields: Sequence[tuple[str, str]], **headers: str) -> httpx.Response:
        sent: dict[str, Any] = {}
        for name, value in fields:
            sent.setdefault(name, []).append(value)
        head = {**HTML, "cookie": self.cookie, "origin": BASE, "sec-fetch-site": "same-origin", **headers}
        return self.clinic.run(self.clinic.http.post(path, data=sent, headers=head))

    def submit(self, page: httpx.Response, path: str, *ticks: tuple[str, str], **headers: str) -> httpx.Response:
        """Send the form of a page that goes to `path`, with boxes ticked and fields filled in."""
        filled = {name for name, _ in ticks}
        for action, fields in Forms(page.text).found:
            names = {name for name, _, _ in fields}
            if action == path and filled <= names:
                kept = [(name, value) for name, value, on in fields if on and name not in filled]
                return self.post(path, [*kept, *ticks], **headers)
        raise AssertionError(f"no form for {path} with {filled} on the page")
