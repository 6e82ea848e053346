# SPDX-License-Identifier: Apache-2.0
"""A person answers an application: which patient it is about, what it may do, or no.

The request was judged before it came here (`salus.identity.oauth.authorize`); its id in the address is a secret of the
browser that brought it. SMART App Launch 2.2, "Obtain authorization code"; RFC 9700 section 4.
"""

from __future__ import annotations

import dataclasses
from urllib.parse import quote

from salus.audit.event import EventType, Outcome
from salus.http.message import Response
from salus.identity.accounts.profile import is_name
from salus.identity.oauth.errors import OAuthError
from salus.identity.oauth.interaction import Interaction, Step
from salus.identity.oauth.server import AuthorizationServer
from salus.kernel.commit import Unit
from salus.kernel.errors import Kind, Problem
from salus.web import choices, people_found
from salus.web.people_found import Found
from salus.web.places import origin_of, prefix_of
from salus.web.reception import Visit

_DIFFERENT = {Kind.NOT_FOUND, Kind.GONE, Kind.FORBIDDEN}


class AuthorizePages:
    """The pages below `/authorize/{id}`.

    Args:
        oauth: where requests wait and are answered.
        access_minutes: how long an application's access lasts while nobody renews it.
        grant_days: how long it lasts at most where it may be renewed.
    """

    def __init__(self, oauth: AuthorizationServer, access_minutes: int, grant_days: int) -> None:
        self._oauth = oauth
        self._minutes = access_minutes
        self._days = grant_days

    async def show(self, visit: Visit) -> Response:
        """GET /authorize/{id}: sign in first, then choose."""
        waiting = self._find(visit)
        step, error = self._oauth.interactions.next_step(waiting, visit.session)
        if step in {Step.SIGN_IN, Step.STEP_UP}:
            return self._recognise(visit, waiting)
        if step is Step.REFUSED:
            return await self._refuse(visit, waiting, error)
        if step is Step.DONE:
            prior = self._oauth.interactions.prior(waiting, visit.session)
            if prior is None:
                raise Problem(Kind.CONFLICT, "What was allowed before has just ended. Try again.")
            allowed = prior.allowed
            return await self._approve(visit, waiting, waiting.scopes, allowed.patient, allowed.encounter)
        return await self._choose(visit, waiting)

    async def pick(self, visit: Visit) -> Response:
        """POST /authorize/{id}/patient: look for a patient, or take one."""
        waiting = self._for_choice(visit)
        form = await visit.form()
        if not form.get("patient"):
            return await self._picker(visit, waiting, form.get("name", ""), searched="name" in form)
        try:
            chosen = await people_found.patient(visit.context, form["patient"])
        except Problem as problem:
            if problem.kind not in _DIFFERENT:
                raise
            return await self._picker(visit, waiting, "", error="This patient is not there any more, choose another.")
        return await self._ask(visit, waiting, chosen)

    async def answer(self, visit: Visit) -> Response:
        """POST /authorize/{id}: allow what is ticked, or say no."""
        waiting = self._for_choice(visit)
        form = await visit.form()
        if form.get("answer") != "allow":
            return await self._refuse(visit, waiting, None)
        given = choices.granted(waiting.scopes, form.get("scope", "").split())
        patient = await self._patient(visit, waiting, form.get("patient", ""))
        if choices.opens_records(waiting.scopes) and not choices.opens_records(given):
            errors = {"scope-1": "Tick what the application may see, or choose “Do not allow”."}
            return await self._ask(visit, waiting, patient, errors=errors, ticked=given)
        encounter = ""
        if waiting.needs_encounter and patient is not None and form.get("encounter"):
            encounter = (await people_found.encounter(visit.context, form["encounter"], patient.id)).id
        return await self._approve(visit, waiting, given, patient.id if patient else "", encounter)

    # ── inside ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def _find(self, visit: Visit) -> Interaction:
        return self._oauth.interactions.find(visit.tenant, visit.call.path["id"])

    def _for_choice(self, visit: Visit) -> Interaction:
        """The request of an answer; whoever answers must have been recognised well enough."""
        waiting = self._find(visit)
        step, _ = self._oauth.interactions.next_step(waiting, visit.session)
        if step is not Step.CHOOSE:
            raise Problem(Kind.FORBIDDEN, "Sign in for this application first.", f"the request waits for {step}")
        return waiting

    def _recognise(self, visit: Visit, waiting: Interaction) -> Response:
        if visit.session is None:
            return visit.go(f"/sign-in?next={quote(visit.to(_path(waiting)))}")
        if waiting.launch is not None and waiting.launch.user != visit.session.user.id:
            return visit.page("authorize/other.jinja", status=403, app=waiting.client.name)
        return visit.go(f"/step-up?next={quote(visit.to(_path(waiting)))}")

    async def _choose(self, visit: Visit, waiting: Interaction) -> Response:
        known = await self._patient(visit, waiting, "")
        if known is None and waiting.needs_patient:
            return await self._picker(visit, waiting, "")
        return await self._ask(visit, waiting, known)

    async def _patient(self, visit: Visit, waiting: Interaction, chosen: str) -> Found | None:
        """The patient that the request is about: of the launch, the person themselves, or the one they chose."""
        id_ = waiting.launch.patient if waiting.launch is not None else ""
        if not id_ and waiting.needs_patient:
            type_, _, own = visit.session.user.party.partition("/")
            id_ = own if type_ == "Patient" else chosen
        return await people_found.patient(visit.context, id_) if id_ else None

    async def _picker(
        self, visit: Visit, waiting: Interaction, name: str, *, searched: bool = False, error: str = ""
    ) -> Response:
        return visit.page(
            "authorize/patient.jinja",
            status=422 if error else 200,
            errors={"name": error} if error else {},
            app=waiting.client.name,
            path=_path(waiting),
            name=name,
            found=await people_found.patients(visit.context, name) if searched else None,
            most=people_found.MOST,
        )

    async def _ask(
        self,
        visit: Visit,
        waiting: Interaction,
        patient: Found | None,
        *,
        errors: dict[str, str] | None = None,
        ticked: tuple[str, ...] | None = None,
    ) -> Response:
        before = [one.allowed for one in self._oauth.grants.of_user(visit.tenant, visit.session.user.id)]
        known = next((one.scopes for one in before if one.client == waiting.client.id), ())
        visits = []
        if waiting.needs_encounter and patient is not None:
            visits = await people_found.encounters(visit.context, patient.id)
        return visit.page(
            "authorize/ask.jinja",
            status=422 if errors else 200,
            form_to=(origin_of(waiting.redirect_uri),),
            errors=errors or {},
            app=waiting.client.name,
            goes_to=origin_of(waiting.redirect_uri),
            path=_path(waiting),
            patient=patient,
            own=patient is not None and visit.session.user.party == f"Patient/{patient.id}",
            visits=visits,
            offer=choices.offer(waiting.scopes, ticked if ticked is not None else known),
            minutes=self._minutes,
            days=self._days,
        )

    async def _approve(
        self, visit: Visit, waiting: Interaction, scopes: tuple[str, ...], patient: str, encounter: str
    ) -> Response:
        ctx, unit = visit.context, Unit()
        address = self._oauth.interactions.approve(unit, waiting, visit.session, scopes, patient, encounter)
        ctx.actor = dataclasses.replace(ctx.actor, client=waiting.client.id)
        await ctx.commit(unit, ctx.event(EventType.OAUTH_CODE, reason=f"allowed {' '.join(scopes)}"[:1000]))
        return visit.away(address)

    async def _refuse(self, visit: Visit, waiting: Interaction, error: OAuthError | None) -> Response:
        ctx, unit = visit.context, Unit()
        address = self._oauth.interactions.refuse(unit, waiting, error)
        ctx.actor = dataclasses.replace(ctx.actor, client=waiting.client.id)
        reason = error.error if error is not None else "the person said no"
        await ctx.commit(unit, ctx.event(EventType.OAUTH_REFUSED, reason=reason, outcome=Outcome.REFUSED))
        return visit.away(address)


def proposed(oauth: AuthorizationServer, tenant: str, path: str) -> str:
    """The login name that the application whose request waits at a path says its person has.

    OpenID Connect Core 3.1.2.1, `login_hint`: filled in, and never more than that. Whatever is not written as a login
    name is left out, so that no application puts words of its own on the page where people sign in.
    """
    id_ = path.removeprefix(prefix_of(tenant)).removeprefix("/authorize/")
    if path != f"{prefix_of(tenant)}/authorize/{id_}":
        return ""
    try:
        hint = oauth.interactions.find(tenant, id_).login_hint
    except Problem:  # answered already, or too late: the page says so after the sign-in
        return ""
    return hint if is_name(hint) else ""


def _path(waiting: Interaction) -> str:
    return f"/authorize/{waiting.id}"
