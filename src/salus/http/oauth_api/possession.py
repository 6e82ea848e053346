# SPDX-License-Identifier: Apache-2.0
"""Tokens bound to a key, where records are asked for (RFC 9449 section 7); tokens that were sent where others look.

A token in an address stands in histories and logs of servers on the way: it is refused (OAuth 2.1 section 5.1.1) and
ended, since it is not known who has read it.
"""

from __future__ import annotations

from salus.audit.event import Event, EventType, Outcome
from salus.http.message import Request
from salus.identity.oauth.dpop import ALGORITHMS
from salus.identity.oauth.errors import OAuthError
from salus.identity.oauth.server import AuthorizationServer
from salus.kernel.actor import Actor
from salus.kernel.commit import Unit
from salus.kernel.errors import Kind, Problem
from salus.records.context import Services

_ALGORITHMS = " ".join(ALGORITHMS)


class Possession:
    """What `salus.http.asgi` asks about such tokens.

    Args:
        oauth: knows tokens and proofs.
        services: makes durable that a proof was used.
    """

    def __init__(self, oauth: AuthorizationServer, services: Services) -> None:
        self._oauth = oauth
        self._services = services

    async def prove(self, request: Request, tenant: str, token: str) -> Actor:
        """Who a token stands for that is sent with a proof.

        Raises:
            Problem: UNAUTHENTICATED, with what is wrong in the challenge.
        """
        request.nonce = self._oauth.proofs.nonce(tenant)
        unit, address = Unit(), self._services.base_url + request.path
        try:
            if request.times(b"dpop") != 1:
                raise OAuthError("invalid_dpop_proof", "Send one proof, in the header DPoP.")
            proof = request.header(b"dpop")
            held = self._oauth.proofs.judge(unit, tenant, proof, request.method, address, token)
            actor = self._oauth.tokens.lookup(tenant, token, held.jkt)
            await self._services.writer.submit(unit)
        except OAuthError as error:
            raise _refused(error.error, error.description, error.detail) from None
        except Problem as problem:
            if problem.kind is not Kind.UNAUTHENTICATED:
                raise
            raise _refused("invalid_token", problem.public, problem.detail) from None
        return actor

    async def leaked(self, request: Request, request_id: str, tenant: str) -> None:
        """End the tokens in the query of a request.

        Raises:
            Problem: UNAUTHENTICATED when there are any.
        """
        sent = [value for name, value in request.query if name == "access_token"]
        for record in (self._oauth.tokens.find(tenant, token) for token in sent):
            if record is None:
                continue
            unit = Unit()
            self._oauth.tokens.revoke(unit, tenant, record.id)
            client = record.bound.client if record.bound is not None else ""
            event = Event(
                type=EventType.TOKEN_LEAKED,
                outcome=Outcome.REFUSED,
                actor=Actor(tenant, record.user, "user", (), record.purpose, session=record.id, client=client),
                at_ms=self._services.clock.now_ms(),
                request=request_id,
                address=request.address,
                reason="token in the query of a request",
            )
            self._services.audit.add(unit, event)
            await self._services.writer.submit(unit)
        if sent:
            words = "A token is never sent in an address, where others read it. If it was one, it has ended."
            raise Problem(Kind.UNAUTHENTICATED, words, "token in the query")


def _refused(error: str, words: str, detail: str) -> Problem:
    challenge = f'DPoP realm="salus", error="{error}", error_description="{words}", algs="{_ALGORITHMS}"'
    return Problem(Kind.UNAUTHENTICATED, words, detail, challenge=challenge)
