# SPDX-License-Identifier: Apache-2.0
"""An authorization request that is valid and waits for a person: to sign in, to choose a patient, to agree.

The page of `salus.web` asks `next_step` what to show, and ends the matter with `approve` or `refuse`; both give the
address that the browser is sent to (303, RFC 9700 section 4.12). A request is answered once. Its id is a secret of the
browser that began it, and lives for half an hour.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import msgspec

from salus.identity.accounts.store import Guard, Statement, add
from salus.identity.accounts.users import KeysOf
from salus.identity.oauth.codes import Codes
from salus.identity.oauth.errors import Code, OAuthError
from salus.identity.oauth.grants import Allowed, Grant, Grants
from salus.identity.oauth.issuance import AddressOf
from salus.identity.oauth.levels import enough
from salus.identity.oauth.parties import Client, Clients, Session
from salus.identity.oauth.redirects import with_parameters
from salus.identity.oauth.request import Asked
from salus.identity.oauth.scopes import covers, needs_encounter, needs_patient
from salus.identity.oauth.store import hashed, lost_race, new_secret, seal, unseal
from salus.identity.smart.context import LaunchContext
from salus.kernel.clock import Clock
from salus.kernel.commit import Unit
from salus.kernel.db import Connection
from salus.kernel.errors import Kind, Problem

LIFETIME_MS = 30 * 60 * 1000


class _Sealed(msgspec.Struct, frozen=True, array_like=True):
    asked: Asked
    scopes: tuple[str, ...]
    launch: LaunchContext | None
    created: int


@dataclass(frozen=True, slots=True)
class Interaction:
    """A request that waits.

    Attributes:
        id: names it in addresses; a secret.
        tenant: whose wall it stands behind.
        client: who asks.
        asked: what is asked, as it came.
        scopes: what may be given at most: asked for, known, and registered by the application.
        launch: what was open in the record, when it was launched from there.
        created_ms: milliseconds since the epoch.
    """

    id: str
    tenant: str
    client: Client
    asked: Asked
    scopes: tuple[str, ...]
    launch: LaunchContext | None
    created_ms: int

    @property
    def redirect_uri(self) -> str:
        """Where the answer goes."""
        return self.asked.redirect_uri

    @property
    def state(self) -> str:
        """What goes back with it."""
        return self.asked.state

    @property
    def nonce(self) -> str:
        """For the id_token."""
        return self.asked.nonce

    @property
    def max_age(self) -> int:
        """How many seconds ago the person may have proved to be there; -1 when nothing was said."""
        return self.asked.max_age

    @property
    def acr_values(self) -> tuple[str, ...]:
        """Levels of assurance that are asked for."""
        return self.asked.acr_values

    @property
    def prompt(self) -> tuple[str, ...]:
        """What the person has to be asked."""
        return self.asked.prompt

    @property
    def login_hint(self) -> str:
        """Login name that is proposed."""
        return self.asked.login_hint

    @property
    def needs_patient(self) -> bool:
        """Whether a patient has to be chosen: asked for, and not known from the launch."""
        known = self.launch is not None and bool(self.launch.patient)
        return not known and needs_patient(self.scopes)

    @property
    def needs_encounter(self) -> bool:
        """Whether an encounter has to be chosen."""
        known = self.launch is not None and bool(self.launch.encounter)
        return not known and needs_encounter(self.scopes)


class Step(StrEnum):
    """What a request waits for."""

    SIGN_IN = "sign-in"  # nobody is signed in, or has to be anew
    STEP_UP = "step-up"  # somebody is, but showed too little, or too long ago
    CHOOSE = "choose"  # patient, encounter, what is allowed
    DONE = "done"  # nothing: it was allowed before (`prompt=none`); `approve` with what `prior` says
    REFUSED = "refused"  # nothing can be asked for (`prompt=none`); `refuse` with the error


class Interactions:
    """The requests that wait, of all tenants.

    Args:
        db: connection for reading, of the calling thread.
        keys_of: keys of a tenant by its name.
        clock: the time.
        clients: the registry.
        codes: made when somebody agrees.
        grants: what was allowed before.
        issuer_of: address of the authorization server of a tenant.
    """

    def __init__(
        self,
        db: Connection,
        keys_of: KeysOf,
        clock: Clock,
        clients: Clients,
        codes: Codes,
        grants: Grants,
        issuer_of: AddressOf,
    ) -> None:
        self._db = db
        self._keys_of = keys_of
        self._clock = clock
        self._clients = clients
        self._codes = codes
        self._grants = grants
        self._issuer_of = issuer_of

    def begin(
        self,
        unit: Unit,
        tenant: str,
        client: Client,
        asked: Asked,
        scopes: tuple[str, ...],
        launch: LaunchContext | None,
    ) -> Interaction:
        """Keep a request that was found valid."""
        keys, now, id_ = self._keys_of(tenant), self._clock.now_ms(), new_secret("")
        name = hashed(keys, "interaction", id_)
        sealed = seal(keys, "interaction", name, _Sealed(asked, scopes, launch, now))
        insert = "insert into oauth_request(tenant, hash, expires, sealed) values(?,?,?,?)"
        add(unit, Statement(insert, (tenant, name, now + LIFETIME_MS, sealed)))
        return Interaction(id_, tenant, client, asked, scopes, launch, now)

    def find(self, tenant: str, id: str) -> Interaction:  # noqa: A002  the field's word
        """A request that still waits.

        Raises:
            Problem: NOT_FOUND when there is none with this id, it was answered, or has waited for too long.
        """
        keys = self._keys_of(tenant)
        name = hashed(keys, "interaction", id)
        row = self._db.execute(
            "select sealed from oauth_request where tenant = ? and hash = ? and expires > ?",
            (tenant, name, self._clock.now_ms()),
        ).fetchone()
        if row is None:
            raise _absent()
        kept = unseal(keys, "interaction", name, row[0], _Sealed)
        client = self._clients.find(tenant, kept.asked.client)
        if client is None or client.disabled:
            raise _absent()
        return Interaction(id, tenant, client, kept.asked, kept.scopes, kept.launch, kept.created)

    def next_step(self, interaction: Interaction, session: Session | None) -> tuple[Step, OAuthError | None]:
        """What the request waits for, given who sits at the browser.

        Returns:
            The step; for REFUSED the error to call `refuse` with.
        """
        silent = "none" in interaction.prompt
        if session is None or self._someone_else(interaction, session):
            return _or_refused(silent, Step.SIGN_IN, "login_required", "Nobody is signed in.")
        now = self._clock.now_ms()
        since = interaction.created_ms
        anew = {"login", "select_account"} & set(interaction.prompt)
        # Within one second: a proof and a request of the same moment have no order between processes.
        if anew and session.signed_in_ms < since and session.proved_ms < since:
            return Step.SIGN_IN, None
        late = interaction.max_age >= 0 and now - session.proved_ms > interaction.max_age * 1000
        # A proof that was given for this request is as new as can be asked for (max_age=0 is prompt=login).
        if late and session.proved_ms < since:
            return _or_refused(silent, Step.STEP_UP, "login_required", "The sign-in is too long ago.")
        if not enough(session.acr, interaction.acr_values):
            words = "A stronger proof is needed."
            return _or_refused(silent, Step.STEP_UP, "insufficient_user_authentication", words)
        if silent:
            if self.prior(interaction, session) is not None:
                return Step.DONE, None
            return Step.REFUSED, OAuthError("consent_required", "The person has not allowed this before.")
        return Step.CHOOSE, None

    def prior(self, interaction: Interaction, session: Session) -> Grant | None:
        """What the same person allows the same application already, when that covers all that it asks for now."""
        for grant in self._grants.of_user(interaction.tenant, session.user.id):
            allowed = grant.allowed
            same = allowed.client == interaction.client.id and covers(allowed.scopes, interaction.scopes)
            launch = interaction.launch
            if same and (launch is None or not launch.patient or launch.patient == allowed.patient):
                return grant
        return None

    def approve(
        self,
        unit: Unit,
        interaction: Interaction,
        session: Session,
        granted_scopes: tuple[str, ...],
        patient: str = "",
        encounter: str = "",
    ) -> str:
        """A person allows an application what they chose; commit with `EventType.OAUTH_CODE` before redirecting.

        Args:
            unit: takes the change; the commit fails with CONFLICT when the request was answered by somebody else.
            session: whoever allows it.
            granted_scopes: what they chose, none of it wider than what `interaction.scopes` says.
            patient: id of the patient they chose, where one is needed; ignored when the launch named one.
            encounter: id of the encounter, in the same way.

        Returns:
            The address to send the browser to, with the code.

        Raises:
            Problem: INCORRECT when the choice is not complete or wider than what was asked; FORBIDDEN when this person
                may not answer this request, or has to prove more first.
        """
        step, _ = self.next_step(interaction, session)
        if step not in {Step.CHOOSE, Step.DONE}:
            raise Problem(Kind.FORBIDDEN, "Sign in for this application first.", f"approving needs {step}")
        if not granted_scopes or not covers(interaction.scopes, granted_scopes):
            raise Problem(Kind.INCORRECT, "Choose at least one thing, of those that were asked for.", "not asked for")
        launch = interaction.launch or LaunchContext(session.user.id)
        patient, encounter = launch.patient or patient, launch.encounter or encounter
        if needs_patient(granted_scopes) and not patient:
            raise Problem(Kind.INCORRECT, "Choose a patient first.", "no patient was chosen")
        self._end(unit, interaction)
        from_launch = interaction.launch is not None and "launch" in granted_scopes
        allowed = Allowed(
            user=session.user.id,
            client=interaction.client.id,
            session=session.id,
            purpose=session.purpose,
            scopes=granted_scopes,
            patient=patient if from_launch or needs_patient(granted_scopes) else "",
            encounter=encounter if from_launch or needs_encounter(granted_scopes) else "",
            launch=interaction.launch,
            audience=interaction.asked.audience,
            acr=session.acr,
            amr=tuple(session.amr),
            proved=session.proved_ms,
            signed_in=session.signed_in_ms,
            created=self._clock.now_ms(),
        )
        code = self._codes.issue(unit, interaction.tenant, interaction.asked, allowed)
        return self._answer(interaction, [("code", code)])

    def refuse(self, unit: Unit, interaction: Interaction, error: OAuthError | None = None) -> str:
        """Say no; commit with `EventType.OAUTH_REFUSED`.

        Args:
            error: why; left out, the person said no.

        Returns:
            The address to send the browser to, with the error.
        """
        self._end(unit, interaction)
        error = error or OAuthError("access_denied", "The person did not allow it.")
        return self._answer(interaction, [("error", error.error), ("error_description", error.description)])

    def _someone_else(self, interaction: Interaction, session: Session) -> bool:
        """A request belongs to its tenant, and a launch to whoever made it."""
        if session.user.tenant != interaction.tenant:
            return True
        return interaction.launch is not None and interaction.launch.user != session.user.id

    def _answer(self, interaction: Interaction, parameters: list[tuple[str, str]]) -> str:
        return answer_address(interaction.asked, self._issuer_of(interaction.tenant), parameters)

    def _end(self, unit: Unit, interaction: Interaction) -> None:
        keys = self._keys_of(interaction.tenant)
        where = (interaction.tenant, hashed(keys, "interaction", interaction.id))
        waits = "select 1 from oauth_request where tenant = ? and hash = ?"
        guard = Guard(waits, where, lost_race("the request was answered before"))
        add(unit, Statement("delete from oauth_request where tenant = ? and hash = ?", where, guard))


def answer_address(asked: Asked, issuer: str, parameters: list[tuple[str, str]]) -> str:
    """Where an answer goes: with `state` as it came, and with `iss`, which says whose it is (RFC 9207)."""
    state = [("state", asked.state)] if asked.state else []
    return with_parameters(asked.redirect_uri, [*parameters, *state, ("iss", issuer)])


def _or_refused(silent: bool, step: Step, error: Code, words: str) -> tuple[Step, OAuthError | None]:
    return (Step.REFUSED, OAuthError(error, words)) if silent else (step, None)


def _absent() -> Problem:
    return Problem(Kind.NOT_FOUND, "This request was answered already, or has waited for too long.")
