# SPDX-License-Identifier: Apache-2.0
"""Authorization codes: 256 random bits, for one minute and one use.

A code is bound to the application, the redirect address, the proof key, the FHIR base, the session and, where one was
named, the key of its token (RFC 9449 section 10). Shown a second time it ends what it gave (RFC 6749 section 4.1.2),
and shown with anything that does not fit it is worth nothing any more.
"""

from __future__ import annotations

from hmac import compare_digest

import msgspec

from salus.identity.accounts.profile import handle_of
from salus.identity.accounts.store import Guard, Statement, add
from salus.identity.accounts.users import KeysOf
from salus.identity.oauth import pkce
from salus.identity.oauth.errors import OAuthError, Reused
from salus.identity.oauth.grants import Allowed, Grants
from salus.identity.oauth.request import Asked
from salus.identity.oauth.store import hashed, lost_race, new_secret, seal, unseal
from salus.kernel.clock import Clock
from salus.kernel.commit import Unit
from salus.kernel.db import Connection
from salus.kernel.ids import uuid7

LIFETIME_MS = 60_000
PREFIX = "salus-code_"


class Code(msgspec.Struct, frozen=True, array_like=True):
    """What a code stands for.

    Attributes:
        grant: id that the grant will have.
        redirect_uri, challenge, nonce, jkt: of the request.
        allowed: what was allowed.
    """

    grant: str
    redirect_uri: str
    challenge: str
    nonce: str
    jkt: str
    allowed: Allowed


class Codes:
    """Makes and redeems codes.

    Args:
        db: connection for reading, of the calling thread.
        keys_of: keys of a tenant by its name.
        clock: the time.
        grants: ended by a code that is shown again.
    """

    def __init__(self, db: Connection, keys_of: KeysOf, clock: Clock, grants: Grants) -> None:
        self._db = db
        self._keys_of = keys_of
        self._clock = clock
        self._grants = grants

    def issue(self, unit: Unit, tenant: str, asked: Asked, allowed: Allowed) -> str:
        """Make a code; give it out only when the unit is durable."""
        keys, code = self._keys_of(tenant), new_secret(PREFIX)
        name = hashed(keys, "code", code)
        kept = Code(uuid7(), asked.redirect_uri, asked.challenge, asked.nonce, asked.dpop_jkt, allowed)
        values = (
            tenant,
            name,
            kept.grant,
            handle_of(keys, allowed.user),
            self._clock.now_ms() + LIFETIME_MS,
            seal(keys, "code", name, kept),
        )
        insert = "insert into oauth_code(tenant, hash, grant_id, handle, expires, used, sealed) values(?,?,?,?,?,0,?)"
        add(unit, Statement(insert, values))
        return code

    def redeem(
        self, unit: Unit, tenant: str, code: str, client_id: str, redirect_uri: str, verifier: str, jkt: str
    ) -> Code:
        """Use a code up.

        Args:
            unit: takes the change, in the good case and in the bad: commit it also when this raises.
            code: as received.
            client_id: of the application that was authenticated.
            redirect_uri: as the token request repeats it (SMART App Launch 2.2 demands it; OAuth 2.1 has dropped it).
            verifier: of the proof key.
            jkt: thumbprint of the key that was proved; empty for none.

        Returns:
            What it stands for. The commit fails with CONFLICT when it is redeemed elsewhere at the same moment.

        Raises:
            OAuthError: invalid_grant; invalid_request for a verifier that is missing.
        """
        if not verifier:
            raise OAuthError("invalid_request", "code_verifier is missing.")
        keys = self._keys_of(tenant)
        name = hashed(keys, "code", code)
        row = self._db.execute(
            "select grant_id, expires, used, sealed from oauth_code where tenant = ? and hash = ?", (tenant, name)
        ).fetchone()
        if row is None:
            raise _refused("unknown code")
        grant, expires, used, sealed = row
        kept = unseal(keys, "code", name, sealed, Code)
        if used:
            self._grants.end(unit, tenant, grant)
            raise Reused("invalid_grant", "The code is not valid.", detail="code used twice")
        self._use(unit, tenant, name)
        if self._clock.now_ms() >= expires:
            raise _refused("code expired")
        if not compare_digest(kept.allowed.client.encode(), client_id.encode()):
            raise _refused("code of another application")
        if kept.redirect_uri != redirect_uri:
            raise _refused("code with another redirect_uri")
        if not pkce.fits(verifier, kept.challenge):
            raise _refused("code_verifier does not fit")
        if kept.jkt and kept.jkt != jkt:
            raise _refused("code bound to another key")
        return kept

    def _use(self, unit: Unit, tenant: str, name: bytes) -> None:
        where = (tenant, name)
        fresh = "select 1 from oauth_code where tenant = ? and hash = ? and used = 0"
        guard = Guard(fresh, where, lost_race("code redeemed elsewhere"))
        used = "update oauth_code set used = ? where tenant = ? and hash = ? and used = 0"
        add(unit, Statement(used, (self._clock.now_ms(), *where), guard))


def _refused(detail: str) -> OAuthError:
    return OAuthError("invalid_grant", "The code is not valid.", detail=detail)
