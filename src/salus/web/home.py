# SPDX-License-Identifier: Apache-2.0
"""The front page: for a stranger where to sign in, for a person what they can do here."""

from __future__ import annotations

from salus.access.purposes import PURPOSES
from salus.http.message import Response
from salus.identity.accounts.notices import QUIET, WORDS
from salus.identity.people import People
from salus.web.account import instant_words
from salus.web.reception import Visit

TILES: list[tuple[str, str, str]] = [
    ("/launch", "Open an application", "With a patient of yours; you decide what it may see."),
    ("/account/apps", "Applications", "Those that act in your name, and how to take that back."),
    ("/account", "Ways to sign in", "Passkeys, authenticator app, password and recovery codes."),
    ("/account/sessions", "Devices", "Where you are signed in. Sign a device out from here."),
    ("/account/history", "History", "Your sign-ins, and what was changed in your account."),
]
"""What everybody who is signed in can do: path, title, words."""


class Home:
    """The front page.

    Args:
        people: knows what a person was not told yet.
    """

    def __init__(self, people: People) -> None:
        self._people = people

    async def front(self, visit: Visit) -> Response:
        """GET /"""
        if visit.session is None:
            return visit.page("landing.jinja")
        user = visit.session.user
        news = [n for n in self._people.notices.of_user(user.tenant, user.id) if not n.seen and n.kind not in QUIET]
        return visit.page(
            "home.jinja",
            session=visit.session,
            purpose=PURPOSES.get(visit.session.purpose, visit.session.purpose),
            news=WORDS[news[0].kind] if news else "",
            tiles=TILES,
            when=instant_words,
        )
