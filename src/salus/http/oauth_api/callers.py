# SPDX-License-Identifier: Apache-2.0
"""Which application calls, and which key it proves, at the endpoints that applications call by themselves."""

from __future__ import annotations

from collections.abc import Mapping

from salus.http.message import Header
from salus.http.routes import Call
from salus.identity.oauth.errors import OAuthError
from salus.identity.oauth.parties import Client
from salus.identity.oauth.server import AuthorizationServer
from salus.kernel.commit import Unit


async def authenticated(oauth: AuthorizationServer, call: Call, form: Mapping[str, str]) -> Client:
    """The application that sends this form.

    Raises:
        OAuthError: invalid_client.
    """
    return await oauth.authenticate(call.context.actor.tenant, form, call.request.header(b"authorization"))


def proved(oauth: AuthorizationServer, call: Call, unit: Unit, token: str = "") -> str:
    """The thumbprint of the key that a request proves (RFC 9449); empty when it proves none.

    Args:
        unit: takes the use of the proof; commit it before anything is answered.
        token: the access token that is sent along.

    Raises:
        OAuthError: invalid_dpop_proof, use_dpop_nonce.
    """
    request, ctx = call.request, call.context
    proof = request.header(b"dpop")
    if not proof:
        return ""
    if request.times(b"dpop") != 1:
        raise OAuthError("invalid_dpop_proof", "Send one proof, in the header DPoP.")
    address = ctx.services.base_url + request.path
    return oauth.proofs.judge(unit, ctx.actor.tenant, proof, request.method, address, token).jkt


def nonce_headers(oauth: AuthorizationServer, call: Call, client: Client | None = None) -> list[Header]:
    """The next nonce, for whoever proves keys or has to (RFC 9449 section 8.2)."""
    if not call.request.header(b"dpop") and not (client is not None and client.dpop):
        return []
    return [(b"dpop-nonce", oauth.proofs.nonce(call.context.actor.tenant).encode())]
