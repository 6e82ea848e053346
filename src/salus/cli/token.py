# SPDX-License-Identifier: Apache-2.0
"""`salus token`: issue, list and revoke access tokens."""

from __future__ import annotations

from pathlib import Path

import click

from salus.app.certificates import shown
from salus.app.house import House
from salus.audit.event import EventType
from salus.cli.shell import as_json, data_dir, in_house, noted, open_house, table, tells_problems
from salus.cli.shell import tenant as tenant_option
from salus.fhir.smart.scopes import parse
from salus.kernel.clock import instant
from salus.kernel.commit import Unit
from salus.kernel.errors import Kind, Problem

_HOUR_MS = 3_600_000


@click.group()
def token() -> None:
    """Issue, list and revoke access tokens."""


@token.command()
@click.argument("account")
@click.option("--purpose", default="TREAT", show_default=True, help="Purpose of use (HL7 PurposeOfUse code).")
@click.option("--hours", type=float, default=None, help="Life of the token; the longest allowed when left out.")
@click.option("--label", default="", help="What it is for.")
@click.option("--scope", "scopes", multiple=True, help="Narrow it, e.g. user/Observation.rs; may be repeated.")
@click.option(
    "--certificate",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="Let a service in by this certificate (PEM) on the port for services, instead of a token.",
)
@tenant_option
@data_dir
@tells_problems
def issue(
    account: str,
    purpose: str,
    hours: float | None,
    label: str,
    scopes: tuple[str, ...],
    certificate: Path | None,
    tenant: str,
    data_dir: Path,
) -> None:
    """Issue a token to ACCOUNT and print it, once, alone on standard output.

    With --certificate no token is made: the id is printed by which `salus token revoke` ends it.
    """
    if certificate is not None and hours is not None:
        raise Problem(Kind.INCORRECT, "A certificate says itself how long it is valid; leave --hours out.")

    async def work(house: House) -> str:
        user = house.users.find(tenant, account)
        if user is None:
            raise Problem(Kind.NOT_FOUND, "There is no such account.")
        if any(parse(scope) is None for scope in scopes):
            raise Problem(Kind.INVALID, "A scope is not understood; see docs/reference/scopes.md.")
        served = house.services.access.purposes(user.roles)
        if served and purpose not in served:
            click.echo(
                f"salus: no role of {account} may be used for {purpose}; its own: {', '.join(served)}.", err=True
            )
        unit = Unit()
        if certificate is not None:
            digest, ends = shown(certificate)
            record = house.tokens.admit(unit, user, purpose, digest, ends, label=label, scopes=scopes)
            reason = f"certificate sha256:{digest} as {record.id} for {account}, purpose {purpose}"
            await house.record(unit, house.operator(tenant), EventType.TOKEN_ISSUE, reason)
            return record.id
        lifetime = None if hours is None else int(hours * _HOUR_MS)
        text, record = house.tokens.issue(unit, user, purpose, lifetime_ms=lifetime, label=label, scopes=scopes)
        reason = f"token {record.id} for {account}, purpose {purpose}"
        await house.record(unit, house.operator(tenant), EventType.TOKEN_ISSUE, reason)
        return text

    click.echo(in_house(data_dir, work))


@token.command("list")
@click.option("--account", default=None, help="Only tokens of this account.")
@as_json
@tenant_option
@data_dir
@tells_problems
def list_(account: str | None, as_json: bool, tenant: str, data_dir: Path) -> None:
    """List live tokens; the tokens themselves are kept nowhere."""
    with open_house(data_dir) as house:
        rows = [
            (t.id, t.user, t.purpose, " ".join(t.scopes), instant(t.created_ms), instant(t.expires_ms), t.label)
            for t in house.tokens.all_tokens(tenant, account)
        ]
    table(("id", "account", "purpose", "scopes", "issued", "expires", "label"), rows, machine=as_json)


@token.command()
@click.argument("id_", metavar="ID")
@tenant_option
@data_dir
@tells_problems
def revoke(id_: str, tenant: str, data_dir: Path) -> None:
    """End the token with this ID; running servers refuse it within a second."""

    def act(house: House, unit: Unit) -> tuple[str, None]:
        house.tokens.revoke(unit, tenant, id_)
        return f"token {id_}", None

    noted(data_dir, tenant, EventType.TOKEN_REVOKE, act)
    click.echo("revoked")


COMMANDS = {"token": token}
