# SPDX-License-Identifier: Apache-2.0
"""Keys that sign id_tokens: RS256, which SMART demands, and ES256, one of each in use per tenant.

    pending   published, not used yet: whoever keeps a copy of the set learns of it in time
    active    signs
    retired   still published, until everything that it signed has expired; its private part is gone

Private keys are kept sealed under the tenant's keys. A change of state is guarded: of two processes that rotate at the
same moment one does.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc import jwk, jwt

from salus.crypto.envelope import SealingKey
from salus.identity.accounts.store import Guard, Statement, Values, add
from salus.identity.accounts.users import KeysOf
from salus.identity.oauth.store import lost_race
from salus.kernel.clock import Clock
from salus.kernel.commit import Unit
from salus.kernel.db import Connection
from salus.kernel.errors import Kind, Problem

ALGORITHMS = ("RS256", "ES256")
PUBLISHED_MS = 24 * 3600 * 1000
"""For so long a key is published before it signs, and after it has signed for the last time."""

_RSA_BITS = 2048  # 112 bits of strength (NIST SP 800-57 part 1), for 90 days
_PLACE = "oauth-signing-key"


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key as it is listed; the private part is not in it.

    Attributes:
        kid: its thumbprint (RFC 7638).
        algorithm: `RS256` or `ES256`.
        state: `pending`, `active` or `retired`.
        since_ms: when that state began, milliseconds since the epoch.
        public: the JWK that is published.
    """

    kid: str
    algorithm: str
    state: str
    since_ms: int
    public: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Fresh:
    """A key that was made and is not kept yet."""

    kid: str
    algorithm: str
    public: str
    private: bytes


class SigningKeys:
    """The signing keys of all tenants.

    Args:
        db: connection for reading, of the calling thread.
        keys_of: keys of a tenant by its name.
        clock: the time.
        rotate_ms: age at which an active key is replaced.
    """

    def __init__(self, db: Connection, keys_of: KeysOf, clock: Clock, rotate_ms: int) -> None:
        self._db = db
        self._keys_of = keys_of
        self._clock = clock
        self._rotate_ms = rotate_ms
        self._opened: dict[tuple[str, str], jwk.RSAKey | jwk.ECKey] = {}

    def all(self, tenant: str) -> list[SigningKey]:
        """Every key that is published, the newest state first."""
        rows = self._db.execute(
            "select kid, algorithm, state, since, public from oauth_signing_key where tenant = ?", (tenant,)
        )
        keys = [
            SigningKey(kid, algorithm, state, since, msgspec.json.decode(public))
            for kid, algorithm, state, since, public in rows
        ]
        return sorted(keys, key=lambda key: (ALGORITHMS.index(key.algorithm), -key.since_ms))

    def jwks(self, tenant: str) -> dict[str, Any]:
        """The set that is published (RFC 7517 section 5): all states, bare keys."""
        return {"keys": [key.public for key in self.all(tenant)]}

    def sign(self, tenant: str, algorithm: str, claims: dict[str, Any]) -> str:
        """Sign claims as a JWT with the active key.

        Raises:
            Problem: UNAVAILABLE when there is none yet; `due` says what has to be made.
        """
        row = self._db.execute(
            "select kid, sealed from oauth_signing_key where tenant = ? and algorithm = ? and state = 'active'",
            (tenant, algorithm),
        ).fetchone()
        if row is None:
            raise Problem(Kind.UNAVAILABLE, "There is no signing key yet.", f"no active key {algorithm}", retry_after=2)
        key = self._key(tenant, algorithm, *row)
        return jwt.encode({"alg": algorithm, "kid": row[0]}, claims, key, algorithms=[algorithm])

    def due(self, tenant: str) -> dict[str, list[str]]:
        """What has to be done now, by algorithm: `make` a first or a pending key, `activate`, `remove`."""
        now, todo = self._clock.now_ms(), {}
        for algorithm in ALGORITHMS:
            mine = [key for key in self.all(tenant) if key.algorithm == algorithm]
            by_state = {key.state: key for key in mine}
            active, pending = by_state.get("active"), by_state.get("pending")
            steps = []
            if active is None or (pending is None and now - active.since_ms >= self._rotate_ms - PUBLISHED_MS):
                steps.append("make")
            elif pending is not None and now - pending.since_ms >= PUBLISHED_MS:
                steps.append("activate")
            if any(key.state == "retired" and now - key.since_ms >= PUBLISHED_MS for key in mine):
                steps.append("remove")
            if steps:
                todo[algorithm] = steps
        return todo

    async def make(self, algorithm: str) -> Fresh:
        """Make a key, off the event loop."""
        return await asyncio.to_thread(_make, algorithm)

    def keep(self, unit: Unit, tenant: str, fresh: Fresh, *, at_once: bool = False) -> str:
        """Keep a fresh key: as the active one when there is none, else as pending.

        Args:
            at_once: retire the active key now, because it may be known to others; copies of the set may be a day old.

        Returns:
            Words for the audit log. The commit fails with CONFLICT when another process was first.
        """
        active = self._db.execute(
            "select kid from oauth_signing_key where tenant = ? and algorithm = ? and state = 'active'",
            (tenant, fresh.algorithm),
        ).fetchone()
        state = "pending" if active is not None and not at_once else "active"
        if active is not None and at_once:
            self._retire(unit, tenant, active[0])
        sealed = self._sealer(tenant).seal(fresh.private, (_PLACE, tenant, fresh.kid))
        taken: Values = (tenant, fresh.algorithm, state)
        free = "select 1 where not exists (select 1 from oauth_signing_key where tenant=? and algorithm=? and state=?)"
        guard = None if at_once and active is not None else Guard(free, taken, lost_race("a signing key was made"))
        columns = "tenant, kid, algorithm, state, since, public, sealed"
        insert = f"insert into oauth_signing_key({columns}) values(?,?,?,?,?,?,?)"
        values = (tenant, fresh.kid, fresh.algorithm, state, self._clock.now_ms(), fresh.public, sealed)
        add(unit, Statement(insert, values, guard))
        return f"{fresh.algorithm} key {fresh.kid} {state}"

    def activate(self, unit: Unit, tenant: str, algorithm: str) -> str:
        """Put the pending key to use and retire the active one; words for the audit log.

        Raises:
            Problem: CONFLICT when there is no pending key.
        """
        keys = {key.state: key for key in self.all(tenant) if key.algorithm == algorithm}
        if "pending" not in keys:
            raise Problem(Kind.CONFLICT, "There is no pending key.")
        pending = keys["pending"]
        if "active" in keys:
            self._retire(unit, tenant, keys["active"].kid)
        where: Values = (tenant, pending.kid)
        waits = "select 1 from oauth_signing_key where tenant = ? and kid = ? and state = 'pending'"
        update = "update oauth_signing_key set state = 'active', since = ? where tenant = ? and kid = ?"
        guard = Guard(waits, where, lost_race("a signing key was put to use"))
        add(unit, Statement(update, (self._clock.now_ms(), *where), guard))
        return f"{algorithm} key {pending.kid} active"

    def remove(self, unit: Unit, tenant: str, algorithm: str) -> str:
        """Stop publishing retired keys whose signatures have all expired; words for the audit log."""
        before = self._clock.now_ms() - PUBLISHED_MS
        condition = "tenant = ? and algorithm = ? and state = 'retired' and since <= ?"
        add(unit, Statement(f"delete from oauth_signing_key where {condition}", (tenant, algorithm, before)))
        return f"{algorithm} retired keys removed"

    def _retire(self, unit: Unit, tenant: str, kid: str) -> None:
        where: Values = (tenant, kid)
        signs = "select 1 from oauth_signing_key where tenant = ? and kid = ? and state = 'active'"
        update = "update oauth_signing_key set state = 'retired', since = ?, sealed = x'' where tenant = ? and kid = ?"
        guard = Guard(signs, where, lost_race("a signing key was retired"))
        add(unit, Statement(update, (self._clock.now_ms(), *where), guard))

    def _key(self, tenant: str, algorithm: str, kid: str, sealed: bytes) -> jwk.RSAKey | jwk.ECKey:
        known = self._opened.get((tenant, kid))
        if known is None:
            der = self._sealer(tenant).open(sealed, (_PLACE, tenant, kid))
            known = _imported(algorithm, der)
            self._keep_opened(tenant, kid, known)
        return known

    def _keep_opened(self, tenant: str, kid: str, key: jwk.RSAKey | jwk.ECKey) -> None:
        self._opened[tenant, kid] = key
        self._keys_of(tenant).when_forgotten(self._opened.clear)  # with the tenant's keys goes what was made from them

    def _sealer(self, tenant: str) -> SealingKey:
        return self._keys_of(tenant).sealer("oauth")


def _make(algorithm: str) -> Fresh:
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
    if algorithm == "RS256":
        key = rsa.generate_private_key(65537, _RSA_BITS)
    else:
        key = ec.generate_private_key(ec.SECP256R1())
    der = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    made = _imported(algorithm, der)
    kid = made.thumbprint()
    public = {**made.as_dict(private=False), "kid": kid, "alg": algorithm, "use": "sig"}
    return Fresh(kid, algorithm, msgspec.json.encode(public).decode(), der)


def _imported(algorithm: str, der: bytes) -> jwk.RSAKey | jwk.ECKey:
    return jwk.import_key(der, "RSA") if algorithm == "RS256" else jwk.import_key(der, "EC")
