# SPDX-License-Identifier: Apache-2.0
"""The whole house, built from settings: keys first, then the database, then the rooms over it.

A process opens one house. Nothing works without keys, policy or audit, so everything is opened here, before the first
request, and anything that cannot be opened stops the start with its reason.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from salus.access.decide import Access
from salus.access.load import load_policy
from salus.access.purposes import PURPOSES
from salus.access.relations import Relations, RelationWrites
from salus.access.relations import prepare as prepare_relations
from salus.app.applications import Applications
from salus.app.authorization import authorization_of
from salus.app.databases import opened
from salus.app.directories import Directories
from salus.app.providers import provider_of
from salus.app.standing import first_manifests, open_tables
from salus.audit.event import Event, EventType, Outcome
from salus.audit.journal import Journal
from salus.audit.log import AuditLog
from salus.audit.recovery import behind, recover
from salus.audit.signers import SignerWrites
from salus.audit.store import prepare as prepare_audit
from salus.crypto.envelope import SealingKey
from salus.crypto.keyring import Keyring, open_keyring
from salus.crypto.kms.provider import KeyProvider
from salus.crypto.leases import Limits
from salus.crypto.wiping import wipe
from salus.fhir.validate.terms import Asked
from salus.fhir.validate.validator import Validator
from salus.freshness.manifest import Manifest
from salus.freshness.manifest import prepare as prepare_manifests
from salus.identity.accounts.people_store import prepare as prepare_people
from salus.identity.accounts.people_store import sweep as sweep_people
from salus.identity.accounts.store import IdentityWrites
from salus.identity.accounts.store import prepare as prepare_identity
from salus.identity.clients.store import prepare as prepare_clients
from salus.identity.clients.store import sweep as sweep_clients
from salus.identity.clients.uses import Uses
from salus.identity.clients.uses import sweep as sweep_uses
from salus.identity.factors.breached import Breached
from salus.identity.factors.passkey_ceremony import party_of
from salus.identity.factors.passwords import PasswordHasher
from salus.identity.federation.store import prepare as prepare_federation
from salus.identity.oauth.store import prepare as prepare_oauth
from salus.identity.oauth.store import sweep as sweep_oauth
from salus.identity.people import People
from salus.identity.provisioning.store import prepare as prepare_provisioning
from salus.identity.tokens import Tokens
from salus.kernel.actor import Actor
from salus.kernel.clock import Clock, Elapsed, SystemClock, elapsed_seconds
from salus.kernel.commit import Unit, Writer
from salus.kernel.db import Connection, FileLock, migrate
from salus.kernel.errors import Kind, Problem
from salus.kernel.ids import uuid7
from salus.kernel.settings import Settings
from salus.knowledge.library import Library
from salus.privacy.desk import Desk, ErasureWrites
from salus.privacy.desk import prepare as prepare_privacy
from salus.privacy.erasure import Hold
from salus.records.context import Services, fhir_base
from salus.records.store.contents import ContentWrites
from salus.records.store.marks import Marking
from salus.records.store.renewal import Renewals
from salus.records.store.schema import MIGRATIONS, ROOM
from salus.records.store.store import Store
from salus.records.store.write import RecordsWriter
from salus.records.terminology import ClinicTerminology

DATABASE = "records.db"
KEYS_FOLDER = "keys"
KNOWLEDGE = "knowledge.db"
CHECKPOINTS = "checkpoints"
JOURNALS = "journals"
INDEXING_LOCK = "reindex.lock"
IDENTITY = (  # tables; the first come first
    prepare_identity,
    prepare_people,
    prepare_clients,
    prepare_oauth,
    prepare_federation,
    prepare_provisioning,
)


@dataclass(slots=True)
class Stand:
    """Substitutes for rooms, for measuring what each costs. The product never uses them; `bench/` does."""

    keyring: Callable[[Keyring], Any] = lambda real: real
    access: Callable[[Access], Any] = lambda real: real
    audit: Callable[[AuditLog], Any] = lambda real: real
    manifest: Callable[[Manifest], Any] = lambda real: real
    marking: Callable[[Marking], Any] = lambda real: real


class House:
    """All rooms of one process, wired.

    Attributes:
        services: what interactions use.
        people: accounts, ceremonies, sessions, factors and notices; `users` and `sessions` are two of them.
        keyring, tokens: for signing in and for administration.
        apps: applications and services, and how they prove who they are.
        oauth: lets applications act for people.
        directories: identity providers of others, and provisioning.
        desk, holds: erasures, and what stands against them.
        renewals: seals anew what lies under a patient's former key.
        knowledge: definitions and code systems, of all tenants.
        indexing: whoever holds it indexes records anew.
        db: the one connection to the records, used on the thread that opened the house.
        manifest: follows every row of it.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock | None = None,
        stand: Stand | None = None,
        elapsed: Elapsed | None = None,
        provider: KeyProvider | None = None,
    ) -> None:
        stand = stand or Stand()
        self.settings = settings
        self.clock = clock or SystemClock()
        folder = settings.folder
        policy = load_policy(policy_text(settings))  # first: it needs nothing open that would have to be closed again
        limits = Limits(settings.keys.soft_seconds, settings.keys.hard_seconds)
        elapsed = elapsed or elapsed_seconds
        self._provider = provider or provider_of(settings, elapsed)
        self.keyring: Keyring = stand.keyring(open_keyring(folder / KEYS_FOLDER, self._provider, limits, elapsed))
        # One connection for reading and writing: a second one would drop its decrypted pages at each of our commits.
        # Only searches that take long (`salus.records.unhurried`) and units of many rows have others.
        self.db = opened(folder / DATABASE, self.keyring, "records")
        self._lock = FileLock(folder / f"{DATABASE}.lock")
        self.manifest: Manifest = stand.manifest(Manifest(self.keyring.tenant))
        try:
            open_tables(self.db, ROOMS, self.manifest, self.keyring.tenants, self._lock)
        except BaseException:
            for each in (self.db, self._lock, self.keyring, self._provider):
                each.close()
            raise
        self.access: Access = stand.access(Access(policy, Relations(self.db), self._surrogate))
        journals, journal_secret = folder / JOURNALS, self.keyring.page_key("journals")
        journal_key = SealingKey(journal_secret)
        wipe(journal_secret)
        journal = Journal(journals, journal_key)
        log = AuditLog(self.keyring.tenant, self.clock, folder / CHECKPOINTS, journal, self.manifest.vouch)
        self.audit: AuditLog = stand.audit(log)
        first_manifests(self.db, self.manifest, self.audit, self.keyring.tenant, self._first, self._lock)
        recover(self.audit, self.db, journals, journal_key, self.clock, self.manifest.seal)
        hasher = PasswordHasher(breached=Breached(settings.path(settings.identity.breached_list)))
        self.people = People(
            self.db,
            self.keyring.tenant,
            self.clock,
            hasher,
            purposes=PURPOSES,
            level_of=self.access.assurance,
            purpose_of=lambda roles: next(iter(self.access.purposes(roles)), "TREAT"),
            party=party_of(settings.base_url),
            laboratory=settings.identity.laboratory,
        )
        self.users, self.sessions = self.people.users, self.people.sessions
        uses = Uses(self.db)
        self.tokens = Tokens(
            self.db,
            self.keyring.tenant,
            self.clock,
            PURPOSES,
            user_hours=settings.identity.token_hours,
            service_days=settings.identity.service_token_days,
            sessions=self.sessions,
            granted=self._granted,
            used=uses.note,
        )
        sweeps = (sweep_people, sweep_clients, sweep_oauth, sweep_uses)
        identity = IdentityWrites(self.clock, self._forget_access, (self.sessions.touches, uses), sweeps)
        self.indexing = FileLock(folder / INDEXING_LOCK)
        self.renewals = Renewals(self.keyring.tenant)
        records = (
            RecordsWriter(stand.marking(Marking(self.keyring.tenant)), self._forget_key),
            ContentWrites(self.clock, self._forget_key),
            RelationWrites(),
            self.renewals,
        )
        participants = (*records, identity, ErasureWrites(), self.audit, SignerWrites(self.audit))
        self.desk = Desk(self.db, self.keyring.tenant)
        self.holds: list[Hold] = []
        self.writer = Writer(self.db, self._lock, participants, self.manifest.seal)
        self.apps = Applications(settings, self.db, self.keyring.tenant, self.users, self.writer, self.clock, uses)
        self.oauth = authorization_of(
            settings, self.db, self.keyring.tenant, self.clock, self.users, self.tokens, self.sessions, self.apps
        )
        self.directories = Directories(
            settings.base_url, self.db, self.keyring.tenant, self.people, self.apps.fetcher, self.clock
        )
        # It may be made much later, so it asks for its key when it needs one, and wipes it.
        self.knowledge = Library(folder / KNOWLEDGE, lambda: self.keyring.page_key("knowledge"))
        store = Store(self.db, self.keyring, lambda tenant: fhir_base(settings.base_url, tenant), self._reading)
        validator = Validator(
            self.knowledge,
            Asked(self.knowledge.engine),
            demanded=policy.profiles,
            strict_extensions=settings.validation.known_extensions,
            strict_examples=settings.validation.known_examples,
            markdown_without_html=settings.validation.markdown_without_html,
            strict_codes=settings.validation.known_codes,
            known_profiles_only=settings.validation.known_profiles,
        )
        self.services = Services(
            self.access,
            self.audit,
            store,
            self.writer,
            self.clock,
            settings.limits,
            settings.base_url,
            self.knowledge,
            validator,
            ClinicTerminology,
        )

    def _reading(self) -> Connection:
        """Another connection to the records, for searches that take long; it cannot write."""
        connection = self._another()
        connection.execute("pragma query_only=1")
        return connection

    async def _writing(self) -> Connection:
        """Another connection to the records, for units of many rows; unlocking its pages takes a while."""
        connection = await asyncio.to_thread(self._another)
        self.manifest.follow(connection)
        return connection

    def _another(self) -> Connection:
        connection = opened(self.settings.folder / DATABASE, self.keyring, "records")
        connection.execute("pragma cache_size=-16384")
        return connection

    def _forget_access(self) -> None:
        self.tokens.forget()
        self.sessions.forget()

    def _granted(self, tenant: str, grant: str) -> str | None:
        return self.oauth.grants.session_of(tenant, grant)

    def _forget_key(self, tenant: str, owner: bytes) -> None:
        self.keyring.tenant(tenant).reconsider(owner)

    def _first(self, tenant: str) -> Event:
        reason = "first manifest, of a database from an earlier version"
        actor = Actor(tenant, "salus", "service", (), "")
        return Event(EventType.STORE_ACCEPT, Outcome.GRANTED, actor, self.clock.now_ms(), uuid7(), reason=reason)

    def _surrogate(self, tenant: str, kind: str, value: str) -> bytes:
        return self.keyring.tenant(tenant).surrogate(kind, value)

    def operator(self, tenant: str = "default", roles: tuple[str, ...] = (), purpose: str = "HOPERAT") -> Actor:
        """The person with a shell on this server, as an actor: what they do is audited like anyone's."""
        name = os.environ.get("SUDO_USER") or _user_name()
        return Actor(tenant, f"operator:{name}", "operator", roles, purpose, session=uuid7())

    async def record(
        self, unit: Unit, actor: Actor, type_: EventType, reason: str = "", outcome: Outcome = Outcome.GRANTED
    ) -> None:
        """Commit a unit together with the audit entry of an administrative act."""
        event = Event(
            type=type_,
            outcome=outcome,
            actor=actor,
            at_ms=self.clock.now_ms(),
            request=actor.session or uuid7(),
            reason=reason,
        )
        self.audit.add(unit, event)
        await self.writer.submit(unit)

    def alone(self) -> FileLock:
        """The lock of all processes that write, for a transaction outside of the groups."""
        return self._lock

    def share_time(self) -> None:
        """From now on let no request wait long for another; for a process that answers many.

        What changes nothing is made durable in a journal, and units of many rows are written in steps.
        """
        self.writer.keep_with(self.audit)
        self.writer.in_steps_over(self._writing)

    async def settled(self) -> None:
        """Wait until the log has what this and all other processes have kept before this moment.

        A process that hangs is not waited for: after two seconds the log is read as it is.
        """
        await self.writer.settle()
        for _ in range(100):
            if not behind(self.db, self.settings.folder / JOURNALS):
                return
            await asyncio.sleep(0.02)

    def close(self) -> None:
        """Write what is queued, sign a last checkpoint, let go of everything.

        Raises:
            Problem: UNAVAILABLE when the last checkpoint could not be signed; everything is let go all the same, and
                the next start signs it.
        """
        try:
            self.writer.close()
            self.audit.close(self.db)
        finally:
            self.services.store.close()
            self.db.close()
            self.knowledge.close()
            self._lock.close()
            self.indexing.close()
            self.keyring.close()
            self._provider.close()


def prepare_records(db: Connection) -> None:
    """Make or update the tables of the record store."""
    migrate(db, ROOM, MIGRATIONS)


ROOMS = (
    prepare_records,
    prepare_audit,
    prepare_relations,
    *IDENTITY,
    prepare_privacy,
    prepare_manifests,
)
"""Whoever has tables in the database of the records."""


def policy_text(settings: Settings) -> str:
    """The policy file.

    Raises:
        Problem: UNAVAILABLE without one: no policy means no access, and a server that refuses everyone by accident is
            better stopped with the reason.
    """
    path = settings.path(settings.access.policy)
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        raise Problem(
            Kind.UNAVAILABLE, f"The policy file {path.name} cannot be read; nobody could be let in."
        ) from None


def _user_name() -> str:
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())
