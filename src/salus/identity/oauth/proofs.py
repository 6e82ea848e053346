# SPDX-License-Identifier: Apache-2.0
"""Proofs of possession in use: the server's nonces, and that no proof is taken twice (RFC 9449 sections 8, 9 and 11.1).

A nonce is the keyed hash of a span of time, so that all processes know it and none keeps it; that of the span before
is taken as well, so one lives for two and a half to five minutes. Proofs that were seen are kept in the database as
long as they could be shown again, and the first who commits one wins, whichever process it came to.
"""

from __future__ import annotations

import base64
import hashlib
from hmac import compare_digest

from salus.identity.accounts.store import Guard, Statement, add
from salus.identity.accounts.users import KeysOf
from salus.identity.oauth.dpop import WINDOW_SECONDS, Proof, verify
from salus.identity.oauth.errors import OAuthError
from salus.kernel.clock import Clock
from salus.kernel.commit import Unit
from salus.kernel.db import Connection
from salus.kernel.errors import Kind, Problem

_SPAN_MS = 150_000


class Proofs:
    """Judges proofs for all tenants.

    Args:
        db: connection for reading, of the calling thread.
        keys_of: keys of a tenant by its name.
        clock: the time.
    """

    def __init__(self, db: Connection, keys_of: KeysOf, clock: Clock) -> None:
        self._db = db
        self._keys_of = keys_of
        self._clock = clock

    def nonce(self, tenant: str) -> str:
        """The nonce to give out now."""
        return self._nonce(tenant, self._clock.now_ms() // _SPAN_MS)

    def judge(self, unit: Unit, tenant: str, proof: str, method: str, address: str, token: str = "") -> Proof:
        """Judge a proof and use it up.

        Args:
            unit: takes the change; commit it before anything is answered. The commit fails with UNAUTHENTICATED when
                the proof was shown elsewhere at the same moment.
            proof: the header `DPoP`.
            method: of the request.
            address: of the request.
            token: the access token that is sent along; empty at the token endpoint.

        Raises:
            OAuthError: as `dpop.verify`, and for a proof that was seen before.
        """
        held = verify(
            proof,
            method=method,
            address=address,
            now=self._clock.now_ms() // 1000,
            nonce_fits=lambda nonce: self._fits(tenant, nonce),
            token=token,
        )
        seen = hashlib.sha256(f"{tenant}\n{held.jkt}\n{held.jti}".encode("utf-8", "surrogatepass")).digest()
        fresh = "select 1 where not exists (select 1 from oauth_proof where hash = ?)"
        if self._db.execute(fresh, (seen,)).fetchone() is None:
            raise OAuthError("invalid_dpop_proof", "The proof was used before.", detail="proof replayed")
        again = Problem(Kind.UNAUTHENTICATED, "The proof was used before.", "proof replayed")
        expires = (held.issued + WINDOW_SECONDS + 1) * 1000
        insert = "insert or ignore into oauth_proof(hash, expires) values(?,?)"
        add(unit, Statement(insert, (seen, expires), Guard(fresh, (seen,), again)))
        return held

    def _fits(self, tenant: str, nonce: str) -> bool:
        span = self._clock.now_ms() // _SPAN_MS
        given = nonce.encode("utf-8", "surrogatepass")
        return any(compare_digest(given, self._nonce(tenant, number).encode()) for number in (span, span - 1))

    def _nonce(self, tenant: str, span: int) -> str:
        mac = self._keys_of(tenant).mac("oauth-dpop-nonce").copy()
        mac.update(span.to_bytes(8, "big"))
        return base64.urlsafe_b64encode(mac.finalize()[:24]).decode()
