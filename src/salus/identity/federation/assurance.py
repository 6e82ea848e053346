# SPDX-License-Identifier: Apache-2.0
"""How surely the identity provider recognised the person, as far as we believe it. Pure.

What an upstream says of its own strength is a claim like any other. It counts as a second factor only if the provider
is registered as trusted for it; in every other case our own second factor is asked.
"""

from __future__ import annotations

from dataclasses import dataclass

from salus.identity.federation.id_token import Claims
from salus.identity.federation.provider import Provider


@dataclass(frozen=True, slots=True)
class Assurance:
    """What the upstream said, and whether it is enough.

    Attributes:
        acr: as it stands in the token; empty if it does not.
        amr: as they stand in the token.
        second_factor: whether two factors were used, by what the provider is trusted for.
    """

    acr: str
    amr: tuple[str, ...]
    second_factor: bool


def assured(claims: Claims, provider: Provider) -> Assurance:
    """Read `acr` and `amr` (OpenID Connect Core 1.0 section 2, RFC 8176); what has another form says nothing."""
    acr = claims.get("acr")
    listed = claims.get("amr")
    acr = acr if isinstance(acr, str) else ""
    amr = tuple(value for value in listed if isinstance(value, str)) if isinstance(listed, list) else ()
    trusted = (acr != "" and acr in provider.trusted_acr) or not set(provider.trusted_amr).isdisjoint(amr)
    return Assurance(acr[:200], tuple(value[:50] for value in amr[:20]), trusted)
