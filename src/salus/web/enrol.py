# SPDX-License-Identifier: Apache-2.0
"""Choosing a password, binding a factor, keeping recovery codes: pages over `salus.identity.ceremonies.enrolment`."""

from __future__ import annotations

from salus.http.message import Response
from salus.identity.ceremonies.ceremony import Asked
from salus.identity.ceremonies.flow import Step
from salus.identity.factors.passkey_ceremony import read_answer
from salus.kernel.errors import Problem
from salus.web.ceremonies import Steps, words_of
from salus.web.reception import Visit

_DIFFERENT = "The two passwords are not the same."


class EnrolPages:
    """The pages of enrolment, all of them steps of a ceremony."""

    def __init__(self, steps: Steps) -> None:
        self._steps = steps

    async def password(self, visit: Visit, secret: str, asked: Asked) -> Response:
        """POST /sign-in/password: the password that somebody has chosen."""
        form = await visit.form()
        if form.get("password", "") != form.get("again", ""):
            return self._steps.draw(visit, asked, errors={"again": _DIFFERENT}, status=422)
        judging = self._steps.ceremonies.new_password(visit.context, secret, form.get("password", ""))
        return await self._steps.step(visit, judging, "password", asked)

    async def begin_code(self, visit: Visit, secret: str, asked: Asked) -> Response:
        """POST /sign-in/enrol/app: make a secret for an authenticator application; the page then shows it."""
        await visit.form()
        return await self._steps.step(visit, self._steps.ceremonies.begin_code(visit.context, secret), "code", asked)

    async def confirm_code(self, visit: Visit, secret: str, asked: Asked) -> Response:
        """POST /sign-in/enrol/code: the first code of the application."""
        form = await visit.form()
        judging = self._steps.ceremonies.confirm_code(visit.context, secret, form.get("code", ""))
        return await self._steps.step(visit, judging, "code", asked)

    async def passkey(self, visit: Visit, secret: str, asked: Asked) -> Response:
        """POST /sign-in/enrol/passkey: the passkey that the browser has made."""
        form = await visit.form()
        try:
            answer = read_answer(form.get("credential", ""))
        except Problem as problem:
            return self._steps.draw(visit, asked, errors={"passkey": words_of(problem)}, status=422)
        judging = self._steps.ceremonies.bind_passkey(visit.context, secret, answer, form.get("label", ""))
        return await self._steps.step(visit, judging, "passkey", asked)

    async def codes_text(self, visit: Visit, secret: str, asked: Asked) -> Response:
        """GET /sign-in/codes.txt: the recovery codes to keep as a file, as long as they are shown."""
        if asked.step is not Step.RECOVERY_CODES:
            return visit.go("/sign-in/step")
        lines = [f"Recovery codes of {asked.name} for {visit.context.services.base_url}{visit.to('/')}", ""]
        lines += [
            *asked.codes,
            "",
            "Each works once, in place of a second factor. Keep them where nobody else looks.",
            "",
        ]
        named = (b"content-disposition", b'attachment; filename="salus-recovery-codes.txt"')
        return Response(200, "\r\n".join(lines).encode(), b"text/plain; charset=utf-8", [named])

    async def codes_kept(self, visit: Visit, secret: str, asked: Asked) -> Response:
        """POST /sign-in/codes: they are kept."""
        form = await visit.form()
        if form.get("kept") != "yes":
            words = "Keep the codes first, then say that you have them."
            return self._steps.draw(visit, asked, errors={"kept": words}, status=422)
        return await self._steps.step(visit, self._steps.ceremonies.codes_kept(visit.context, secret), "kept", asked)
