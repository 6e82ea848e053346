# SPDX-License-Identifier: Apache-2.0
"""Refresh tokens: each works once and gives the next; used twice, the whole grant ends (OAuth 2.1 section 4.3.1).

Who is first is decided inside the commit, by one statement that finds the token unused, never by reading and then
writing: of any number of requests at the same moment, in any number of processes, one gives the next token. The
others, and whoever did not receive the answer, get that same answer again for ten seconds, if they are the same
application with the same key and the same program; the answer is kept sealed for so long. After that a used token is a
sign of theft.
"""

from __future__ import annotations

import msgspec

from salus.identity.accounts.store import Guard, Statement, Values, add
from salus.identity.accounts.users import KeysOf
from salus.identity.oauth.errors import OAuthError, Reused
from salus.identity.oauth.grants import Grant, Grants, Lifetimes
from salus.identity.oauth.store import GRACE_MS, hashed, lost_race, new_secret, seal, unseal
from salus.kernel.clock import Clock
from salus.kernel.commit import Unit
from salus.kernel.db import Connection

PREFIX = "salus-refresh_"

_INSERT = "insert into oauth_refresh(tenant, hash, grant_id, generation, expires, used) values(?,?,?,?,?,0)"


class Successor(msgspec.Struct, frozen=True, array_like=True):
    """What a refresh token was exchanged for.

    Attributes:
        answer: the token response, as JSON.
        expires: of its access token, milliseconds since the epoch.
        by: what the exchange was proved with; the answer is given again to nobody else.
    """

    answer: bytes
    expires: int
    by: bytes


class Held(msgspec.Struct, frozen=True):
    """A refresh token that may be exchanged.

    Attributes:
        name: hash of the token.
        grant: to which it belongs.
        generation: how many came before it.
        again: what it was exchanged for a moment ago, when it was.
    """

    name: bytes
    grant: Grant
    generation: int
    again: Successor | None = None


class RefreshTokens:
    """Refresh tokens of all tenants.

    Args:
        db: connection for reading, of the calling thread.
        keys_of: keys of a tenant by its name.
        clock: the time.
        grants: ended by a token that is used twice.
        lifetimes: how long tokens live.
    """

    def __init__(self, db: Connection, keys_of: KeysOf, clock: Clock, grants: Grants, lifetimes: Lifetimes) -> None:
        self._db = db
        self._keys_of = keys_of
        self._clock = clock
        self._grants = grants
        self._lifetimes = lifetimes

    def first(self, unit: Unit, grant: Grant) -> str:
        """The first token of a grant; give it out only when the unit is durable."""
        token = new_token()
        self._insert(unit, grant, token, 1)
        return token

    def hold(self, unit: Unit, tenant: str, token: str, client_id: str, jkt: str, by: bytes) -> Held:
        """Find the grant of a token, and whether the token may be exchanged.

        Args:
            unit: takes the end of a grant whose token was used twice: commit it also when this raises.
            token: as received.
            client_id: of the application that was authenticated.
            jkt: thumbprint of the key that was proved; empty for none.
            by: what the exchange is proved with (see `Successor`).

        Raises:
            OAuthError: invalid_grant.
        """
        keys = self._keys_of(tenant)
        name = hashed(keys, "refresh", token)
        row = self._db.execute(
            "select grant_id, generation, expires, used, successor from oauth_refresh where tenant = ? and hash = ?",
            (tenant, name),
        ).fetchone()
        if row is None:
            raise refused("unknown refresh token")
        id_, generation, expires, used, successor = row
        grant, now = self._grants.find(tenant, id_), self._clock.now_ms()
        if grant is None or now >= expires:
            raise refused("the grant is over")
        if grant.allowed.client != client_id:
            self._grants.end(unit, tenant, id_)
            raise refused("refresh token of another application: the grant has ended")
        if grant.allowed.jkt and grant.allowed.jkt != jkt:
            self._grants.end(unit, tenant, id_)
            raise refused("refresh token bound to another key: the grant has ended")
        if not used:
            return Held(name, grant, generation)
        kept = None
        if successor is not None and 0 <= now - used < GRACE_MS:
            kept = unseal(keys, "successor", name, successor, Successor)
        if kept is None or kept.by != by:
            self._grants.end(unit, tenant, id_)
            raise Reused("invalid_grant", "The refresh token is not valid.", detail="refresh token used twice")
        return Held(name, grant, generation, kept)

    def exchange(self, unit: Unit, held: Held, token: str, successor: Successor) -> None:
        """Use a token up and keep the next one.

        Args:
            token: the next one, from `new_token`.
            successor: the answer that holds it.

        The commit fails with CONFLICT when it is exchanged elsewhere at the same moment: then `hold` it again.
        """
        tenant = held.grant.tenant
        sealed = seal(self._keys_of(tenant), "successor", held.name, successor)
        where: Values = (tenant, held.name)
        unused = "tenant = ? and hash = ? and used = 0"
        lives = f"select 1 from oauth_refresh where {unused}"
        update = f"update oauth_refresh set used = ?, successor = ? where {unused}"
        guard = Guard(lives, where, lost_race("refresh token exchanged elsewhere"))
        add(unit, Statement(update, (self._clock.now_ms(), sealed, *where), guard))
        self._insert(unit, held.grant, token, held.generation + 1)

    def grant_of(self, tenant: str, token: str) -> Grant | None:
        """The grant of a token, used or not, that lives; for introspection and revocation."""
        name = hashed(self._keys_of(tenant), "refresh", token)
        row = self._db.execute(
            "select grant_id from oauth_refresh where tenant = ? and hash = ?", (tenant, name)
        ).fetchone()
        return None if row is None else self._grants.find(tenant, row[0])

    def expiry(self, tenant: str, token: str) -> int:
        """When an unused token ends, milliseconds since the epoch; 0 when it is used or unknown."""
        name = hashed(self._keys_of(tenant), "refresh", token)
        row = self._db.execute(
            "select expires from oauth_refresh where tenant = ? and hash = ? and used = 0", (tenant, name)
        ).fetchone()
        return row[0] if row else 0

    def until(self, grant: Grant) -> int:
        """When a refresh token that is made now ends: by not being used, at the latest with the whole."""
        whole = grant.allowed.created + self._lifetimes.grant_ms
        return min(self._clock.now_ms() + self._lifetimes.refresh_ms, whole)

    def _insert(self, unit: Unit, grant: Grant, token: str, generation: int) -> None:
        name, expires = hashed(self._keys_of(grant.tenant), "refresh", token), self.until(grant)
        add(unit, Statement(_INSERT, (grant.tenant, name, grant.id, generation, expires)))
        self._grants.extend(unit, grant, expires)


def new_token() -> str:
    """A token that nobody has yet."""
    return new_secret(PREFIX)


def refused(detail: str) -> OAuthError:
    """The one answer to a refresh token that is not good."""
    return OAuthError("invalid_grant", "The refresh token is not valid.", detail=detail)
