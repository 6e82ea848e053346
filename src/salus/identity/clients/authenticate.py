# SPDX-License-Identifier: Apache-2.0
"""Who calls the token endpoint, and how they prove it (RFC 6749 section 2.3, RFC 7523, SMART App Launch 2.2).

A client proves who it is in the one way that it registered. Whatever depends on the registration is refused in the same
words, and as far as no address has to be fetched in the same time, whether there is such a client or not.

An assertion counts once. That it was shown is durable before the client is let in, so that neither a second process nor
a restart takes it again.
"""

from __future__ import annotations

import base64
import binascii
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from urllib.parse import unquote_plus

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from joserfc import jwk, jws
from joserfc.errors import JoseError, SecurityWarning

from salus.crypto.tenant_keys import TenantKeys
from salus.identity.accounts.store import Guard, Statement, add
from salus.identity.clients import assertion
from salus.identity.clients.assertion import Assertion
from salus.identity.clients.client import Client
from salus.identity.clients.client_secrets import ClientSecrets
from salus.identity.clients.keys import Key
from salus.identity.clients.keysets import KeySets
from salus.identity.clients.registry import Clients
from salus.identity.clients.store import hashed
from salus.identity.oauth.errors import OAuthError
from salus.kernel.clock import Clock
from salus.kernel.commit import Unit, Writer
from salus.kernel.errors import Kind, Problem

_LONGEST_ID = 255
_DECOY_MODULUS = (1 << 2047) | (0x5A1D << 1024) | 1


class Authenticator:
    """Finds out which client sends a request.

    Args:
        clients: the registry.
        secrets: of confidential clients.
        keysets: public keys of clients.
        keys_of: keys of a tenant by its name; NOT_FOUND for an unknown one.
        writer: makes durable that an assertion was shown.
        clock: the time.
    """

    def __init__(
        self,
        clients: Clients,
        secrets: ClientSecrets,
        keysets: KeySets,
        keys_of: Callable[[str], TenantKeys],
        writer: Writer,
        clock: Clock,
    ) -> None:
        self._clients = clients
        self._secrets = secrets
        self._keysets = keysets
        self._keys_of = keys_of
        self._writer = writer
        self._clock = clock

    async def authenticate(
        self, tenant: str, form: Mapping[str, str], authorization: str, audiences: Sequence[str]
    ) -> Client:
        """Find out which client sends a request to the token endpoint, or to another one that clients call.

        A public client proves nothing here; that it holds the code verifier is for the token endpoint to check.

        Args:
            tenant: the tenant that the request addresses.
            form: parameters of the body, each of which may occur once.
            authorization: the header of this name, or "".
            audiences: what the audience of an assertion may be: address of the token endpoint, issuer.

        Raises:
            OAuthError: `invalid_client` (401, with a challenge where the header was used).
            Problem: UNAVAILABLE when keys or database are away, NOT_FOUND for an unknown tenant.
        """
        basic = authorization.partition(" ")[0].lower() == "basic"
        try:
            return await self._authenticate(tenant, form, authorization if basic else "", audiences)
        except OAuthError as error:
            if basic:
                error.challenge = 'Basic realm="salus"'
            raise

    async def _authenticate(self, tenant: str, form: Mapping[str, str], basic: str, audiences: Sequence[str]) -> Client:
        signed = "client_assertion" in form or "client_assertion_type" in form
        shared = bool(form.get("client_secret"))  # an empty one is as good as none (RFC 6749 section 2.3.1)
        if [bool(basic), shared, signed].count(True) > 1:
            raise _refused("A client proves who it is in one way at a time.")
        if signed:
            return await self._by_assertion(tenant, form, audiences)
        if basic:
            client_id, secret = _basic(basic)
            _same_client(form, client_id)
            return self._by_secret(tenant, client_id, secret, "client_secret_basic")
        if shared:
            return self._by_secret(tenant, form.get("client_id", ""), form["client_secret"], "client_secret_post")
        client = self._find(tenant, form.get("client_id", ""))
        if client is None or client.auth_method != "none":
            raise _unknown("no such public client" if client is None else "sent no proof")
        return client

    def _by_secret(self, tenant: str, client_id: str, secret: str, method: str) -> Client:
        client = self._find(tenant, client_id)
        right = self._secrets.matches(tenant, client_id[:_LONGEST_ID], secret)
        if client is None or client.auth_method != method or not right:
            raise _unknown("no such client, another method, or a wrong secret")
        return client

    async def _by_assertion(self, tenant: str, form: Mapping[str, str], audiences: Sequence[str]) -> Client:
        if form.get("client_assertion_type") != assertion.TYPE or "client_assertion" not in form:
            raise OAuthError("invalid_client", f"The type of the assertion has to be {assertion.TYPE}.")
        said = assertion.read(form["client_assertion"], audiences, self._clock.now_ms())
        _same_client(form, said.client_id)
        client = self._find(tenant, said.client_id)
        fitting = await self._fitting(client, said)
        # Exactly one key: with two of the same name nobody could say whose signature it is.
        right = _verifies(said, fitting[0] if len(fitting) == 1 else _decoy(said.alg))
        if client is None or len(fitting) != 1 or not right:
            raise _unknown("no such client, another method or algorithm, no such key, or a wrong signature")
        await self._use_up(tenant, said)
        return client

    async def _fitting(self, client: Client | None, said: Assertion) -> list[Key]:
        if client is None or client.auth_method != "private_key_jwt" or said.alg not in client.algorithms:
            return []
        if said.jku and said.jku != client.jwks_uri:
            return []
        return await self._keysets.fit(client, said.alg, said.kid)

    async def _use_up(self, tenant: str, said: Assertion) -> None:
        """Remember that this assertion was shown; of two requests with it, in whichever process, one is refused."""
        shown = hashed(self._keys_of(tenant), "client-assertion", said.client_id.encode(), said.jti.encode())
        again = Problem(Kind.CONFLICT, "This assertion was used before.")
        unit = Unit()
        add(
            unit,
            Statement(
                "insert or ignore into client_assertion(hash, expires) values(?,?)",
                (shown, said.expires_ms),
                Guard("select 1 where not exists (select 1 from client_assertion where hash = ?)", (shown,), again),
            ),
        )
        try:
            await self._writer.submit(unit)
        except Problem as problem:
            if problem.kind is not Kind.CONFLICT:
                raise
            raise _refused("An assertion counts once (jti).", "assertion shown again") from None

    def _find(self, tenant: str, client_id: str) -> Client | None:
        return self._clients.find_active(tenant, client_id) if 0 < len(client_id) <= _LONGEST_ID else None


def _basic(header: str) -> tuple[str, str]:
    """Id and secret, each form-encoded before the base64 (RFC 6749 section 2.3.1)."""
    try:
        text = base64.b64decode(header.partition(" ")[2].strip(), validate=True).decode()
        client_id, colon, secret = text.partition(":")
        if colon:
            return unquote_plus(client_id, errors="strict"), unquote_plus(secret, errors="strict")
    except (binascii.Error, ValueError):
        pass
    raise _refused("The header Authorization is not in the form of HTTP Basic.")


def _same_client(form: Mapping[str, str], client_id: str) -> None:
    if form.get("client_id", client_id) != client_id:
        raise _refused("The client_id is not that of the proof.")


def _verifies(said: Assertion, key: Key) -> bool:
    registry = jws.JWSRegistry(algorithms=[said.alg], strict_check_header=False)
    registry.max_header_length = len(said.text)  # its length is bounded already
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SecurityWarning)  # EdDSA is the older name of Ed25519, no weaker
            jws.deserialize_compact(said.text, key, registry=registry)
    except (JoseError, ValueError):
        return False
    return True


@lru_cache(maxsize=16)
def _decoy(alg: str) -> Key:
    """A key that nobody signs with: the answer to a stranger takes as long as the one to a client."""
    if alg[:2] in {"RS", "PS"}:
        public = rsa.RSAPublicNumbers(65537, _DECOY_MODULUS).public_key()
        return jwk.RSAKey.import_key(public)
    if alg[:2] == "ES":
        curve = ec.SECP256R1() if alg == "ES256" else ec.SECP384R1()
        return jwk.ECKey.import_key(ec.generate_private_key(curve).public_key())
    return jwk.OKPKey.import_key(ed25519.Ed25519PrivateKey.generate().public_key())


def _refused(description: str, detail: str = "") -> OAuthError:
    return OAuthError("invalid_client", description, 401, detail=detail)


def _unknown(detail: str) -> OAuthError:
    return _refused("The client is not known, or did not prove who it is.", detail)
