# SPDX-License-Identifier: Apache-2.0
"""Ties the pages to the rooms of one house."""

from __future__ import annotations

from functools import partial

from salus.app.house import House
from salus.http.ceremonies import Ceremonies
from salus.web.account import AccountPages
from salus.web.assets import Assets
from salus.web.authorize import proposed
from salus.web.ceremonies import Steps
from salus.web.enrol import EnrolPages
from salus.web.home import Home
from salus.web.reception import Reception
from salus.web.sign_in import SignInPages
from salus.web.table import Web


def web_of(house: House) -> Web:
    """Everything that draws pages."""
    people = house.people
    steps = Steps(
        people,
        Ceremonies(people),
        house.access.purposes,
        people.passkeys.party.possible,
        house.directories.providers.offered,
        partial(proposed, house.oauth),
    )
    return Web(
        reception=Reception(house.sessions, Assets()),
        home=Home(people),
        steps=steps,
        sign_in=SignInPages(steps),
        enrol=EnrolPages(steps),
        account=AccountPages(steps),
    )
