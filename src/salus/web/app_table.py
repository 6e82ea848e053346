# SPDX-License-Identifier: Apache-2.0
"""The routes on which people answer, open and end applications."""

from __future__ import annotations

from typing import Protocol

from salus.http.launch_api import Launching
from salus.http.routes import PUBLIC, SELF, Route
from salus.identity.oauth.server import AuthorizationServer
from salus.web.app_list import AppPages, Using
from salus.web.authorize import AuthorizePages
from salus.web.launching import LaunchPages
from salus.web.reception import Reception

_ASKED = "/authorize/{id}"


class Applications(Launching, Protocol):
    """Applications that can be opened, and when they were last used."""

    @property
    def uses(self) -> Using:
        """When what people allow was last used."""
        ...


def app_pages(
    reception: Reception, oauth: AuthorizationServer, launching: Applications, access_minutes: int, grant_days: int
) -> list[Route]:
    """Every page about applications, for `salus.http.table.routes`.

    Args:
        oauth: where requests wait, and what people allow is kept.
        launching: applications that can be opened from within the record.
        access_minutes, grant_days: how long access lasts, for the words of the pages.
    """
    anybody, signed_in = reception.anybody, reception.signed_in
    asked, apps = AuthorizePages(oauth, access_minutes, grant_days), AppPages(oauth, launching.uses)
    launch, end = LaunchPages(launching), "/account/apps/{id}/end"
    return [
        Route("GET", _ASKED, PUBLIC, anybody(asked.show), "Asks a person what an application may do.", page=True),
        Route("POST", _ASKED, SELF, signed_in(asked.answer), "A person allows it or not.", page=True),
        Route("POST", f"{_ASKED}/patient", SELF, signed_in(asked.pick), "Finds and chooses the patient.", page=True),
        Route("GET", "/account/apps", SELF, signed_in(apps.show), "The applications of a person.", page=True),
        Route("GET", "/launch", SELF, signed_in(launch.show), "Applications that can be opened here.", page=True),
        Route("GET", "/launch/{app}", SELF, signed_in(launch.choose), "Asks for which patient.", page=True),
        Route("POST", "/launch/{app}", SELF, signed_in(launch.open), "Opens an application with a patient.", page=True),
        Route("POST", end, SELF, signed_in(apps.end), "Takes back what an application was allowed.", page=True),
    ]
