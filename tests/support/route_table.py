# SPDX-License-Identifier: Apache-2.0
"""Every route of Salus, over rooms that are not there: for tests that read the table and call nobody."""

from __future__ import annotations

from typing import Any, cast

from salus.http import table
from salus.http.applications import application_routes
from salus.http.federation_api import federation_routes
from salus.http.oauth_api.table import routes_of
from salus.http.routes import Route
from salus.http.scim_api.table import scim_routes
from salus.http.users_api import user_routes
from salus.web.account import AccountPages
from salus.web.app_table import app_pages
from salus.web.assets import Assets
from salus.web.ceremonies import Steps
from salus.web.elsewhere_table import elsewhere_pages
from salus.web.enrol import EnrolPages
from salus.web.home import Home
from salus.web.reception import Reception
from salus.web.sign_in import SignInPages
from salus.web.table import Web, pages


class _Nothing:
    """A room that is not there; whatever is taken from it is not there either."""

    def __getattr__(self, name: str) -> _Nothing:
        return self


def every_route() -> tuple[Route, ...]:
    """The whole table, pages included."""
    nothing = cast(Any, _Nothing())
    steps = Steps(nothing, nothing, lambda _: (), passkeys=True)
    web = Web(
        Reception(nothing, Assets()),
        Home(nothing),
        steps,
        SignInPages(steps),
        EnrolPages(steps),
        AccountPages(steps),
    )
    apps = [*routes_of(nothing), *application_routes(nothing), *scim_routes(nothing)]
    apps += federation_routes(nothing, nothing)
    drawn = [
        *pages(web),
        *elsewhere_pages(web.reception, steps, nothing),
        *app_pages(web.reception, nothing, nothing, 0, 0),
    ]
    made = table.routes(nothing, nothing, lambda: None, drawn, apps, user_routes(nothing))
    return made.routes
