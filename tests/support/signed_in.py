# SPDX-License-Identifier: Apache-2.0
"""Somebody of the clinic who has just shown a security key: what dangerous acts ask for."""

from __future__ import annotations

from salus.identity.factors.assurance import Factor, prove
from salus.kernel.commit import Unit
from tests.support.clinic import PEOPLE, Client, Clinic


def just_proved(clinic: Clinic, name: str) -> Client:
    """A token of `name`, recognised by a passkey bound to its device a moment ago."""
    user = clinic.house.users.find("default", name)
    assert user is not None

    async def begin() -> str:
        unit = Unit()
        proof = prove([Factor.BOUND_PASSKEY], clinic.house.clock.now_ms())
        _, session = clinic.house.sessions.begin(unit, user, proof, purpose=PEOPLE[name][1])
        token, _ = clinic.house.tokens.issue(unit, user, session.purpose, session=session)
        await clinic.house.writer.submit(unit)
        return token

    return Client(clinic, {"authorization": f"Bearer {clinic.run(begin())}"})
