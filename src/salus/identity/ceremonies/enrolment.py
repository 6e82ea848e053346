# SPDX-License-Identifier: Apache-2.0
"""Choosing a password and binding a factor: at the first sign-in, after a loss, and from the account page.

A factor counts only when it was shown once: a code of the application that scanned the secret, or a passkey that
verified its user. Password, factor, recovery codes and the end of the administrator's code become durable together, so
that an invitation is used up by a whole enrolment or not at all.
"""

from __future__ import annotations

from dataclasses import replace as replace_has
from typing import Any

from msgspec.structs import replace

from salus.identity.accounts.credentials import Held, refused
from salus.identity.accounts.notices import NoticeKind
from salus.identity.accounts.profile import pepper_of
from salus.identity.accounts.store import Statement, Values, add
from salus.identity.ceremonies.ceremony import Asked, Rooms, challenge_of, expect
from salus.identity.ceremonies.flow import Began, Flow, Has, Step, demanded
from salus.identity.factors import totp
from salus.identity.factors.assurance import AAL2, LEVELS, Factor
from salus.identity.factors.passkey_ceremony import judge_creation
from salus.kernel.commit import Unit
from salus.kernel.errors import Issue, Kind, Problem

_LOST = {Began.FACTORS, Began.ALL}


class Enrolment:
    """Binds what people will be recognised by. Arguments and errors as in `sign_in.SignIn`."""

    def __init__(self, rooms: Rooms) -> None:
        self._in = rooms

    async def new_password(self, unit: Unit, tenant: str, secret: str, password: str) -> Asked:
        """Take the password that an invited person, or one who lost theirs, has chosen.

        Raises:
            Problem: INVALID with the reason for one that is not fit.
        """
        flow, held, has = self._in.look(tenant, secret)
        expect(flow, has, Step.NEW_PASSWORD)
        if held.user is None:
            raise refused()
        self._in.hasher.check_new(password, (tenant, held.user.id, held.user.display))
        hashed = await self._in.hasher.hash(pepper_of(self._in.keys_of(tenant)), password)
        state = flow.state
        if state.began is not Began.PASSWORD:  # it comes into force together with the factor
            return self._in.go_on(unit, flow, replace(state, new_password=hashed), held)
        self._in.invitations.use(unit, tenant, state.invitation, refused())
        held = self._in.credentials.replace(unit, tenant, held, encoded=hashed)
        self._in.users.end_access(unit, tenant, state.name)
        self._in.users.unlock(unit, tenant, state.name)
        self._tell(unit, flow, NoticeKind.PASSWORD_CHANGED)
        shown = (*state.shown, Factor.PASSWORD)
        return self._in.go_on(unit, flow, replace(state, shown=shown, password=held.digest), held)

    def begin_code(self, unit: Unit, tenant: str, secret: str) -> Asked:
        """Make a secret for an authenticator application; it does not count before `confirm_code`.

        Raises:
            Problem: INVALID when only a passkey will do.
        """
        flow, held, has = self._in.look(tenant, secret)
        self._may_enrol_codes(flow, has)
        if flow.state.totp:
            return self._in.asked(flow, has)
        return self._in.go_on(unit, flow, replace(flow.state, totp=totp.new_secret()), held)

    def confirm_code(self, unit: Unit, tenant: str, secret: str, code: str) -> Asked:
        """Bind an authenticator application by its first code, which then works for nothing else.

        Raises:
            Problem: INVALID when the code is not one of the secret that was made.
        """
        flow, held, has = self._in.look(tenant, secret)
        self._may_enrol_codes(flow, has)
        made = flow.state.totp
        step = totp.accepted_step(made, code, self._in.clock.now_ms(), 0) if made else None
        if step is None:
            words = "The code does not fit. Is the clock of the telephone right?"
            raise Problem(Kind.INVALID, words, issues=(Issue("value", words, "code"),))
        held = self._keep(unit, flow, held, totp_secret=made, step=step)
        return self._bound(unit, flow, held, Factor.CODE, "authenticator application")

    def passkey(self, unit: Unit, tenant: str, secret: str, answer: dict[str, Any], label: str = "") -> Asked:
        """Bind a passkey that the browser has made; `SignIn.passkey_options` asked for it.

        Raises:
            Problem: UNAUTHENTICATED for whatever is wrong with it (the challenge is used up); INVALID for one that can
                be copied to other devices where the person's roles demand AAL3.
        """
        flow, held, has = self._in.look(tenant, secret)
        expect(flow, has, Step.ENROL)
        used = replace(flow.state, challenge=b"", challenge_ends=0)
        try:
            challenge = challenge_of(flow, self._in.clock.now_ms())
            made = judge_creation(self._in.passkeys.party, challenge, answer)
            strict = max(has.level, demanded(flow.state, has)) > LEVELS[AAL2]
            if made.synced and strict:
                words = "Your roles need a passkey that stays in one device, such as a security key."
                raise Problem(Kind.INVALID, words, "a passkey that can be copied was refused for AAL3")
            kept = self._keep(unit, flow, held)
            passkey = self._in.passkeys.bind(unit, tenant, flow.state.name, made, label)
        except Problem:
            unit.parts.clear()  # nothing of a half enrolment stays
            self._in.flows.go_on(unit, flow, used)
            raise
        factor = Factor.SYNCED_PASSKEY if made.synced else Factor.BOUND_PASSKEY
        return self._bound(unit, flow, kept, factor, f"passkey “{passkey.label}”")

    def codes_kept(self, unit: Unit, tenant: str, secret: str) -> Asked:
        """Its person has the recovery codes; they are not shown again."""
        flow, held, has = self._in.look(tenant, secret)
        expect(flow, has, Step.RECOVERY_CODES)
        return self._in.go_on(unit, flow, replace(flow.state, codes=()), held)

    # ── inside ──────────────────────────────────────────────────────────────────────────────────────────────

    def _may_enrol_codes(self, flow: Flow, has: Has) -> None:
        expect(flow, has, Step.ENROL)
        if "code" not in self._in.asked(flow, has).offers:
            raise Problem(Kind.INVALID, "Your roles need a passkey that stays in one device; codes are not enough.")

    def _keep(self, unit: Unit, flow: Flow, held: Held, *, totp_secret: str | None = None, step: int = 0) -> Held:
        """Put everything of an enrolment but the passkey into one unit."""
        state, tenant = flow.state, flow.tenant
        if state.invitation:
            self._in.invitations.use(unit, tenant, state.invitation, refused())
            where: Values = (tenant, held.handle)
            add(unit, Statement("delete from standing where tenant = ? and handle = ? and state = 'invited'", where))
        if state.began in _LOST:
            self._in.passkeys.remove_all(unit, tenant, state.name)
            self._in.users.end_access(unit, tenant, state.name)
        if state.new_password:
            self._in.users.unlock(unit, tenant, state.name)
        if state.new_password and state.began is Began.ALL:
            self._tell(unit, flow, NoticeKind.PASSWORD_CHANGED)
        lost = state.began in _LOST or Factor.RECOVERY in state.shown
        return self._in.credentials.replace(
            unit,
            tenant,
            held,
            encoded=state.new_password or None,
            secret=totp_secret,
            step=step,
            without_code=lost and totp_secret is None,
        )

    def _bound(self, unit: Unit, flow: Flow, held: Held, factor: Factor, words: str) -> Asked:
        state, tenant = flow.state, flow.tenant
        self._tell(unit, flow, NoticeKind.FACTOR_BOUND, words)
        codes: tuple[str, ...] = state.codes
        has = self._in.has(tenant, held)
        if has.level > LEVELS[AAL2]:  # a saved code never leads to AAL3: there are none, but a second passkey
            self._in.recovery.remove_all(unit, tenant, state.name)
        elif Factor.RECOVERY in state.shown or not self._in.recovery.left(tenant, state.name):
            codes = self._in.recovery.renew(unit, tenant, state.name)
        chosen = (Factor.PASSWORD,) if state.new_password else ()
        after = replace(
            state,
            shown=tuple(dict.fromkeys((*state.shown, *chosen, factor))),
            shown_ms=self._in.clock.now_ms(),
            password=held.digest,
            new_password="",
            totp="",
            challenge=b"",
            challenge_ends=0,
            enrolled=True,
            codes=codes,
        )
        flow = self._in.flows.go_on(unit, flow, after)
        bound = has.bound or factor is Factor.BOUND_PASSKEY  # once this is durable
        return self._in.asked(flow, replace_has(has, passkeys=has.passkeys or factor is not Factor.CODE, bound=bound))

    def _tell(self, unit: Unit, flow: Flow, kind: NoticeKind, words: str = "") -> None:
        state = flow.state
        self._in.notices.tell(unit, flow.tenant, state.name, kind, words, state.device, state.address)
