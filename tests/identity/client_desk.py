# SPDX-License-Identifier: Apache-2.0
"""The desk where clients register and prove who they are: a real registry, and a stand-in for the net."""

from __future__ import annotations

import asyncio
import json
import warnings
from collections.abc import Mapping
from typing import Any

from identity_desk import Desk
from joserfc import jwk, jwt
from joserfc.errors import SecurityWarning

from salus.identity.clients.authenticate import Authenticator
from salus.identity.clients.client import Client
from salus.identity.clients.client_secrets import ClientSecrets
from salus.identity.clients.keysets import KeySets
from salus.identity.clients.registry import Clients
from salus.identity.clients.store import prepare
from salus.identity.oauth.errors import OAuthError
from salus.kernel.commit import Writer
from salus.kernel.errors import Kind, Problem
from salus.kernel.fetch import Fetched
from salus.kernel.ids import uuid7

TOKEN_ENDPOINT = "https://clinic.example/oauth2/token"
ISSUER = "https://clinic.example"
AUDIENCES = (TOKEN_ENDPOINT, ISSUER)
JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
KEYS_AT = "https://service.example/jwks.json"

RSA = jwk.RSAKey.generate_key(2048, parameters={"kid": "rsa"})
EC256 = jwk.ECKey.generate_key("P-256", parameters={"kid": "p256"})
EC384 = jwk.ECKey.generate_key("P-384", parameters={"kid": "p384"})
ED = jwk.OKPKey.generate_key("Ed25519", parameters={"kid": "ed"})
STRANGE = jwk.RSAKey.generate_key(2048, parameters={"kid": "rsa"})
KEY_OF = {
    "RS256": RSA, "RS384": RSA, "PS256": RSA, "PS384": RSA, "ES256": EC256, "ES384": EC384, "EdDSA": ED, "Ed25519": ED,
}  # fmt: skip


def key_set(*keys: Any) -> str:
    return json.dumps({"keys": [key.as_dict(private=False) for key in keys]})


class Net:
    """Answers for addresses of others, and counts what was fetched."""

    def __init__(self) -> None:
        self.answers: dict[str, Fetched] = {}
        self.fetched: list[str] = []

    def publish(self, body: str, headers: Mapping[str, str] | None = None, *, url: str = KEYS_AT, status: int = 200):
        self.answers[url] = Fetched(status, headers or {}, body.encode())

    async def get(self, url: str, *, accept: str) -> Fetched:
        self.fetched.append(url)
        await asyncio.sleep(0)
        if url not in self.answers:
            raise Problem(Kind.UNAVAILABLE, "away")
        return self.answers[url]


class ClientDesk:
    """One process of the server, as far as clients are concerned."""

    def __init__(self, desk: Desk, net: Net | None = None) -> None:
        prepare(desk.db)
        self.desk = desk
        self.net = net or Net()
        self.clients = Clients(desk.db, desk.keyring.tenant, desk.users, desk.clock, {"TREAT", "HOPERAT"})
        self.secrets = ClientSecrets(desk.db, desk.keyring.tenant, desk.clock)
        self.keysets = KeySets(self.net, desk.clock)

    def authenticator(self, writer: Writer) -> Authenticator:
        return Authenticator(
            self.clients, self.secrets, self.keysets, self.desk.keyring.tenant, writer, self.desk.clock
        )

    def writer(self) -> Writer:
        return Writer(self.desk._writing, self.desk._lock, [self.desk.writes])

    def register(self, client: Client) -> Client:
        made = self.desk.do(lambda unit: self.clients.add(unit, client))
        assert isinstance(made, Client)
        return made

    def change(self, client: Client) -> None:
        old = self.clients.find(client.tenant, client.id)
        assert old is not None
        self.desk.do(lambda unit: self.clients.change(unit, old, client))

    def secret(self, client: Client, *, overlap_ms: int = 0) -> str:
        issued = self.desk.do(lambda unit: self.secrets.issue(unit, client, overlap_ms=overlap_ms))
        assert isinstance(issued, tuple)
        return str(issued[0])

    def present(
        self, form: Mapping[str, str], authorization: str = "", *, tenant: str = "default"
    ) -> Client | OAuthError:
        """Send what proves a client, and tell what came out."""
        return self.together(form, authorization=authorization, tenant=tenant)[0]

    def together(
        self, *forms: Mapping[str, str], authorization: str = "", tenant: str = "default"
    ) -> list[Client | OAuthError]:
        """The same for several requests at the same moment."""

        async def one(authenticator: Authenticator, form: Mapping[str, str]) -> Client | OAuthError:
            try:
                return await authenticator.authenticate(tenant, form, authorization, AUDIENCES)
            except OAuthError as error:
                return error

        async def run() -> list[Client | OAuthError]:
            writer = self.writer()
            try:
                authenticator = self.authenticator(writer)
                return await asyncio.gather(*(one(authenticator, form) for form in forms))
            finally:
                writer.close()

        return asyncio.run(run())

    def claims(self, client_id: str, **other: Any) -> dict[str, Any]:
        now = self.desk.clock.now_ms() // 1000
        said = {"iss": client_id, "sub": client_id, "aud": TOKEN_ENDPOINT, "exp": now + 240, "jti": uuid7(), **other}
        return {name: value for name, value in said.items() if value is not None}

    def assertion(
        self, client_id: str, alg: str = "RS384", *, key: Any = None, header: dict[str, Any] | None = None, **other: Any
    ) -> str:
        """A signed assertion; `header` and other claims come in the place of what is usual, None leaves out."""
        key = key or KEY_OF[alg]
        head = {"alg": alg, "kid": key.kid, "typ": "JWT", **(header or {})}
        head = {name: value for name, value in head.items() if value is not None}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SecurityWarning)  # EdDSA has got a newer name
            return jwt.encode(head, self.claims(client_id, **other), key, algorithms=[alg])


def signed(assertion: str) -> dict[str, str]:
    """The form of a request with an assertion."""
    return {"client_assertion_type": JWT_BEARER, "client_assertion": assertion}


def app(id_: str = "app", **other: Any) -> Client:
    """A public application for people."""
    usual: dict[str, Any] = {
        "id": id_,
        "name": "Growth charts",
        "tenant": "default",
        "kind": "public",
        "profile": "user-app",
        "auth_method": "none",
        "redirect_uris": ("https://app.example/callback",),
        "scopes": ("launch", "openid", "patient/Observation.rs"),
        "grant_types": ("authorization_code", "refresh_token"),
    }
    return Client(**{**usual, **other})


def confidential(id_: str = "portal", method: str = "client_secret_basic", **other: Any) -> Client:
    """A confidential application with a secret."""
    return app(id_, kind="confidential", auth_method=method, **other)


def signer(id_: str = "signer", *keys: Any, algorithms: tuple[str, ...] = ("RS384", "ES384"), **other: Any) -> Client:
    """A confidential application that signs assertions; with keys in its registration unless it has `jwks_uri`."""
    inline = "" if "jwks_uri" in other else key_set(*(keys or (RSA, EC384)))
    return confidential(id_, "private_key_jwt", **{"jwks": inline, "algorithms": algorithms, **other})


def backend(id_: str = "exporter", **other: Any) -> Client:
    """A backend service; its account `lab-feed` has to be there."""
    usual: dict[str, Any] = {
        "profile": "backend",
        "redirect_uris": (),
        "scopes": ("system/Observation.rs",),
        "grant_types": ("client_credentials",),
        "account": "lab-feed",
        "purpose": "TREAT",
    }
    return signer(id_, **{**usual, **other})
