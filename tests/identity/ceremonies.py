# SPDX-License-Identifier: Apache-2.0
"""Somebody at a browser: goes through a ceremony step by step, as the pages do."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlparse

from identity_desk import PASSWORD, Desk
from tests.support.soft_auth import SoftAuth

from salus.identity.ceremonies.ceremony import Asked, Finished
from salus.identity.factors.assurance import Demand
from salus.identity.sessions import Session
from salus.kernel.commit import Unit
from salus.kernel.errors import Problem


def carry_out(desk: Desk, judge: Callable[..., Any], *sent: Any, **more: Any) -> Any:
    """One request: judged, then committed whatever came out; raises what the person would be told."""

    async def run() -> Any:
        unit = Unit()
        problem: Problem | None = None
        try:
            result = judge(unit, *sent, **more)
            if inspect.isawaitable(result):
                result = await result
        except Problem as told:
            problem, result = told, None
        (outcome,) = await desk.commit(unit)
        if problem or outcome:
            raise problem or outcome  # type: ignore[misc]
        return result

    return asyncio.run(run())


class Browser:
    """A browser on its way through one ceremony."""

    def __init__(
        self, desk: Desk, *, address: str = "192.0.2.1", device: str = "Firefox on Linux", tenant: str = "default"
    ):
        self.desk, self.tenant = desk, tenant
        self.where = {"address": address, "device": device}
        self.secret = ""

    @property
    def asked(self) -> Asked:
        return self.desk.people.sign_in.where(self.tenant, self.secret)

    def begin(self, **more: str) -> Browser:
        self.secret, _ = carry_out(self.desk, self.desk.people.sign_in.begin, self.tenant, **self.where, **more)
        return self

    def again(self, session: Session, demand: Demand | None = None, *, bind: bool = False) -> Browser:
        more = {"bind": bind} | ({"demand": demand} if demand else {})
        self.secret, _ = carry_out(self.desk, self.desk.people.sign_in.begin_again, session, **more)
        return self

    def _step(self, judge: Callable[..., Any], *sent: Any) -> Any:
        return carry_out(self.desk, judge, self.tenant, self.secret, *sent)

    def password(self, name: str = "dr.amara", password: str = PASSWORD) -> Asked:
        return self._step(self.desk.people.sign_in.password, name, password)

    def code(self, code: str) -> Asked:
        return self._step(self.desk.people.sign_in.code, code)

    def recovery(self, code: str) -> Asked:
        return self._step(self.desk.people.sign_in.recovery, code)

    def invitation(self, name: str, code: str) -> Asked:
        return self._step(self.desk.people.sign_in.invitation, name, code)

    def options(self) -> dict[str, Any]:
        return self._step(self.desk.people.sign_in.passkey_options)

    def passkey(self, device: SoftAuth, **more: Any) -> Asked:
        return self.answer(device.get(self.options(), **more))

    def answer(self, answer: dict[str, Any]) -> Asked:
        return self._step(self.desk.people.sign_in.passkey, answer)

    def new_password(self, password: str) -> Asked:
        return self._step(self.desk.people.enrolment.new_password, password)

    def enrol_passkey(self, device: SoftAuth, label: str = "", **more: Any) -> Asked:
        return self._step(self.desk.people.enrolment.passkey, device.create(self.options(), **more), label)

    def enrol_answer(self, answer: dict[str, Any]) -> Asked:
        return self._step(self.desk.people.enrolment.passkey, answer, "")

    def begin_codes(self) -> str:
        """Gives the secret that an application would scan."""
        asked = self._step(self.desk.people.enrolment.begin_code)
        return parse_qs(urlparse(asked.uri).query)["secret"][0]

    def confirm(self, code: str) -> Asked:
        return self._step(self.desk.people.enrolment.confirm_code, code)

    def kept(self) -> Asked:
        return self._step(self.desk.people.enrolment.codes_kept)

    def finish(self, **more: str) -> Finished:
        return carry_out(self.desk, self.desk.people.sign_in.finish, self.tenant, self.secret, **more)


def signed_in(desk: Desk, secret: str, name: str = "dr.amara", **where: str) -> Session:
    """Signs in with password and code."""
    browser = Browser(desk, **where).begin()
    browser.password(name)
    browser.code(desk.code(secret))
    return browser.finish().session


def with_passkey(desk: Desk, session: Session, device: SoftAuth, label: str = "key") -> None:
    """Binds a passkey in a fresh session."""
    browser = Browser(desk).again(session, bind=True)
    asked = browser.enrol_passkey(device, label)
    if asked.codes:
        browser.kept()
    browser.finish()
