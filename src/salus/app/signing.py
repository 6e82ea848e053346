# SPDX-License-Identifier: Apache-2.0
"""Ties the sign-in routes to `salus.identity`."""

from __future__ import annotations

from salus.app.house import House
from salus.kernel.actor import Actor
from salus.kernel.commit import Unit
from salus.kernel.errors import Kind, Problem


class Signing:
    """What `salus.http.auth_api` asks for, from the rooms of one house."""

    def __init__(self, house: House) -> None:
        self._house = house

    async def sign_in(self, unit: Unit, tenant: str, name: str, password: str, code: str) -> Actor:
        """Judge name, password and code; raises as `SignIn.sign_in`."""
        user = await self._house.sign_in.sign_in(unit, tenant, name, password, code)
        return Actor(user.tenant, user.id, user.kind, user.roles, "", user.party)

    def issue(self, unit: Unit, actor: Actor, purpose: str) -> tuple[str, str, int]:
        """Issue a token: its text, its id, and its life in seconds; raises as `Tokens.issue`."""
        user = self._house.users.find(actor.tenant, actor.id)
        if user is None:
            raise Problem(Kind.UNAUTHENTICATED, "The sign-in was refused.")
        token, record = self._house.tokens.issue(unit, user, purpose)
        return token, record.id, (record.expires_ms - record.created_ms) // 1000

    def revoke(self, unit: Unit, tenant: str, session: str) -> None:
        """End a token."""
        self._house.tokens.revoke(unit, tenant, session)
