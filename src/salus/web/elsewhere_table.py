# SPDX-License-Identifier: Apache-2.0
"""The routes on which people sign in with an identity provider of others."""

from __future__ import annotations

from salus.http.routes import PUBLIC, SELF, Route
from salus.identity.factors.assurance import FRESH
from salus.identity.federation.federation import Federation
from salus.web.ceremonies import Steps
from salus.web.elsewhere import ElsewherePages
from salus.web.reception import Reception


def elsewhere_pages(reception: Reception, steps: Steps, federation: Federation) -> list[Route]:
    """Every page about identity providers, for `salus.http.table.routes`."""
    own, anybody, known = ElsewherePages(steps, federation), reception.anybody, reception.signed_in
    links, one = "/account/links", "/account/links/{provider}"
    there, back = "/sign-in/with/{provider}", "/sign-in/callback/{provider}"
    return [
        Route("GET", there, PUBLIC, anybody(own.leave), "Sends a person to an identity provider.", page=True),
        Route("GET", back, PUBLIC, anybody(own.back), "Takes a person back from it.", page=True),
        Route("GET", links, SELF, known(own.links), "Identity providers that an account is linked to.", page=True),
        Route("POST", one, SELF, known(own.link), "Begins to link an account.", demand=FRESH, page=True),
        Route("POST", f"{one}/remove", SELF, known(own.unlink), "Takes a link away.", demand=FRESH, page=True),
    ]
