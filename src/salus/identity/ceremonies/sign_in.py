# SPDX-License-Identifier: Apache-2.0
"""Signing in, step by step, and showing a factor again.

The ceremony lies on the server (`flow`); each function here takes the browser's secret and what somebody sent, and says
what is asked next. Rules kept:
- a password alone never begins a session; an account without a second factor binds one first (`enrolment`);
- one answer for whatever was wrong with name and password, and the same work for a name that does not exist;
- delays as in `lockout`; passkeys are outside of them;
- a code, a challenge, a recovery code and a step work once, also for two requests at the same moment.

Every function adds to the caller's `Unit` in success and in failure: commit it together with the audit entry in both
cases, and let nobody go on before it is durable.
"""

from __future__ import annotations

import secrets as random
from dataclasses import replace as replace_demand
from typing import Any

from msgspec.structs import replace

from salus.identity.accounts.credentials import Held, refused
from salus.identity.accounts.lockout import Secret, network_of, place_of
from salus.identity.accounts.notices import NoticeKind
from salus.identity.accounts.profile import pepper_of
from salus.identity.accounts.store import Statement, add
from salus.identity.accounts.users import User
from salus.identity.ceremonies.ceremony import Asked, Finished, Rooms, challenge_of, expect
from salus.identity.ceremonies.flow import AGAIN_MS, LIFE_MS, Began, FlowKind, Has, State, Step, over
from salus.identity.factors import totp
from salus.identity.factors.assurance import (
    AAL2,
    AAL3,
    FRESH,
    LEVELS,
    Demand,
    Factor,
    Proof,
    insufficient,
    meets,
    prove,
)
from salus.identity.factors.passkey_ceremony import CHALLENGE_BYTES, CHALLENGE_MS, creation_options, request_options
from salus.identity.factors.passkey_ceremony import refused as passkey_refused
from salus.identity.sessions import Session
from salus.kernel.commit import Unit
from salus.kernel.errors import Problem

LABORATORY_LENGTH = 15
"""Least length of a password that is the only factor (NIST SP 800-63B-4 section 3.1.1.2)."""

_PASSKEY_STEPS = {Step.PASSWORD, Step.SECOND_FACTOR, Step.PASSKEY}


class SignIn:
    """Judges what people show.

    Args:
        rooms: what ceremonies use.
    """

    def __init__(self, rooms: Rooms) -> None:
        self._in = rooms

    # ── the ceremony ────────────────────────────────────────────────────────────────────────────────────────

    def begin(
        self,
        unit: Unit,
        tenant: str,
        *,
        purpose: str = "",
        device: str = "",
        address: str = "",
        back: str = "",
        acr: str = "",
    ) -> tuple[str, Asked]:
        """Begin a sign-in.

        Args:
            purpose: purpose of use of the session; that of the roles when left out.
            device: words about the browser.
            address: where from.
            back: where to go on afterwards; the caller's business.
            acr: the level that an application asks for, beyond that of the roles.

        Returns:
            The browser's secret and what is asked first.
        """
        now = self._in.clock.now_ms()
        state = State(
            FlowKind.SIGN_IN,
            now,
            now + LIFE_MS,
            device=device,
            address=address,
            purpose=purpose,
            back=back,
            acr=acr if acr in LEVELS else "",
        )
        secret, flow = self._in.flows.begin(unit, tenant, state)
        return secret, self._in.asked(flow, Has())

    def begin_again(
        self, unit: Unit, session: Session, demand: Demand = FRESH, *, back: str = "", bind: bool = False
    ) -> tuple[str, Asked]:
        """Begin to show factors again in a session, or to bind another factor.

        Args:
            demand: what has to be reached; never less than the session has.
            bind: bind a factor; the session has to be fresh.

        Raises:
            Problem: UNAUTHENTICATED with a challenge when a factor is to be bound in a session that is not fresh.
        """
        now, tenant = self._in.clock.now_ms(), session.user.tenant
        has = self._in.has(tenant, self._in.credentials.held(tenant, session.user.id))
        # Whoever has a passkey for AAL3 binds another with it: codes must not lead to what is stronger than they are.
        fresh = replace_demand(FRESH, acr=AAL3) if has.level > LEVELS[AAL2] and has.bound else FRESH
        if bind and not meets(fresh, session.acr, session.proved_ms, now):
            raise insufficient(fresh)
        kind = FlowKind.BIND if bind else FlowKind.STEP_UP
        state = State(
            kind,
            now,
            now + AGAIN_MS,
            device=session.device,
            address=session.address,
            back=back,
            acr=max(demand.acr, session.acr),
            session=session.id,
            name=session.user.id,
        )
        secret, flow = self._in.flows.begin(unit, tenant, state)
        return secret, self._in.asked(flow, has)

    def where(self, tenant: str, secret: str) -> Asked:
        """What a ceremony asks for now. Raises UNAUTHENTICATED when it is over."""
        flow, _, has = self._in.look(tenant, secret)
        return self._in.asked(flow, has)

    async def password(self, unit: Unit, tenant: str, secret: str, name: str, password: str) -> Asked:
        """Judge a name and a password; in a session's ceremony the name is that of its person.

        Raises:
            Problem: UNAUTHENTICATED, the same for everything that can be wrong; THROTTLED while the name or the place
                has to wait, or too many sign in at once.
        """
        flow, _, has = self._in.look(tenant, secret)
        expect(flow, has, Step.PASSWORD)
        state = flow.state
        name = state.name or name
        charge = self._in.lockout.charge(tenant, name, state.address, Secret.PASSWORD)
        held = self._in.credentials.held(tenant, name)
        try:
            fits = await self._in.hasher.verify(pepper_of(self._in.keys_of(tenant)), held.encoded, password)
        except Problem:
            self._in.lockout.discharge(charge)
            raise
        if not fits or held.user is None or self._too_short(held.user, password, self._in.has(tenant, held)):
            self._failed(unit, tenant, name, self._in.lockout.failed(unit, charge), held)
            raise refused()
        self._in.lockout.discharge(charge)
        if self._in.hasher.outdated(held.encoded):
            hashed = await self._in.hasher.hash(pepper_of(self._in.keys_of(tenant)), password)
            held = self._in.credentials.replace(unit, tenant, held, encoded=hashed)
        return self._in.go_on(unit, flow, self._with(state, held, Factor.PASSWORD), held)

    def elsewhere(self, unit: Unit, tenant: str, secret: str, name: str, *, two_factors: bool) -> Asked:
        """Take the word of an identity provider that somebody is the person of an account.

        Args:
            name: the account that is linked; in a session's ceremony it has to be that of its person.
            two_factors: whether the provider is trusted for two factors, and says that it asked for two. Else it counts
                as one, and a factor of ours is asked for next, or bound.

        Raises:
            Problem: UNAUTHENTICATED for another person, or an account that is disabled.
        """
        flow, _, has = self._in.look(tenant, secret)
        expect(flow, has, Step.PASSWORD)
        held = self._in.credentials.held(tenant, name)
        if held.user is None or flow.state.name not in {"", name}:
            raise refused()
        factor = Factor.ELSEWHERE_TWICE if two_factors else Factor.ELSEWHERE
        return self._in.go_on(unit, flow, self._with(flow.state, held, factor), held)

    def code(self, unit: Unit, tenant: str, secret: str, code: str) -> Asked:
        """Judge a code of the authenticator application.

        Raises:
            Problem: UNAUTHENTICATED for a code that is wrong, old or was used; THROTTLED after wrong ones.
        """
        flow, held, has = self._in.look(tenant, secret)
        expect(flow, has, Step.SECOND_FACTOR)
        charge = self._in.lockout.charge(tenant, flow.state.name, flow.state.address, Secret.CODE)
        step = totp.accepted_step(held.secret, code, self._in.clock.now_ms(), held.last_step)
        if step is None or not held.code:
            self._in.lockout.failed(unit, charge)
            raise refused()
        self._in.lockout.discharge(charge)
        self._in.credentials.use_code(unit, tenant, held, step)
        return self._in.go_on(unit, flow, self._with(flow.state, held, Factor.CODE), held)

    def recovery(self, unit: Unit, tenant: str, secret: str, code: str) -> Asked:
        """Judge a recovery code in place of a second factor: a saved one, or one that an administrator had made.

        Another factor is bound next; only then a session begins.

        Raises:
            Problem: UNAUTHENTICATED for a code that is none of the account's; THROTTLED after wrong ones.
        """
        flow, held, has = self._in.look(tenant, secret)
        expect(flow, has, Step.SECOND_FACTOR)
        state = flow.state
        if state.began is not Began.NOTHING or held.user is None:
            raise refused()
        charge = self._in.lockout.charge(tenant, state.name, state.address, Secret.CODE)
        known = self._with(state, held, Factor.RECOVERY)
        made = self._in.invitations.find(tenant, state.name, code)
        if made is not None and made.began is Began.FACTORS:
            known = replace(known, began=Began.FACTORS, invitation=made.hash)
        elif (has.level > LEVELS[AAL2] and has.bound) or not self._in.recovery.use(
            unit, tenant, state.name, code, refused()
        ):  # a saved code never leads to AAL3; two administrators do
            self._in.lockout.failed(unit, charge)
            raise refused()
        self._in.lockout.discharge(charge)
        self._tell(unit, tenant, state, NoticeKind.RECOVERY_USED)
        return self._in.go_on(unit, flow, known, held)

    def invitation(self, unit: Unit, tenant: str, secret: str, name: str, code: str) -> Asked:
        """Judge a code that an administrator has made, in place of a password.

        Raises:
            Problem: UNAUTHENTICATED, the same for an unknown name and for a code that is wrong, used or over;
                THROTTLED after wrong ones.
        """
        flow, _, has = self._in.look(tenant, secret)
        expect(flow, has, Step.PASSWORD)
        if flow.state.kind is not FlowKind.SIGN_IN:
            raise refused()
        charge = self._in.lockout.charge(tenant, name, flow.state.address, Secret.CODE)
        held = self._in.credentials.held(tenant, name)
        made = self._in.invitations.find(tenant, name, code)
        if made is None or held.user is None or made.began is Began.FACTORS:
            self._in.lockout.failed(unit, charge)
            raise refused()
        self._in.lockout.discharge(charge)
        known = self._with(replace(flow.state, name=name), held, Factor.RECOVERY)
        return self._in.go_on(unit, flow, replace(known, began=made.began, invitation=made.hash), held)

    # ── passkeys ────────────────────────────────────────────────────────────────────────────────────────────

    def passkey_options(self, unit: Unit, tenant: str, secret: str) -> dict[str, Any]:
        """What the browser gives to `navigator.credentials`: to `create()` at ENROL, else to `get()`.

        Each call makes a new challenge of 32 bytes, which is good for one answer within five minutes.
        """
        flow, held, has = self._in.look(tenant, secret)
        step = expect(flow, has, *_PASSKEY_STEPS, Step.ENROL)
        challenge = random.token_bytes(CHALLENGE_BYTES)
        now, party = self._in.clock.now_ms(), self._in.passkeys.party
        self._in.flows.go_on(unit, flow, replace(flow.state, challenge=challenge, challenge_ends=now + CHALLENGE_MS))
        mine = self._in.passkeys.of_user(tenant, held.user.id) if held.user is not None and flow.state.name else []
        have = [(each.credential, each.transports) for each in mine if not each.suspect]
        if step is Step.ENROL and held.user is not None:
            user = held.user
            return creation_options(party, challenge, user=held.handle, name=user.id, display=user.display, have=have)
        return request_options(party, challenge, have)

    def passkey(self, unit: Unit, tenant: str, secret: str, answer: dict[str, Any]) -> Asked:
        """Judge a passkey: as the whole sign-in, as second factor, or bound to a device where that is asked for.

        Raises:
            Problem: UNAUTHENTICATED for whatever is wrong with it. The challenge is used up in any case.
        """
        flow, held, has = self._in.look(tenant, secret)
        step = expect(flow, has, *_PASSKEY_STEPS)
        state = replace(flow.state, challenge=b"", challenge_ends=0)
        try:
            challenge = challenge_of(flow, self._in.clock.now_ms())
            owner = held.handle if state.name else None
            handle, use = self._in.passkeys.judge(unit, tenant, challenge, answer, owner=owner)
            held = self._in.credentials.held_by(tenant, handle)
            if held.user is None:
                raise passkey_refused("passkey of nobody who may sign in")
            if use.copied:
                copied = replace(state, name=held.user.id)
                self._tell(unit, tenant, copied, NoticeKind.PASSKEY_COPIED, use.passkey.label)
                raise passkey_refused(f"passkey {use.passkey.id} counted backwards: it may have been copied")
            if step is Step.PASSKEY and use.passkey.synced:
                raise passkey_refused("passkey is not bound to a device")
        except Problem:
            self._in.flows.go_on(unit, flow, state)
            raise
        factor = Factor.SYNCED_PASSKEY if use.passkey.synced else Factor.BOUND_PASSKEY
        return self._in.go_on(unit, flow, self._with(replace(state, name=held.user.id), held, factor), held)

    # ── the end ─────────────────────────────────────────────────────────────────────────────────────────────

    def finish(self, unit: Unit, tenant: str, secret: str, *, purpose: str = "") -> Finished:
        """End a ceremony that is done: begin its session, or strengthen the one it belongs to.

        Args:
            purpose: purpose of use, in place of the one it began with.

        Raises:
            Problem: CONFLICT when something is still asked for; INVALID for an unknown purpose; UNAUTHENTICATED when
                the ceremony is over.
        """
        flow, held, has = self._in.look(tenant, secret)
        expect(flow, has, Step.DONE)
        state = flow.state
        if held.user is None:
            raise over()
        self._in.flows.end(unit, flow)
        self._in.credentials.unchanged(unit, tenant, held)
        if state.session:
            session = self._in.sessions.by_id(tenant, state.session)
            if state.kind is FlowKind.BIND:
                return Finished("", session, state.back)
            self._in.lockout.cleared(unit, tenant, state.name, state.address, state.proof.amr)
            cookie, session = self._in.sessions.strengthen(unit, session, state.proof)
            return Finished(cookie, session, state.back)
        purpose = purpose or state.purpose or self._in.purpose_of(held.user.roles)
        return self._begin(unit, held.user, state.proof, purpose, state.device, state.address, state.back)

    async def at_once(
        self, unit: Unit, tenant: str, name: str, password: str, code: str, *, purpose: str, device: str, address: str
    ) -> Finished:
        """The whole ceremony in one request, for programs: name, password and code are judged together.

        Raises:
            Problem: as `password` and `code`; one answer for whatever was wrong, and both are judged each time.
        """
        lockout = self._in.lockout
        charges = [lockout.charge(tenant, name, address, Secret.PASSWORD)]
        try:
            charges.append(lockout.charge(tenant, name, address, Secret.CODE))
            held = self._in.credentials.held(tenant, name)
            fits = await self._in.hasher.verify(pepper_of(self._in.keys_of(tenant)), held.encoded, password)
        except Problem:
            for charge in charges:
                lockout.discharge(charge)
            raise
        now = self._in.clock.now_ms()
        step = totp.accepted_step(held.secret, code, now, held.last_step)
        alone = held.user is not None and held.user.id in self._in.laboratory and not held.code
        enough = (step is not None and held.code) or (alone and len(password) >= LABORATORY_LENGTH)
        if not fits or held.user is None or not enough:
            closed = [lockout.failed(unit, charge) for charge in charges]
            self._failed(unit, tenant, name, closed[0], held)
            raise refused()
        factors = [Factor.PASSWORD]
        if held.code and step is not None:
            factors.append(Factor.CODE)
            self._in.credentials.use_code(unit, tenant, held, step)
        else:
            self._in.credentials.unchanged(unit, tenant, held)
        return self._begin(unit, held.user, prove(factors, now), purpose, device, address, "")

    # ── inside ──────────────────────────────────────────────────────────────────────────────────────────────

    def _begin(
        self, unit: Unit, user: User, proof: Proof, purpose: str, device: str, address: str, back: str
    ) -> Finished:
        cookie, session = self._in.sessions.begin(unit, user, proof, purpose=purpose, device=device, address=address)
        self._in.lockout.cleared(unit, user.tenant, user.id, address, proof.amr)
        new = self._recognise(unit, user, device, address)
        kind = NoticeKind.NEW_DEVICE if new else NoticeKind.SIGN_IN
        self._in.notices.tell(unit, user.tenant, user.id, kind, " ".join(proof.amr), device, address)
        return Finished(cookie, session, back, new)

    def _recognise(self, unit: Unit, user: User, device: str, address: str) -> bool:
        """Remember network and device; true when others are known and this one is not."""
        keys = self._in.keys_of(user.tenant)
        handle = self._in.credentials.held(user.tenant, user.id).handle
        network = network_of(address)
        places = [place_of(keys, user.id, network), place_of(keys, user.id, f"{network}|{device}")]
        known = {
            row[0]
            for row in self._in.db.execute(
                "select place from familiar where tenant = ? and handle = ?", (user.tenant, handle)
            )
        }
        for place in places:
            values = (user.tenant, handle, place, self._in.clock.now_ms())
            add(unit, Statement("insert or replace into familiar(tenant, handle, place, at) values(?,?,?,?)", values))
        return bool(known) and places[1] not in known

    def _with(self, state: State, held: Held, factor: Factor) -> State:
        name = held.user.id if held.user is not None else ""
        shown = tuple(dict.fromkeys((*state.shown, factor)))
        now = self._in.clock.now_ms()
        return replace(state, name=name, shown=shown, shown_ms=now, password=held.digest)

    def _failed(self, unit: Unit, tenant: str, name: str, closed: bool, held: Held) -> None:
        if closed and held.user is not None:
            self._in.notices.tell(unit, tenant, name, NoticeKind.PASSWORD_CLOSED)

    def _tell(self, unit: Unit, tenant: str, state: State, kind: NoticeKind, words: str = "") -> None:
        self._in.notices.tell(unit, tenant, state.name, kind, words, state.device, state.address)

    def _too_short(self, user: User, password: str, has: Has) -> bool:
        alone = user.id in self._in.laboratory and not (has.code or has.passkeys)
        return alone and len(password) < LABORATORY_LENGTH
