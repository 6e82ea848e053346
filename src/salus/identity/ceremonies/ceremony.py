# SPDX-License-Identifier: Apache-2.0
"""What the steps of a ceremony share: the rooms they use, what they answer, and where they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from salus.identity.accounts.credentials import Credentials, Held
from salus.identity.accounts.lockout import Lockout
from salus.identity.accounts.notices import Notices
from salus.identity.accounts.passkeys import Passkeys
from salus.identity.accounts.recovery_codes import RecoveryCodes
from salus.identity.accounts.users import KeysOf, Users
from salus.identity.ceremonies.flow import Began, Flow, FlowKind, Flows, Has, State, Step, demanded, next_step, over
from salus.identity.ceremonies.invitations import Invitations
from salus.identity.factors import totp
from salus.identity.factors.assurance import AAL2, LEVELS
from salus.identity.factors.passkey_ceremony import refused
from salus.identity.factors.passwords import PasswordHasher
from salus.identity.sessions import LevelOf, Session, Sessions
from salus.kernel.clock import Clock
from salus.kernel.commit import Unit
from salus.kernel.db import Connection
from salus.kernel.errors import Kind, Problem


@dataclass(frozen=True, slots=True)
class Asked:
    """What a ceremony asks for next, for whoever draws it.

    Attributes:
        step: what.
        kind: what the ceremony is for.
        offers: ways to do the step: `password`, `passkey`, `code`, `recovery`.
        name: login name, once it is known; it may be of nobody.
        back: where to go on afterwards.
        uri: `otpauth://` address of a secret that waits for its first code (ENROL); it holds the secret.
        codes: recovery codes to keep (RECOVERY_CODES).
        device_bound: a passkey must not be one that can be copied (ENROL, PASSKEY).
    """

    step: Step
    kind: FlowKind
    offers: tuple[str, ...]
    name: str
    back: str
    uri: str = ""
    codes: tuple[str, ...] = ()
    device_bound: bool = False


@dataclass(frozen=True, slots=True)
class Finished:
    """A ceremony is done.

    Attributes:
        secret: for the session's cookie; empty when there is no new one (BIND).
        session: the session, begun or strengthened.
        back: where to go on.
        new_device: whether they came from a place that was not used before.
    """

    secret: str
    session: Session
    back: str
    new_device: bool = False


@dataclass(frozen=True, slots=True)
class Rooms:
    """What ceremonies use; `people.People` makes it."""

    db: Connection
    keys_of: KeysOf
    clock: Clock
    hasher: PasswordHasher
    users: Users
    credentials: Credentials
    sessions: Sessions
    flows: Flows
    lockout: Lockout
    passkeys: Passkeys
    recovery: RecoveryCodes
    notices: Notices
    invitations: Invitations
    level_of: LevelOf
    purpose_of: Callable[[tuple[str, ...]], str]
    laboratory: frozenset[str]

    def has(self, tenant: str, held: Held) -> Has:
        """What an account has to sign in with."""
        if held.user is None:
            return Has()
        usable = [p for p in self.passkeys.of_user(tenant, held.user.id) if not p.suspect]
        return Has(
            code=held.code,
            passkeys=bool(usable),
            bound=any(not passkey.synced for passkey in usable),
            level=self.level_of(held.user.roles),
            laboratory=held.user.id in self.laboratory,
        )

    def look(self, tenant: str, secret: str) -> tuple[Flow, Held, Has]:
        """A ceremony and its account.

        Raises:
            Problem: UNAUTHENTICATED when it is over, the account was disabled or its password changed meanwhile.
        """
        flow = self.flows.find(tenant, secret)
        state = flow.state
        held = self.credentials.held(tenant, state.name)
        if state.name and (held.user is None or (state.password and held.digest != state.password)):
            raise over()
        if state.session and not self.sessions.alive(tenant, state.session):
            raise over()
        return flow, held, self.has(tenant, held)

    def asked(self, flow: Flow, has: Has) -> Asked:
        """What a ceremony asks for next."""
        state, step = flow.state, next_step(flow.state, has)
        strict = demanded(state, has) > LEVELS[AAL2] or has.level > LEVELS[AAL2]
        possible = ("passkey",) if self.passkeys.party.possible else ()
        offers: tuple[str, ...] = ()
        if step is Step.PASSWORD:
            offers = (*possible, "password")
        elif step is Step.SECOND_FACTOR:
            offers = (*(possible if has.passkeys else ()), *(("code",) if has.code else ()), "recovery")
            if state.began is not Began.NOTHING:
                offers = tuple(offer for offer in offers if offer != "recovery")
        elif step is Step.PASSKEY:
            offers = possible
        elif step is Step.ENROL:
            offers = possible if demanded(state, has) > LEVELS[AAL2] else (*possible, "code")
        uri = totp.enrolment_uri(state.totp, flow.tenant, state.name) if step is Step.ENROL and state.totp else ""
        codes = state.codes if step is Step.RECOVERY_CODES else ()
        return Asked(step, state.kind, offers, state.name, state.back, uri, codes, strict)

    def go_on(self, unit: Unit, flow: Flow, state: State, held: Held) -> Asked:
        """Keep what is known now, and say what is asked next."""
        return self.asked(self.flows.go_on(unit, flow, state), self.has(flow.tenant, held))


def expect(flow: Flow, has: Has, *steps: Step) -> Step:
    """The step that a ceremony is at.

    Raises:
        Problem: CONFLICT when it is another than those that are meant.
    """
    step = next_step(flow.state, has)
    if step not in steps:
        raise Problem(Kind.CONFLICT, "This is not what is asked for now.", f"ceremony is at {step}")
    return step


def challenge_of(flow: Flow, now_ms: int) -> bytes:
    """The challenge of a ceremony. Raises UNAUTHENTICATED when there is none, or it is too old."""
    if not flow.state.challenge or now_ms >= flow.state.challenge_ends:
        raise refused("no challenge, or an old one")
    return flow.state.challenge
