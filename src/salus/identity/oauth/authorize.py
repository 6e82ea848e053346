# SPDX-License-Identifier: Apache-2.0
"""Authorization requests, pushed (RFC 9126) or by the browser, up to the point where a person has to be asked.

A pushed request is judged when it is pushed, belongs to the application that pushed it, lives for a minute and is used
once; what stands beside its `request_uri` later is not looked at.
"""

from __future__ import annotations

import msgspec

from salus.identity.accounts.store import Guard, Statement, Values, add
from salus.identity.accounts.users import KeysOf
from salus.identity.oauth.errors import OAuthError
from salus.identity.oauth.interaction import Interaction, Interactions, answer_address
from salus.identity.oauth.issuance import AddressOf
from salus.identity.oauth.parties import Client, Clients, Launches
from salus.identity.oauth.redirects import with_parameters
from salus.identity.oauth.request import Asked, Pairs, destination, one, read, state_of
from salus.identity.oauth.scopes import permitted
from salus.identity.oauth.store import hashed, lost_race, new_secret, seal, unseal
from salus.identity.smart.context import LaunchContext
from salus.kernel.clock import Clock
from salus.kernel.commit import Unit
from salus.kernel.db import Connection
from salus.kernel.errors import Kind, Problem

PUSHED_SECONDS = 60
URN = "urn:ietf:params:oauth:request_uri:"


class Returned(Exception):  # noqa: N818  an answer, and not always an error of ours
    """An error that is told to the application by sending the browser to it.

    Args:
        address: where to.
        error: what is told there.
        client: `client_id`, for the audit log.
    """

    def __init__(self, address: str, error: OAuthError, client: str) -> None:
        super().__init__(error.error)
        self.address = address
        self.error = error
        self.client = client


class AuthorizationRequests:
    """Takes requests in.

    Args:
        db: connection for reading, of the calling thread.
        keys_of: keys of a tenant by its name.
        clock: the time.
        clients: the registry.
        launches: handles of launches from within the record.
        interactions: where valid requests wait.
        issuer_of, base_of: issuer and FHIR base of a tenant.
    """

    def __init__(
        self,
        db: Connection,
        keys_of: KeysOf,
        clock: Clock,
        clients: Clients,
        launches: Launches,
        interactions: Interactions,
        issuer_of: AddressOf,
        base_of: AddressOf,
    ) -> None:
        self._db = db
        self._keys_of = keys_of
        self._clock = clock
        self._clients = clients
        self._launches = launches
        self._interactions = interactions
        self._issuer_of = issuer_of
        self._base_of = base_of

    def push(self, unit: Unit, tenant: str, client: Client, pairs: Pairs, jkt: str = "") -> str:
        """Keep a request of an application that was authenticated.

        Args:
            jkt: thumbprint of the key that was proved (RFC 9449 section 10.1); empty for none.

        Returns:
            The `request_uri`, good for `PUSHED_SECONDS`.

        Raises:
            OAuthError: what is wrong with the request.
        """
        if one(pairs, "request_uri"):
            raise OAuthError("invalid_request", "request_uri cannot be pushed.")
        if one(pairs, "client_id") not in {"", client.id}:
            raise OAuthError("invalid_request", "client_id is not the application that was authenticated.")
        asked = read(pairs, client, destination(pairs, client), (self._base_of(tenant),))
        if jkt and asked.dpop_jkt not in {"", jkt}:
            raise OAuthError("invalid_dpop_proof", "dpop_jkt is not the key of the proof.")
        asked = msgspec.structs.replace(asked, dpop_jkt=asked.dpop_jkt or jkt)
        _given(asked, client)
        keys, address = self._keys_of(tenant), new_secret(URN)
        name = hashed(keys, "pushed", address)
        expires = self._clock.now_ms() + PUSHED_SECONDS * 1000
        insert = "insert into oauth_request(tenant, hash, expires, sealed) values(?,?,?,?)"
        add(unit, Statement(insert, (tenant, name, expires, seal(keys, "pushed", name, asked))))
        return address

    def begin(self, unit: Unit, tenant: str, pairs: Pairs) -> Interaction:
        """Judge a request that a browser brings, and keep it for the person.

        Args:
            unit: takes the change; the commit fails with CONFLICT when a pushed request is used elsewhere at the
                moment.
            pairs: the parameters.

        Raises:
            OAuthError: for the person at the browser; nothing may be sent anywhere.
            Returned: for the application.
        """
        client = self._clients.find(tenant, one(pairs, "client_id"))
        address = one(pairs, "request_uri")
        if address:
            if client is None or client.disabled:
                raise OAuthError("invalid_client", "No application is registered under this client_id.")
            asked = self._take(unit, tenant, address, client)
            return self._keep(unit, tenant, client, asked)
        redirect_uri = destination(pairs, client)
        if client is None:  # `destination` has refused it
            raise OAuthError("invalid_client", "No application is registered under this client_id.")
        try:
            if client.require_par:
                raise OAuthError("invalid_request", "This application has to push its requests.")
            asked = read(pairs, client, redirect_uri, (self._base_of(tenant),))
        except OAuthError as error:
            state = state_of(pairs)
            parameters = [("error", error.error), ("error_description", error.description)]
            parameters += [("state", state)] if state else []
            parameters.append(("iss", self._issuer_of(tenant)))
            raise Returned(with_parameters(redirect_uri, parameters), error, client.id) from None
        return self._keep(unit, tenant, client, asked)

    def _keep(self, unit: Unit, tenant: str, client: Client, asked: Asked) -> Interaction:
        try:
            scopes = _given(asked, client)
            launch = self._launch(unit, tenant, asked)
        except OAuthError as error:
            parameters = [("error", error.error), ("error_description", error.description)]
            raise Returned(answer_address(asked, self._issuer_of(tenant), parameters), error, client.id) from None
        return self._interactions.begin(unit, tenant, client, asked, scopes, launch)

    def _launch(self, unit: Unit, tenant: str, asked: Asked) -> LaunchContext | None:
        if not asked.launch:
            return None
        try:
            return self._launches.take(unit, tenant, asked.launch, asked.client)
        except Problem as problem:
            if problem.kind is not Kind.INCORRECT:
                raise
            words = "The launch is not valid: it was used, has expired, or belongs to somebody else."
            raise OAuthError("invalid_request", words, detail="launch refused") from None

    def _take(self, unit: Unit, tenant: str, address: str, client: Client) -> Asked:
        keys = self._keys_of(tenant)
        name = hashed(keys, "pushed", address)
        row = self._db.execute(
            "select sealed from oauth_request where tenant = ? and hash = ? and expires > ?",
            (tenant, name, self._clock.now_ms()),
        ).fetchone()
        asked = None if row is None else unseal(keys, "pushed", name, row[0], Asked)
        if asked is None or asked.client != client.id:
            words = "request_uri was used, has expired, or belongs to another application."
            raise OAuthError("invalid_request_uri", words)
        where: Values = (tenant, name)
        there = "select 1 from oauth_request where tenant = ? and hash = ?"
        guard = Guard(there, where, lost_race("pushed request used elsewhere"))
        add(unit, Statement("delete from oauth_request where tenant = ? and hash = ?", where, guard))
        return asked


def _given(asked: Asked, client: Client) -> tuple[str, ...]:
    """The scopes that may be given at most.

    Raises:
        OAuthError: invalid_scope when that is nothing.
    """
    scopes = permitted(asked.scopes, client.scopes)
    if not scopes:
        raise OAuthError("invalid_scope", "The application is not registered for any of these scopes.")
    return scopes
