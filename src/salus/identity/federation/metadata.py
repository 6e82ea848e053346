# SPDX-License-Identifier: Apache-2.0
"""What an identity provider publishes about itself (OpenID Connect Discovery 1.0 section 3), read and judged.

Pure: bytes in, values out. The issuer in the document must be the one that was registered, to the letter (section
4.3): whoever could serve another issuer's document could otherwise speak for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from salus.fhir import json
from salus.identity.federation.provider import Provider, check_address
from salus.identity.federation.refusal import away
from salus.kernel.errors import Problem

WELL_KNOWN = "/.well-known/openid-configuration"


@dataclass(frozen=True, slots=True)
class Metadata:
    """The part of the metadata that we use.

    Attributes:
        issuer: as registered.
        authorization_endpoint: where people are sent.
        token_endpoint: where codes are redeemed.
        jwks_uri: where its keys are.
        names_itself: whether its answers carry `iss` (RFC 9207 section 3); then one without it is refused.
    """

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    names_itself: bool


def address_of(issuer: str) -> str:
    """Where the metadata of an issuer is (OpenID Connect Discovery 1.0 section 4)."""
    return issuer.rstrip("/") + WELL_KNOWN


def read(raw: bytes, provider: Provider) -> Metadata:
    """Read the metadata of a provider.

    Raises:
        Problem: UNAVAILABLE with the reason for the log: another issuer, an address that is not https, or no support
            for what a sign-in here needs (code flow, S256).
    """
    try:
        document: Any = json.decode(raw)
    except Problem:
        raise away("the metadata is not JSON") from None
    if not isinstance(document, dict):
        raise away("the metadata is not a JSON object")
    if document.get("issuer") != provider.issuer:
        raise away("the metadata is of another issuer")
    endpoints = {name: document.get(name) for name in ("authorization_endpoint", "token_endpoint", "jwks_uri")}
    for name, address in endpoints.items():
        if not isinstance(address, str):
            raise away(f"the metadata has no {name}")
        try:
            check_address(address, name, query=True)
        except Problem:
            raise away(f"the {name} of the metadata is not a fit address") from None
    _supports(document, "response_types_supported", "code")
    _supports(document, "code_challenge_methods_supported", "S256")
    _supports(document, "token_endpoint_auth_methods_supported", provider.auth_method)
    return Metadata(
        issuer=provider.issuer,
        names_itself=document.get("authorization_response_iss_parameter_supported") is True,
        **{name: str(address) for name, address in endpoints.items()},
    )


def _supports(document: dict[str, Any], name: str, value: str) -> None:
    """A list that is there must have the value; one that is left out says nothing."""
    listed = document.get(name)
    if listed is not None and (not isinstance(listed, list) or value not in listed):
        raise away(f"the metadata does not offer {value} in {name}")
