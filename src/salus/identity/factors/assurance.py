# SPDX-License-Identifier: Apache-2.0
"""How surely somebody was recognised: pure rules over factors, levels and times.

Levels are those of NIST SP 800-63B-4. AAL2 takes two different factors, or a passkey that verified its user; AAL3
takes a passkey whose key cannot leave its device (the BE flag is not set). What was used is told in the words of RFC
8176, and what is missing in those of RFC 9470.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from salus.kernel.errors import Kind, Problem

AAL1, AAL2, AAL3 = "urn:salus:aal1", "urn:salus:aal2", "urn:salus:aal3"
LEVELS: dict[str, int] = {"": 0, AAL1: 1, AAL2: 2, AAL3: 3}
"""Level by `acr`; nothing else is a level."""

FRESH_SECONDS = 300
"""How young a proof has to be before an act that gives or takes power (a factor, a role, an account)."""

_HOUR_MS = 3600 * 1000
_MINUTE_MS = 60 * 1000


class Factor(StrEnum):
    """One thing that was shown."""

    PASSWORD = "password"  # noqa: S105  the name of a factor
    CODE = "code"  # of an authenticator application
    BOUND_PASSKEY = "bound-passkey"  # its key stays in one device
    SYNCED_PASSKEY = "synced-passkey"
    ELSEWHERE = "elsewhere"  # an identity provider of others vouches for them: a first factor
    ELSEWHERE_TWICE = "elsewhere-twice"  # one that is trusted for two factors, and says that it asked for two
    RECOVERY = "recovery"  # a saved code, or one that an administrator had made


_AMR: dict[Factor, tuple[str, ...]] = {
    Factor.PASSWORD: ("pwd",),
    Factor.CODE: ("otp",),
    Factor.BOUND_PASSKEY: ("hwk", "user"),
    Factor.SYNCED_PASSKEY: ("swk", "user"),
    Factor.ELSEWHERE: ("fed",),
    Factor.ELSEWHERE_TWICE: ("fed",),
    Factor.RECOVERY: ("rc",),
}
FIRST = frozenset({Factor.PASSWORD, Factor.ELSEWHERE})
"""What a ceremony may begin with, and has to be followed by another factor."""

PASSKEYS = frozenset({Factor.BOUND_PASSKEY, Factor.SYNCED_PASSKEY})


@dataclass(frozen=True, slots=True)
class Proof:
    """That somebody is who they say they are.

    Attributes:
        amr: what was used (RFC 8176; `rc` for a recovery code).
        acr: the level reached.
        at_ms: when the last factor was shown, milliseconds since the epoch.
    """

    amr: tuple[str, ...]
    acr: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a session lasts, in milliseconds: in all, and without a sign of life."""

    overall_ms: int
    idle_ms: int


# NIST SP 800-63B-4 sections 2.2.3 and 2.3.3.
_AAL2_LIMITS = Limits(24 * _HOUR_MS, _HOUR_MS)
_AAL3_LIMITS = Limits(12 * _HOUR_MS, 15 * _MINUTE_MS)


@dataclass(frozen=True, slots=True)
class Demand:
    """What an act asks of whoever does it.

    Attributes:
        acr: the level; empty for any.
        max_age: how many seconds ago the last proof may have been; 0 for any time in the session.
    """

    acr: str = ""
    max_age: int = 0


FRESH = Demand(AAL2, FRESH_SECONDS)
"""Before dangerous acts: two factors, shown a moment ago."""


def prove(factors: Iterable[Factor], at_ms: int) -> Proof:
    """What a set of shown factors proves.

    Args:
        factors: what was shown in one sign-in, each found right.
        at_ms: when the last of them was shown.
    """
    shown = set(factors)
    words = [word for factor in Factor if factor in shown for word in _AMR[factor]]
    alone = PASSKEYS | {Factor.ELSEWHERE_TWICE}
    multi = bool(shown & alone) or (bool(shown & FIRST) and Factor.CODE in shown)
    acr = AAL3 if Factor.BOUND_PASSKEY in shown else AAL2 if multi else AAL1
    return Proof(tuple(dict.fromkeys([*words, "mfa"] if multi else words)), acr, at_ms)


def limits(level: int) -> Limits:
    """How long a session lasts for somebody whose roles demand a level."""
    return _AAL3_LIMITS if level >= LEVELS[AAL3] else _AAL2_LIMITS


def meets(demand: Demand, acr: str, proved_ms: int, now_ms: int) -> bool:
    """Whether what was proved is enough; an unknown `acr` never is."""
    if LEVELS.get(acr, 0) < LEVELS[demand.acr]:
        return False
    return not demand.max_age or 0 <= now_ms - proved_ms <= demand.max_age * 1000


def insufficient(demand: Demand) -> Problem:
    """The answer to somebody who proved too little, or too long ago (RFC 9470 section 3)."""
    parts = ['error="insufficient_user_authentication"', 'error_description="Show your second factor again."']
    if demand.acr:
        parts.append(f'acr_values="{demand.acr}"')
    if demand.max_age:
        parts.append(f"max_age={demand.max_age}")
    words = "Show your second factor again before this."
    if demand.acr == AAL3:
        words = "This needs a passkey that is bound to one device, used a moment ago."
    return Problem(Kind.UNAUTHENTICATED, words, "insufficient user authentication", challenge=", ".join(parts))
