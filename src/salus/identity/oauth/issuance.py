# SPDX-License-Identifier: Apache-2.0
"""What an application is given: access token, id_token, and the context of its launch beside them.

SMART App Launch 2.2 "Obtain access token" and "Launch context"; OpenID Connect Core 2 and 3.1.3.3.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from typing import Any

from salus.identity.accounts.users import KeysOf, User
from salus.identity.oauth.grants import Allowed, Grant, Grants, Lifetimes
from salus.identity.oauth.parties import Client
from salus.identity.oauth.signing import SigningKeys
from salus.identity.tokens import Bound, Tokens
from salus.kernel.clock import Clock
from salus.kernel.commit import Unit
from salus.kernel.ids import uuid7

ID_TOKEN_SECONDS = 600
FHIR_USERS = ("Patient", "Practitioner", "PractitionerRole", "RelatedPerson", "Person")
"""Types that `fhirUser` may name (SMART App Launch 2.2, "Scopes for requesting identity data")."""

AddressOf = Callable[[str], str]
"""From the name of a tenant to an address of its own."""

Answer = dict[str, Any]


class Issuance:
    """Makes what is given out.

    Args:
        keys_of: keys of a tenant by its name.
        clock: the time.
        tokens: access tokens.
        grants: what they belong to.
        signing: for id_tokens.
        lifetimes: how long tokens live.
        issuer_of, base_of: issuer and FHIR base of a tenant.
    """

    def __init__(
        self,
        keys_of: KeysOf,
        clock: Clock,
        tokens: Tokens,
        grants: Grants,
        signing: SigningKeys,
        lifetimes: Lifetimes,
        issuer_of: AddressOf,
        base_of: AddressOf,
    ) -> None:
        self._keys_of = keys_of
        self._clock = clock
        self._tokens = tokens
        self._grants = grants
        self._signing = signing
        self._lifetimes = lifetimes
        self._issuer_of = issuer_of
        self._base_of = base_of

    def access(
        self, unit: Unit, user: User, grant: Grant, scopes: tuple[str, ...], jkt: str, lifetime_ms: int = 0
    ) -> Answer:
        """An access token and what is said beside it.

        Args:
            unit: takes the token; give it out only when the unit is durable.
            user: the account that the application acts for.
            grant: to which the token belongs.
            scopes: of this token, the grant's or fewer; not empty.
            jkt: thumbprint of the key that it is bound to; empty for a bearer token.
            lifetime_ms: 0 for the usual one.
        """
        allowed, lifetime = grant.allowed, lifetime_ms or self._lifetimes.access_ms
        bound = Bound(
            client=allowed.client,
            grant=grant.id,
            patient=allowed.patient,
            encounter=allowed.encounter,
            jkt=jkt,
            acr=allowed.acr,
            proved=allowed.proved,
        )
        token, _ = self._tokens.issue(
            unit, user, allowed.purpose, lifetime_ms=lifetime, label="application", scopes=scopes, bound=bound
        )
        return {
            "access_token": token,
            "token_type": "DPoP" if jkt else "Bearer",
            "expires_in": lifetime // 1000,
            "scope": " ".join(scopes),
            **self.context(grant),
        }

    def context(self, grant: Grant) -> Answer:
        """The launch context, as it stands in a token response and in an introspection."""
        allowed = grant.allowed
        if not allowed.session:  # a service has no launch
            return {}
        told: Answer = {"tenant": grant.tenant}
        if allowed.patient:
            told["patient"] = allowed.patient
        if allowed.encounter:
            told["encounter"] = allowed.encounter
        if allowed.launch is not None:
            told |= allowed.launch.parameters()
        elif allowed.patient:
            told["need_patient_banner"] = True  # nothing else on the screen says whose record it is
        if "need_patient_banner" in told:
            told["smart_style_url"] = f"{self._issuer_of(grant.tenant)}/oauth2/smart-style"
        return told

    def for_service(
        self, unit: Unit, client: Client, user: User, purpose: str, scopes: tuple[str, ...], jkt: str, lifetime_ms: int
    ) -> tuple[Grant, Answer]:
        """A token for a service that acts for itself (SMART Backend Services), in a grant that ends with it.

        Args:
            user: its service account.
            purpose: purpose of use.
            lifetime_ms: of token and grant.
        """
        now = self._clock.now_ms()
        allowed = Allowed(
            user=user.id,
            client=client.id,
            session="",
            purpose=purpose,
            scopes=scopes,
            patient="",
            encounter="",
            launch=None,
            audience=self._base_of(user.tenant),
            acr="",
            amr=(),
            proved=0,
            signed_in=0,
            created=now,
            jkt=jkt,
        )
        grant = self._grants.add(unit, user.tenant, uuid7(), allowed, now + lifetime_ms)
        return grant, self.access(unit, user, grant, scopes, jkt, lifetime_ms)

    def id_token(self, client: Client, user: User, grant: Grant, nonce: str, access_token: str) -> str:
        """Who the person is, signed for the application (OpenID Connect Core 2).

        Raises:
            Problem: UNAVAILABLE when there is no signing key yet.
        """
        now, allowed = self._clock.now_ms() // 1000, grant.allowed
        claims: Answer = {
            "iss": self._issuer_of(grant.tenant),
            **self.identity(user, allowed.scopes),
            "aud": client.id,
            "iat": now,
            "exp": now + ID_TOKEN_SECONDS,
            "auth_time": allowed.signed_in // 1000,
            "at_hash": at_hash(access_token),
        }
        if nonce:
            claims["nonce"] = nonce
        if allowed.acr:
            claims["acr"] = allowed.acr
        if allowed.amr:
            claims["amr"] = list(allowed.amr)
        return self._signing.sign(grant.tenant, client.id_token_alg, claims)

    def identity(self, user: User, scopes: tuple[str, ...]) -> Answer:
        """`sub`, and `fhirUser` where it was granted and the account stands for somebody."""
        told = {"sub": self.subject(user)}
        type_ = user.party.partition("/")[0]
        if {"fhirUser", "profile"} & set(scopes) and type_ in FHIR_USERS:
            told["fhirUser"] = f"{self._base_of(user.tenant)}/{user.party}"
        return told

    def subject(self, user: User) -> str:
        """The name of an account for applications: the same for all of them, and not its login name."""
        raw = self._keys_of(user.tenant).surrogate("oauth-subject", user.id)
        return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def at_hash(token: str) -> str:
    """The left half of the hash of an access token (OpenID Connect Core 3.1.3.6), for both algorithms SHA-256."""
    half = hashlib.sha256(token.encode("ascii")).digest()[:16]
    return base64.urlsafe_b64encode(half).rstrip(b"=").decode()
