# SPDX-License-Identifier: Apache-2.0
"""A registered application or service, as a value.

Names of fields follow RFC 7591 section 2 where it has one. `rules` says which values are fit, `registry` keeps them.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Kind = Literal["public", "confidential"]
Profile = Literal["user-app", "backend"]
AuthMethod = Literal["none", "client_secret_basic", "client_secret_post", "private_key_jwt"]
IdTokenAlg = Literal["RS256", "ES256"]

METHODS: tuple[AuthMethod, ...] = ("none", "client_secret_basic", "client_secret_post", "private_key_jwt")
ALGORITHMS = ("RS384", "ES384", "PS384", "PS256", "ES256", "RS256", "EdDSA", "Ed25519")
"""Signatures under which a client may prove who it is. SMART App Launch 2.2 demands the first two. Never a MAC, never
`none`. `EdDSA` is the older name of `Ed25519` (RFC 9864)."""


class Client(msgspec.Struct, frozen=True, kw_only=True):
    """An application that people use, or a service that works by itself.

    Attributes:
        id: `client_id`.
        name: what people are shown; plain text, never markup.
        tenant: whose it is.
        kind: `confidential` when it can keep a secret or a key, else `public`.
        profile: `user-app` acts for a person, `backend` for itself (SMART Backend Services).
        auth_method: the one way in which it proves who it is.
        redirect_uris: where codes may be sent; compared as they are.
        launch_uri: where it is opened from within the record (EHR launch); empty if it is not.
        logo_uri: address of its picture; never fetched by the browser of a person.
        client_uri, policy_uri, tos_uri: pages about it, its privacy policy and its terms.
        contacts: how its makers are reached.
        software_id, software_version: which program it is (RFC 7591).
        scopes: what it may ask for at most.
        grant_types: what it may do at the token endpoint.
        algorithms: under which its assertions may be signed, of `ALGORITHMS`.
        jwks: its public keys, a JWK Set as JSON; empty when it has `jwks_uri` or none.
        jwks_uri: address of its public keys.
        require_par: its authorization requests have to be pushed (RFC 9126 section 6).
        dpop: its access tokens have to be bound to a key (RFC 9449 section 5.2).
        origins: web origins whose scripts may call the server for it (CORS).
        account: login name of the service account whose roles a `backend` has.
        purpose: purpose of use of a `backend`.
        id_token_alg: how its id_tokens are signed; SMART demands RS256.
        disabled: it is shut out.
        dynamic: it registered itself (RFC 7591).
        created_ms: milliseconds since the epoch.
    """

    id: str
    name: str
    tenant: str
    kind: Kind
    profile: Profile
    auth_method: AuthMethod
    redirect_uris: tuple[str, ...] = ()
    launch_uri: str = ""
    logo_uri: str = ""
    client_uri: str = ""
    policy_uri: str = ""
    tos_uri: str = ""
    contacts: tuple[str, ...] = ()
    software_id: str = ""
    software_version: str = ""
    scopes: tuple[str, ...] = ()
    grant_types: tuple[str, ...] = ()
    algorithms: tuple[str, ...] = ()
    jwks: str = ""
    jwks_uri: str = ""
    require_par: bool = False
    dpop: bool = False
    origins: tuple[str, ...] = ()
    account: str = ""
    purpose: str = ""
    id_token_alg: IdTokenAlg = "RS256"  # noqa: S105  the name of an algorithm
    disabled: bool = False
    dynamic: bool = False
    created_ms: int = 0
