# SPDX-License-Identifier: Apache-2.0
"""Opening an application from within the record, with a patient (SMART App Launch 2.2, EHR launch)."""

from __future__ import annotations

from salus.http.launch_api import Launching, Wanted, launch, launchable
from salus.http.message import Response
from salus.identity.clients.client import Client
from salus.kernel.errors import Kind, Problem
from salus.web import people_found
from salus.web.places import origin_of
from salus.web.reception import Visit


class LaunchPages:
    """The pages below `/launch`.

    Args:
        apps: the registry, and where launches wait.
    """

    def __init__(self, apps: Launching) -> None:
        self._apps = apps

    async def show(self, visit: Visit) -> Response:
        """GET /launch: the applications that can be opened from here."""
        return visit.page("launch/apps.jinja", apps=launchable(self._apps, visit.tenant))

    async def choose(self, visit: Visit) -> Response:
        """GET /launch/{app}: with which patient."""
        return await self._picker(visit, self._app(visit), None)

    async def open(self, visit: Visit) -> Response:
        """POST /launch/{app}: look for a patient, or go there with one."""
        app, form = self._app(visit), await visit.form()
        if not form.get("patient"):
            return await self._picker(visit, app, form.get("name", ""))
        wanted = Wanted(app.id, form["patient"])
        launched = await launch(visit.context, self._apps, wanted, session=visit.session.id)
        return visit.away(launched.address)

    async def _picker(self, visit: Visit, app: Client, name: str | None) -> Response:
        return visit.page(
            "launch/patient.jinja",
            form_to=(origin_of(app.launch_uri),),
            app=app.name,
            path=f"/launch/{app.id}",
            name=name or "",
            found=None if name is None else await people_found.patients(visit.context, name),
            most=people_found.MOST,
        )

    def _app(self, visit: Visit) -> Client:
        found = [app for app in launchable(self._apps, visit.tenant) if app.id == visit.call.path["app"]]
        if not found:
            raise Problem(Kind.NOT_FOUND, "There is no such application to open.", "no such application")
        return found[0]
