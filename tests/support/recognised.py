# SPDX-License-Identifier: Apache-2.0
"""People of a clinic who were recognised by factors, with a token of their session."""

from __future__ import annotations

from salus.identity.factors.assurance import Factor, prove
from salus.kernel.commit import Unit
from tests.support.clinic import Client, Clinic

PASSKEY = (Factor.BOUND_PASSKEY,)
PASSWORD_AND_CODE = (Factor.PASSWORD, Factor.CODE)


def recognised(
    clinic: Clinic,
    name: str,
    *roles: str,
    factors: tuple[Factor, ...] = PASSKEY,
    purpose: str = "HOPERAT",
    seconds_ago: int = 0,
) -> Client:
    """Somebody (made if need be) who has just signed in with these factors."""
    people = clinic.house.people
    user = people.users.find("default", name)
    if user is None:
        unit = Unit()
        people.users.add_person(unit, "default", name, roles=roles, display=name.title())
        clinic.run(clinic._commit(unit))
        user = people.users.find("default", name)
    assert user is not None
    unit = Unit()
    proof = prove(factors, clinic.house.clock.now_ms() - seconds_ago * 1000)
    _, session = people.sessions.begin(unit, user, proof, purpose=purpose, device="test", address="127.0.0.9")
    clinic.run(clinic._commit(unit))
    unit = Unit()
    token, _ = clinic.house.tokens.issue(unit, user, purpose, session=session)
    clinic.run(clinic._commit(unit))
    return Client(clinic, {"authorization": f"Bearer {token}"})
