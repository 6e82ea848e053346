# SPDX-License-Identifier: Apache-2.0
"""The desk where accounts are made: a real keyring, database and writer, and a clock that can be turned."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import parse_qs, urlparse

import pyotp

from salus.crypto.keyring import Keyring
from salus.identity.accounts.people_store import prepare as prepare_people
from salus.identity.accounts.people_store import sweep
from salus.identity.accounts.store import IdentityWrites, prepare
from salus.identity.accounts.users import User
from salus.identity.factors.passkey_ceremony import Party
from salus.identity.factors.passwords import Cost, PasswordHasher
from salus.identity.oauth.store import prepare as prepare_oauth
from salus.identity.people import People
from salus.identity.tokens import Tokens
from salus.kernel.commit import Unit, Writer
from salus.kernel.db import FileLock, open_database
from salus.kernel.errors import Problem

PASSWORD = "violet harbour 42 kites"
CHEAP = Cost(passes=1, memory_kib=64)
PURPOSES = frozenset({"TREAT", "HOPERAT", "PATRQT"})


def level_of(roles: tuple[str, ...]) -> int:
    """Administrators need a passkey of one device."""
    return 3 if "administrator" in roles else 2


class TurnedClock:
    def __init__(self) -> None:
        self.ms = 1_760_000_000_000

    def now_ms(self) -> int:
        return self.ms

    def later(self, seconds: float) -> None:
        self.ms += int(seconds * 1000)


class Desk:
    """One process of the server, as far as identity is concerned."""

    def __init__(self, folder: Path, keyring: Keyring, clock: TurnedClock, cost: Cost = CHEAP) -> None:
        self.clock = clock
        self.keyring = keyring
        self._writing = open_database(folder / "identity.db", None)
        self._reading = open_database(folder / "identity.db", None)
        prepare(self._writing)
        prepare_people(self._writing)
        prepare_oauth(self._writing)
        self.db = self._reading
        self._lock = FileLock(folder / "identity.lock")
        self.hasher = PasswordHasher(cost)
        self.people = People(
            self._reading,
            keyring.tenant,
            clock,
            self.hasher,
            purposes=PURPOSES,
            level_of=level_of,
            purpose_of=lambda _: "TREAT",
            party=Party("clinic.example", "https://clinic.example"),
            laboratory=frozenset({"robot"}),
        )
        self.users, self.sessions = self.people.users, self.people.sessions
        self.tokens = Tokens(self._reading, keyring.tenant, clock, PURPOSES, sessions=self.sessions)
        self.writes = IdentityWrites(clock, self._forget, (self.sessions.touches,), (sweep,))
        self.gate = self.people.sign_in

    def _forget(self) -> None:
        self.tokens.forget()
        self.sessions.forget()

    def close(self) -> None:
        self.hasher.close()
        self._lock.close()
        self._writing.close()
        self._reading.close()

    async def commit(self, *units: Unit) -> list[BaseException | None]:
        """Commit units as one group; returns what became of each."""
        writer = Writer(self._writing, self._lock, [self.writes])
        try:
            return await asyncio.gather(*(writer.submit(u) for u in units), return_exceptions=True)
        finally:
            writer.close()

    def do(self, change: Callable[[Unit], object]) -> object:
        """Make one change and commit it; raises what the commit raised."""

        async def run() -> object:
            unit = Unit()
            result = change(unit)
            if isinstance(result, Awaitable):
                result = await result
            (outcome,) = await self.commit(unit)
            if outcome is not None:
                raise outcome
            return result

        return asyncio.run(run())

    def person(
        self,
        name: str = "dr.amara",
        *,
        tenant: str = "default",
        password: str = PASSWORD,
        roles: tuple[str, ...] = ("physician",),
    ) -> str:
        """Add a person; returns the secret for codes."""
        uri = self.do(
            lambda unit: self.users.add_user(
                unit, tenant, name, password, roles=roles, display="Amara Okafor", party="Practitioner/1"
            )
        )
        assert isinstance(uri, str)
        return parse_qs(urlparse(uri).query)["secret"][0]

    def service(self, name: str = "lab-feed", *, tenant: str = "default") -> None:
        self.do(lambda unit: self.users.add_service(unit, tenant, name, roles=("service",), display="Laboratory feed"))

    def user(self, name: str = "dr.amara", *, tenant: str = "default") -> User:
        user = self.users.find(tenant, name)
        assert user is not None
        return user

    def token(self, name: str = "dr.amara", *, tenant: str = "default", **details: object) -> str:
        user = self.user(name, tenant=tenant)
        issued = self.do(lambda unit: self.tokens.issue(unit, user, "TREAT", **details))  # type: ignore[arg-type]
        assert isinstance(issued, tuple)
        return str(issued[0])

    def code(self, secret: str) -> str:
        return pyotp.TOTP(secret).generate_otp(self.clock.ms // 30_000)

    async def judge(
        self, unit: Unit, name: str, password: str, code: str, *, tenant: str = "default", **more: str
    ) -> User:
        """Judge all factors at once, as the route for programs does."""
        where = {"purpose": "TREAT", "device": "curl", "address": "192.0.2.1"} | more
        done = await self.gate.at_once(unit, tenant, name, password, code, **where)
        return done.session.user

    def sign_in(self, name: str, password: str, code: str, *, tenant: str = "default", **more: str) -> User | Problem:
        """Sign in and commit what has to be remembered, whatever came out."""

        async def run() -> User | Problem:
            unit = Unit()
            result: User | Problem
            try:
                result = await self.judge(unit, name, password, code, tenant=tenant, **more)
            except Problem as problem:
                result = problem
            (outcome,) = await self.commit(unit)
            return outcome if isinstance(outcome, Problem) else result

        return asyncio.run(run())
