# SPDX-License-Identifier: Apache-2.0
"""A ceremony under way: signing in, showing a factor again, binding a new one; and what it asks for next.

The browser holds a secret of 256 random bits and nothing else. What was shown so far, the challenge and a code's secret
that is being enrolled lie in a sealed row, which is over after half an hour, in a session after ten minutes. Each step
raises the row's version, and only the version that was read is replaced: a challenge or a step is used once, also by
two requests at the same moment.

`next_step` is pure: what was shown, and what the account has, in; what is asked for, out.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from salus.identity.accounts.people_store import keyed_hash, open_row, seal_row
from salus.identity.accounts.store import Guard, Statement, Values, add
from salus.identity.accounts.users import KeysOf
from salus.identity.factors.assurance import AAL2, AAL3, FIRST, LEVELS, PASSKEYS, Factor, Proof, prove
from salus.kernel.clock import Clock
from salus.kernel.commit import Unit
from salus.kernel.db import Connection
from salus.kernel.errors import Kind, Problem

LIFE_MS = 30 * 60 * 1000
AGAIN_MS = 10 * 60 * 1000
"""Of a ceremony inside a session: what is bound must not wait for whoever finds the browser open."""


class Step(StrEnum):
    """What is asked next."""

    PASSWORD = "password"  # noqa: S105  name and password, or a passkey that says who it is
    SECOND_FACTOR = "second-factor"  # a code, a passkey or a recovery code, as `Asked.offers` says
    PASSKEY = "passkey"  # one that is bound to a device; nothing else will do
    NEW_PASSWORD = "new-password"  # noqa: S105
    ENROL = "enrol"  # bind a second factor: a passkey, or codes of an application
    RECOVERY_CODES = "recovery-codes"  # they are shown once; go on when they are kept
    DONE = "done"


class FlowKind(StrEnum):
    """What a ceremony is for."""

    SIGN_IN = "sign-in"
    STEP_UP = "step-up"  # of a session that there is
    BIND = "bind"  # another factor for the person of a fresh session


class Began(StrEnum):
    """The code of an administrator that a ceremony began with."""

    NOTHING = ""
    INVITE = "invite"  # first sign-in: password and factor
    PASSWORD = "password"  # noqa: S105  lost password; the second factor is still asked for
    FACTORS = "factors"  # lost factors; the password is still asked for
    ALL = "all"  # both are lost


class State(msgspec.Struct, frozen=True):
    """What is known in a ceremony; sealed."""

    kind: FlowKind
    created: int
    ends: int
    device: str = ""
    address: str = ""
    purpose: str = ""
    back: str = ""
    acr: str = ""  # the level that is asked for beyond that of the roles
    session: str = ""  # of which a factor is shown again, or for whose person one is bound
    name: str = ""
    shown: tuple[Factor, ...] = ()
    shown_ms: int = 0
    password: bytes = b""  # digest of the password's row when it was shown: no other may take its place meanwhile
    challenge: bytes = b""
    challenge_ends: int = 0
    totp: str = ""  # not confirmed yet
    new_password: str = ""  # hash, not in force yet
    began: Began = Began.NOTHING
    invitation: bytes = b""  # hash of the administrator's code
    enrolled: bool = False
    codes: tuple[str, ...] = ()  # recovery codes that its person has not kept yet

    @property
    def proof(self) -> Proof:
        """What was proved so far."""
        return prove(self.shown, self.shown_ms)


@dataclass(frozen=True, slots=True)
class Has:
    """What an account has to sign in with.

    Attributes:
        code: an authenticator application is enrolled.
        passkeys: it has passkeys that are not marked as copied.
        bound: one of them cannot leave its device.
        level: what its roles demand.
        laboratory: a password alone is enough for it.
    """

    code: bool = False
    passkeys: bool = False
    bound: bool = False
    level: int = 2
    laboratory: bool = False


def demanded(state: State, has: Has) -> int:
    """The level that a ceremony has to reach."""
    return max(LEVELS[AAL2], LEVELS[state.acr], has.level if state.kind is FlowKind.SIGN_IN else 0)


def next_step(state: State, has: Has) -> Step:
    """What a ceremony asks for next."""
    if not state.name:
        return Step.PASSWORD
    if state.kind is FlowKind.BIND:
        return _after_enrolment(state) if state.enrolled else Step.ENROL
    shown = set(state.shown)
    level = LEVELS[state.proof.acr] if shown else 0
    if state.began in {Began.INVITE, Began.ALL}:
        if not (state.new_password or state.enrolled):
            return Step.NEW_PASSWORD
        if not state.enrolled:
            return Step.ENROL
    elif state.began is Began.PASSWORD:
        if not shown & (PASSKEYS | {Factor.CODE}):
            return Step.SECOND_FACTOR
        if Factor.PASSWORD not in shown:
            return Step.NEW_PASSWORD
    elif level < LEVELS[AAL2]:
        if not shown & FIRST:
            return Step.PASSWORD
        if Factor.RECOVERY not in shown and has.laboratory:
            return Step.DONE
        if Factor.RECOVERY in shown or not (has.code or has.passkeys):
            return Step.ENROL
        return Step.SECOND_FACTOR
    if demanded(state, has) >= LEVELS[AAL3] > level:
        return Step.PASSKEY if has.bound else Step.ENROL
    return _after_enrolment(state)


def _after_enrolment(state: State) -> Step:
    return Step.RECOVERY_CODES if state.codes else Step.DONE


@dataclass(frozen=True, slots=True)
class Flow:
    """A ceremony as it was read.

    Attributes:
        version: what a change has to find.
    """

    tenant: str
    hash: bytes
    version: int
    state: State


class Flows:
    """Ceremonies of all tenants.

    Args:
        db: connection for reading, of the calling thread.
        keys_of: keys of a tenant by its name.
        clock: the time.
    """

    def __init__(self, db: Connection, keys_of: KeysOf, clock: Clock) -> None:
        self._db = db
        self._keys_of = keys_of
        self._clock = clock

    def begin(self, unit: Unit, tenant: str, state: State) -> tuple[str, Flow]:
        """Put a ceremony down; returns the browser's secret."""
        secret = secrets.token_urlsafe(32)
        keys, hashed = self._keys_of(tenant), self._hash(tenant, secret)
        values: Values = (tenant, hashed, state.ends, seal_row(keys, "flow", hashed, state))
        add(unit, Statement("insert into flow(tenant, hash, version, ends, sealed) values(?,?,1,?,?)", values))
        return secret, Flow(tenant, hashed, 1, state)

    def find(self, tenant: str, secret: str) -> Flow:
        """The ceremony of a secret.

        Raises:
            Problem: UNAUTHENTICATED when there is none, or it is over.
        """
        hashed = self._hash(tenant, secret)
        row = self._db.execute(
            "select version, sealed from flow where tenant = ? and hash = ? and ends > ?",
            (tenant, hashed, self._clock.now_ms()),
        ).fetchone()
        if row is None:
            raise over()
        return Flow(tenant, hashed, row[0], open_row(self._keys_of(tenant), "flow", hashed, row[1], State))

    def go_on(self, unit: Unit, flow: Flow, state: State) -> Flow:
        """Replace what is known; of two that go on at the same moment the commit of one fails."""
        sealed = seal_row(self._keys_of(flow.tenant), "flow", flow.hash, state)
        where: Values = (flow.tenant, flow.hash, flow.version)
        condition = "tenant = ? and hash = ? and version = ?"
        guard = Guard(f"select 1 from flow where {condition}", where, over())
        update = f"update flow set version = version + 1, sealed = ? where {condition}"
        add(unit, Statement(update, (sealed, *where), guard))
        return Flow(flow.tenant, flow.hash, flow.version + 1, state)

    def end(self, unit: Unit, flow: Flow) -> None:
        """It is done; nobody else may end it at the same moment."""
        where: Values = (flow.tenant, flow.hash, flow.version)
        condition = "tenant = ? and hash = ? and version = ?"
        guard = Guard(f"select 1 from flow where {condition}", where, over())
        add(unit, Statement(f"delete from flow where {condition}", where, guard))

    def _hash(self, tenant: str, secret: str) -> bytes:
        return keyed_hash(self._keys_of(tenant), "identity-flow", secret)


def over() -> Problem:
    """A ceremony that is not there any more."""
    return Problem(Kind.UNAUTHENTICATED, "This sign-in is over. Please begin again.", "ceremony over")
