# SPDX-License-Identifier: Apache-2.0
"""Ties the sign-in routes for programs to `salus.identity`."""

from __future__ import annotations

from salus.app.house import House
from salus.identity.sessions import Session
from salus.kernel.actor import Actor
from salus.kernel.commit import Unit


class Signing:
    """What `salus.http.auth_api` asks for, from the rooms of one house."""

    def __init__(self, house: House) -> None:
        self._house = house

    async def sign_in(
        self, unit: Unit, tenant: str, name: str, password: str, code: str, *, purpose: str, device: str, address: str
    ) -> Session:
        """Judge name, password and code, and begin a session; raises as `SignIn.at_once`."""
        done = await self._house.people.sign_in.at_once(
            unit, tenant, name, password, code, purpose=purpose, device=device, address=address
        )
        return done.session

    def issue(self, unit: Unit, session: Session) -> tuple[str, int]:
        """Issue the token of a session: its text, and its life in seconds; raises as `Tokens.issue`."""
        token, record = self._house.tokens.issue(unit, session.user, session.purpose, session=session)
        return token, (record.expires_ms - record.created_ms) // 1000

    def revoke(self, unit: Unit, actor: Actor) -> None:
        """End a token, and the session that bears its name."""
        self._house.tokens.revoke(unit, actor.tenant, actor.session)
        if actor.acr:
            self._house.sessions.end(unit, actor.tenant, actor.session)
