# SPDX-License-Identifier: Apache-2.0
"""The routes for people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from salus.http.routes import PUBLIC, SELF, Handler, Route
from salus.identity.factors.assurance import FRESH, Demand
from salus.web.account import AccountPages
from salus.web.ceremonies import Steps
from salus.web.enrol import EnrolPages
from salus.web.home import Home
from salus.web.reception import Reception
from salus.web.sign_in import SignInPages


@dataclass(frozen=True, slots=True)
class Web:
    """Everything that draws pages, wired by `salus.app`."""

    reception: Reception
    home: Home
    steps: Steps
    sign_in: SignInPages
    enrol: EnrolPages
    account: AccountPages


def pages(web: Web) -> list[Route]:
    """Every page, for `salus.http.table.routes`."""
    anybody = web.reception.anybody
    return [
        _open("GET", "/", anybody(web.home.front), "The front page, or what a signed-in person can do."),
        Route("GET", "/static/{file}", PUBLIC, web.reception.assets.give, "Styles, scripts and fonts.", free=True),
        *_ceremony(web),
        *_account(web),
    ]


def _ceremony(web: Web) -> Sequence[Route]:
    door, enrol = web.sign_in, web.enrol
    anybody, known, step = web.reception.anybody, web.reception.signed_in, web.steps.under_way
    at = "/sign-in"
    return [
        _open("GET", at, anybody(door.first), "Asks for a passkey, or name and password."),
        _open("POST", at, anybody(door.password), "Takes name and password."),
        _open("POST", f"{at}/passkey/begin", anybody(door.passkey_begin), "What a passkey is asked at the beginning."),
        _open("GET", f"{at}/invitation", anybody(door.invited), "Asks for the code of an administrator."),
        _open("POST", f"{at}/invitation", anybody(door.invitation), "Takes the code of an administrator."),
        _open("GET", f"{at}/step", anybody(step(door.step)), "Asks for whatever comes next."),
        _open("POST", f"{at}/passkey/options", anybody(step(door.passkey_options)), "What a passkey is asked next."),
        _open("POST", f"{at}/passkey", anybody(step(door.passkey)), "Takes what a passkey answered."),
        _open("POST", f"{at}/code", anybody(step(door.code)), "Takes a code of the authenticator application."),
        _open("GET", f"{at}/recovery", anybody(step(door.lost)), "Asks for a recovery code."),
        _open("POST", f"{at}/recovery", anybody(step(door.recovery)), "Takes a recovery code."),
        _open("POST", f"{at}/password", anybody(step(enrol.password)), "Takes the password that somebody chose."),
        _open("POST", f"{at}/enrol/app", anybody(step(enrol.begin_code)), "Shows the secret for an application."),
        _open("POST", f"{at}/enrol/code", anybody(step(enrol.confirm_code)), "Takes its first code."),
        _open("POST", f"{at}/enrol/passkey", anybody(step(enrol.passkey)), "Takes a new passkey."),
        _open("GET", f"{at}/codes.txt", anybody(step(enrol.codes_text)), "The recovery codes as a file, once."),
        _open("POST", f"{at}/codes", anybody(step(enrol.codes_kept)), "Says that the recovery codes are kept."),
        _open("POST", f"{at}/finish", anybody(step(door.finish)), "Takes the purpose of use, and signs in."),
        _own("GET", "/step-up", known(door.again), "Asks for the factors again."),
        _own("POST", "/step-up", known(door.password), "Takes the password again."),
        _own("POST", "/step-up/passkey/begin", known(door.passkey_begin), "What a passkey is asked again."),
        _own("POST", "/sign-out", known(door.sign_out), "Ends the session."),
    ]


def _account(web: Web) -> Sequence[Route]:
    own, known = web.account, web.reception.signed_in
    at = "/account"
    factor, session = f"{at}/factors/{{id}}", f"{at}/sessions/{{id}}/end"
    return [
        _own("GET", at, known(own.overview), "Who you are, and how you sign in."),
        _own("GET", f"{at}/factors/new", known(own.add_factor), "Begins to bind a factor.", FRESH),
        _own("GET", f"{factor}/name", known(own.ask_name), "Asks for a new name of a passkey."),
        _own("POST", f"{factor}/name", known(own.name), "Renames a passkey."),
        _own("GET", f"{factor}/remove", known(own.ask_remove), "Asks whether to take a factor away.", FRESH),
        _own("POST", f"{factor}/remove", known(own.remove), "Takes a factor away.", FRESH),
        _own("GET", f"{at}/password", known(own.ask_password), "Asks for a new password.", FRESH),
        _own("POST", f"{at}/password", known(own.password), "Changes the password.", FRESH),
        _own("GET", f"{at}/recovery", known(own.ask_codes), "Offers new recovery codes.", FRESH),
        _own("POST", f"{at}/recovery", known(own.codes), "Makes new recovery codes.", FRESH),
        _own("GET", f"{at}/sessions", known(own.sessions), "Where you are signed in."),
        _own("POST", f"{at}/sessions/end-others", known(own.end_others), "Signs out everywhere else."),
        _own("POST", session, known(own.end_session), "Signs a device out."),
        _own("GET", f"{at}/history", known(own.history), "Sign-ins, and what was changed."),
        _own("POST", f"{at}/object", known(own.object), "Stops a reset of one's own account."),
    ]


def _open(method: str, pattern: str, handler: Handler, doc: str) -> Route:
    return Route(method, pattern, PUBLIC, handler, doc, page=True)


def _own(method: str, pattern: str, handler: Handler, doc: str, demand: Demand | None = None) -> Route:
    return Route(method, pattern, SELF, handler, doc, demand=demand, page=True)
