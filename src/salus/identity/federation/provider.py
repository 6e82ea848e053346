# SPDX-License-Identifier: Apache-2.0
"""An identity provider, as an administrator registers it.

Everything that decides whom we believe is said here and nothing is learned: the issuer is compared exactly, the
algorithms are a closed list without `none` and without HMAC, and a second factor of the provider counts only for the
values that are named.
"""

from __future__ import annotations

import re
from typing import Literal
from urllib.parse import urlsplit

import msgspec

from salus.kernel.errors import Issue, Kind, Problem

AuthMethod = Literal["client_secret_basic", "client_secret_post", "private_key_jwt"]

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "Ed25519", "EdDSA")
"""What a provider may be allowed to sign with: signatures of a key that it alone has."""

_ID = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?", re.ASCII)
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,100}", re.ASCII)  # RFC 6749 section 3.3


class Provider(msgspec.Struct, frozen=True, kw_only=True):
    """One identity provider of one tenant.

    Attributes:
        id: names it in addresses and on the command line: a-z, 0-9 and hyphens, up to 40.
        title: for people, on the button.
        issuer: its issuer identifier, exactly as it stands in its tokens.
        client_id: what it calls us.
        auth_method: how we prove ourselves at its token endpoint.
        secret: the client secret, or our private key as a JWK; kept sealed.
        algorithms: what it may sign identity tokens with.
        scopes: what is asked for beside `openid`.
        acr_values: what is asked for as `acr_values`.
        trusted_acr: values of `acr` that stand for two factors; empty means that none does.
        trusted_amr: values of `amr` that stand for a second factor; empty means that none does.
        create: whether a person who has no account gets one at the first sign-in.
        roles: what such an account may do.
        disabled: nobody signs in with it.
        created_ms: milliseconds since the epoch.
    """

    id: str
    title: str
    issuer: str
    client_id: str
    auth_method: AuthMethod = "client_secret_basic"
    secret: str = ""
    algorithms: tuple[str, ...] = ("RS256",)
    scopes: tuple[str, ...] = ("profile",)
    acr_values: tuple[str, ...] = ()
    trusted_acr: tuple[str, ...] = ()
    trusted_amr: tuple[str, ...] = ()
    create: bool = False
    roles: tuple[str, ...] = ()
    disabled: bool = False
    created_ms: int = 0


def check_provider(provider: Provider) -> Provider:
    """Judge what an administrator wants to register.

    Raises:
        Problem: INVALID with the field and what it has to be.
    """
    if _ID.fullmatch(provider.id) is None:
        raise _unfit("id", "The short name of an identity provider has 1 to 40 of a-z, 0-9 and hyphen.")
    if not provider.title.strip() or len(provider.title) > 100:
        raise _unfit("title", "An identity provider has a title of 1 to 100 characters.")
    check_address(provider.issuer, "issuer", query=False)
    if not provider.client_id or len(provider.client_id) > 500 or not provider.client_id.isprintable():
        raise _unfit("client_id", "The identity provider knows us by a client id of 1 to 500 characters.")
    if not provider.secret:
        raise _unfit("secret", "A public client is not supported: the identity provider must know who redeems a code.")
    if not provider.algorithms or not set(provider.algorithms) <= set(ALGORITHMS):
        raise _unfit("algorithms", f"Identity tokens are signed with one of {', '.join(ALGORITHMS)}.")
    for name in ("scopes", "acr_values", "trusted_acr", "trusted_amr"):
        values: tuple[str, ...] = getattr(provider, name)
        if len(values) > 20 or any(_SCOPE.fullmatch(value) is None for value in values):
            raise _unfit(name, "At most 20 words, without spaces, quotation marks and backslashes.")
    if provider.create and not provider.roles:
        raise _unfit("roles", "Accounts that are made at the first sign-in need at least one role.")
    if provider.roles and not provider.create:
        raise _unfit("roles", "Roles are for accounts that are made at the first sign-in.")
    return provider


def check_address(address: str, place: str, *, query: bool) -> None:
    """Whether an address may be asked, or people sent there: plain https.

    Raises:
        Problem: INVALID.
    """
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        raise _unfit(place, "This is not an address.") from None
    plain = address.isascii() and address.isprintable() and " " not in address and "\\" not in address
    if (
        parts.scheme != "https"
        or not parts.hostname
        or parts.username is not None
        or parts.password is not None
        or parts.fragment
        or "#" in address
        or (not query and "?" in address)
        or port == 0
        or not plain
        or len(address) > 1000
    ):
        raise _unfit(place, "An address here is https, without a name and password and without a fragment.")


def _unfit(place: str, words: str) -> Problem:
    return Problem(Kind.INVALID, words, issues=(Issue("value", words, place),))
