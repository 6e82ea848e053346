# SPDX-License-Identifier: Apache-2.0
"""What the authorization server needs to know of others: registered applications, people at browsers, launches.

Protocols, so that this room imports neither the client registry nor launches; `salus.app` wires the real ones in.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from salus.identity.accounts.users import User
from salus.identity.smart.context import LaunchContext
from salus.kernel.commit import Unit


class Client(Protocol):
    """A registered application or service, as `identity.clients` keeps it."""

    @property
    def id(self) -> str:
        """`client_id`."""
        ...

    @property
    def name(self) -> str:
        """What people are shown."""
        ...

    @property
    def tenant(self) -> str:
        """Whose it is."""
        ...

    @property
    def kind(self) -> str:
        """`public` or `confidential`."""
        ...

    @property
    def redirect_uris(self) -> tuple[str, ...]:
        """Where codes may be sent; nowhere else."""
        ...

    @property
    def scopes(self) -> tuple[str, ...]:
        """What it may ask for at most."""
        ...

    @property
    def grant_types(self) -> tuple[str, ...]:
        """What it may do at the token endpoint."""
        ...

    @property
    def require_par(self) -> bool:
        """Whether its authorization requests have to be pushed (RFC 9126 section 6)."""
        ...

    @property
    def dpop(self) -> bool:
        """Whether its access tokens have to be bound to a key (RFC 9449 section 5.2)."""
        ...

    @property
    def id_token_alg(self) -> str:
        """`RS256` or `ES256`."""
        ...

    @property
    def disabled(self) -> bool:
        """Whether it is shut out."""
        ...


class Clients(Protocol):
    """The registry."""

    def find(self, tenant: str, client_id: str, /) -> Client | None:
        """The application of this tenant with this `client_id`."""
        ...


class Session(Protocol):
    """A person at a browser, as `identity.sessions` keeps it."""

    @property
    def id(self) -> str:
        """Names it in lists and the audit log."""
        ...

    @property
    def user(self) -> User:
        """Who."""
        ...

    @property
    def acr(self) -> str:
        """How surely they were recognised."""
        ...

    @property
    def amr(self) -> tuple[str, ...]:
        """By what (RFC 8176)."""
        ...

    @property
    def signed_in_ms(self) -> int:
        """When they signed in, milliseconds since the epoch."""
        ...

    @property
    def proved_ms(self) -> int:
        """When they last proved to be there."""
        ...

    @property
    def purpose(self) -> str:
        """Purpose of use."""
        ...


class Launches(Protocol):
    """Handles of launches from within the record (SMART App Launch 2.2, EHR launch)."""

    def take(self, unit: Unit, tenant: str, handle: str, client: str, /) -> LaunchContext:
        """Use a handle up. Raises Problem(INCORRECT) when it is unknown, used, expired or another application's."""
        ...


SessionAlive = Callable[[str, str], bool]
"""(tenant, session id): whether the person is still signed in there."""
