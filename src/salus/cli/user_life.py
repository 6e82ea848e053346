# SPDX-License-Identifier: Apache-2.0
"""`salus user`, the part about the life of accounts: invite, suspend, leave, come back, reset, sessions.

Whoever runs these has a shell on the server and holds its keys: no second person is asked for, and everything is
written to the log. Nobody but the person ever learns their password.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from salus.app.house import House
from salus.audit.event import EventType
from salus.cli.shell import (
    as_json,
    data_dir,
    in_house,
    noted,
    open_house,
    secret_from,
    settings_of,
    table,
    tells_problems,
)
from salus.cli.shell import tenant as tenant_option
from salus.cli.user import check_roles, user
from salus.identity.accounts.users import no_account
from salus.identity.ceremonies.flow import Began
from salus.identity.factors.breached import import_list
from salus.kernel.clock import instant
from salus.kernel.commit import Unit
from salus.kernel.errors import Kind, Problem

_LOST = {"password": Began.PASSWORD, "factors": Began.FACTORS, "all": Began.ALL}


def _do(data_dir: Path, tenant: str, type_: EventType, reason: str, act: Callable[[House, Unit], object]) -> object:
    """One act and its audit entry in one commit; gives what the act gave."""

    return noted(data_dir, tenant, type_, lambda house, unit: (reason, act(house, unit)))


def _hand_over(data_dir: Path, name: str, made: object) -> None:
    """Print a code for somebody."""
    if not isinstance(made, tuple):
        return
    code, ends = made
    where = f"{settings_of(data_dir).base_url}/sign-in"
    click.echo(f"code for {name}, shown once: {code}")
    click.echo(f"it works once, until {instant(ends)}, at {where} (“I have an invitation, or a code”)")


@user.command()
@click.argument("name")
@click.option("--role", "roles", multiple=True, required=True, help="Role of the policy; may be repeated.")
@click.option("--display", default="", help="Name for people.")
@click.option("--party", default="", help="The FHIR record that stands for the account: Practitioner/1, Patient/2.")
@tenant_option
@data_dir
@tells_problems
def invite(name: str, roles: tuple[str, ...], display: str, party: str, tenant: str, data_dir: Path) -> None:
    """Add the account NAME of a person, who chooses a password and binds a factor with the code that is printed.

    For somebody who was invited and has not enrolled yet: make a new code.
    """

    def act(house: House, unit: Unit) -> object:
        check_roles(house, roles)
        life = house.people.life
        if house.users.find(tenant, name) is not None:
            return life.invite_again(unit, tenant, name)
        return life.invite(unit, tenant, name, roles=roles, display=display or name, party=party)

    reason = f"account {name}, roles {', '.join(roles)}"
    _hand_over(data_dir, name, _do(data_dir, tenant, EventType.USER_INVITE, reason, act))


@user.command()
@click.argument("name")
@tenant_option
@data_dir
@tells_problems
def suspend(name: str, tenant: str, data_dir: Path) -> None:
    """Keep somebody, or a service, out for now; sessions, tokens and applications of theirs end within a second."""

    def act(house: House, unit: Unit) -> None:
        house.people.life.suspend(unit, tenant, name)

    _do(data_dir, tenant, EventType.USER_SUSPEND, f"account {name}", act)
    click.echo(f"suspended {name}")


@user.command()
@click.argument("name")
@tenant_option
@data_dir
@tells_problems
def reinstate(name: str, tenant: str, data_dir: Path) -> None:
    """Open a suspended account again, or invite somebody again who had left."""

    def act(house: House, unit: Unit) -> object:
        return house.people.life.reinstate(unit, tenant, name)

    made = _do(data_dir, tenant, EventType.USER_REINSTATE, f"account {name}", act)
    click.echo(f"reinstated {name}")
    _hand_over(data_dir, name, made)


@user.command()
@click.argument("name")
@tenant_option
@data_dir
@tells_problems
def leave(name: str, tenant: str, data_dir: Path) -> None:
    """End everything of somebody who leaves: sessions, tokens, applications, password, passkeys and codes.

    The account stays, closed: the audit log goes on naming it.
    """

    def act(house: House, unit: Unit) -> None:
        house.people.life.leave(unit, tenant, name)

    _do(data_dir, tenant, EventType.USER_LEAVE, f"account {name}", act)
    click.echo(f"{name} has left")


@user.command()
@click.argument("name")
@click.option("--lost", type=click.Choice(sorted(_LOST)), required=True, help="What has been lost.")
@tenant_option
@data_dir
@tells_problems
def reset(name: str, lost: str, tenant: str, data_dir: Path) -> None:
    """Print a code for somebody who lost the password or the second factor; what is not lost is still asked for."""

    def act(house: House, unit: Unit) -> object:
        return house.people.life.reset(unit, tenant, name, _LOST[lost])

    _hand_over(data_dir, name, _do(data_dir, tenant, EventType.USER_RESET, f"account {name}, lost: {lost}", act))


@user.command()
@click.argument("name")
@as_json
@tenant_option
@data_dir
@tells_problems
def sessions(name: str, as_json: bool, tenant: str, data_dir: Path) -> None:
    """List where somebody is signed in."""
    with open_house(data_dir) as house:
        if house.users.find(tenant, name) is None:
            raise no_account()
        rows = [
            (s.id, s.device, s.address, " ".join(s.amr), instant(s.created_ms), instant(s.seen_ms), instant(s.ends_ms))
            for s in house.sessions.of_user(tenant, name)
        ]
    table(("id", "device", "address", "with", "begun", "seen", "ends"), rows, machine=as_json)


@user.command("sign-out")
@click.argument("name")
@click.option("--session", "session", default="", help="This session only; without it all sessions and tokens.")
@tenant_option
@data_dir
@tells_problems
def sign_out(name: str, session: str, tenant: str, data_dir: Path) -> None:
    """Sign somebody out everywhere, within a second."""

    def act(house: House, unit: Unit) -> None:
        if house.users.find(tenant, name) is None:
            raise no_account()
        if session:
            house.sessions.end(unit, tenant, session, name=name)
        else:
            house.users.end_access(unit, tenant, name)

    reason = f"account {name}, {'one session' if session else 'all sessions and tokens'}"
    _do(data_dir, tenant, EventType.SESSION_END, reason, act)
    click.echo(f"signed {name} out")


@user.command()
@click.argument("name")
@tenant_option
@data_dir
@tells_problems
def password(name: str, tenant: str, data_dir: Path) -> None:
    """Set the password of a test laboratory's machine (asked for, or read from a pipe). People choose their own."""
    if name not in settings_of(data_dir).identity.laboratory:
        words = "People choose their own password. Make a code for them: salus user reset NAME --lost password"
        raise Problem(Kind.INCORRECT, words)
    secret = secret_from("New password", confirm=True)

    async def work(house: House) -> None:
        unit = Unit()
        await house.users.set_password(unit, tenant, name, secret)
        await house.record(unit, house.operator(tenant), EventType.USER_CHANGE, f"password of {name} set")

    in_house(data_dir, work)
    click.echo(f"set the password of {name}")


@user.group("breached-list")
def breached_list() -> None:
    """Passwords that have leaked elsewhere, which nobody may choose."""


@breached_list.command("import")
@click.argument("source", type=click.Path(path_type=Path))
@click.option("--at-least", default=1, show_default=True, help="Leave out what has leaked less often.")
@data_dir
@tells_problems
def import_(source: Path, at_least: int, data_dir: Path) -> None:
    """Make the list from SOURCE: SHA-1 hashes with counts, one sorted file or a folder of files by prefix.

    A running server uses it from then on; nothing is ever asked for online.
    """
    settings = settings_of(data_dir)
    target = settings.path(settings.identity.breached_list)
    click.echo(f"{import_list(source, target, at_least=at_least)} passwords in {target.name}")


COMMANDS = {"user": user}
