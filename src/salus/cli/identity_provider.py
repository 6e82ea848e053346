# SPDX-License-Identifier: Apache-2.0
"""`salus identity-provider`: whom people may sign in with, and who there is who here."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import cast

import click
import msgspec

from salus.app.house import House
from salus.audit.event import EventType
from salus.cli.shell import as_json, data_dir, noted, open_house, secret_from, table, tells_problems
from salus.cli.shell import tenant as tenant_option
from salus.identity.federation.provider import ALGORITHMS, AuthMethod, Provider
from salus.identity.federation.providers import new_private_key, public_key
from salus.kernel.clock import instant
from salus.kernel.commit import Unit
from salus.kernel.errors import Kind, Problem

_METHODS = ("client_secret_basic", "client_secret_post", "private_key_jwt")


@click.group("identity-provider")
def identity_provider() -> None:
    """Identity providers of others, with which people sign in here."""


@identity_provider.command()
@click.argument("name")
@click.option("--issuer", required=True, help="Its issuer, exactly as it stands in its tokens.")
@click.option("--client-id", required=True, help="What it calls this server.")
@click.option("--title", default=None, help="For people, on the button; NAME when left out.")
@click.option(
    "--auth-method",
    type=click.Choice(_METHODS),
    default=_METHODS[0],
    show_default=True,
    help="How this server proves itself there. With private_key_jwt it makes a key and prints the public half.",
)
@click.option(
    "--algorithm",
    "algorithms",
    multiple=True,
    type=click.Choice(ALGORITHMS),
    default=("RS256",),
    show_default=True,
    help="What it may sign with; may be repeated.",
)
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    default=("profile",),
    show_default=True,
    help="What is asked for beside openid; may be repeated.",
)
@click.option("--acr", "acr_values", multiple=True, help="Level that is asked for (acr_values); may be repeated.")
@click.option(
    "--trust-acr", "trusted_acr", multiple=True, help="Value of acr that counts as two factors; may be repeated."
)
@click.option(
    "--trust-amr", "trusted_amr", multiple=True, help="Value of amr that counts as a second factor; may be repeated."
)
@click.option("--create", is_flag=True, help="Make an account at the first sign-in of somebody who has none.")
@click.option("--role", "roles", multiple=True, help="Role of such accounts; may be repeated.")
@tenant_option
@data_dir
@tells_problems
def add(
    name: str,
    issuer: str,
    client_id: str,
    title: str | None,
    auth_method: str,
    algorithms: tuple[str, ...],
    scopes: tuple[str, ...],
    acr_values: tuple[str, ...],
    trusted_acr: tuple[str, ...],
    trusted_amr: tuple[str, ...],
    create: bool,
    roles: tuple[str, ...],
    tenant: str,
    data_dir: Path,
) -> None:
    """Register an identity provider. The client secret is asked for, or read from a pipe."""
    by_key = auth_method == "private_key_jwt"
    secret = new_private_key() if by_key else secret_from("Client secret")
    provider = Provider(
        id=name,
        title=title or name,
        issuer=issuer,
        client_id=client_id,
        auth_method=cast("AuthMethod", auth_method),
        secret=secret,
        algorithms=algorithms,
        scopes=scopes,
        acr_values=acr_values,
        trusted_acr=trusted_acr,
        trusted_amr=trusted_amr,
        create=create,
        roles=roles,
    )

    def act(house: House, unit: Unit) -> tuple[str, str]:
        _check_fit(house, provider)
        house.directories.providers.add(unit, tenant, provider)
        reason = f"identity provider {name} registered" + (", makes accounts" if create else "")
        return reason, house.directories.party.redirect_uri(tenant, name)

    address = noted(data_dir, tenant, EventType.FEDERATION_CHANGE, act)
    click.echo(f"registered {name}")
    click.echo(f"redirect URI to register there: {address}")
    click.echo(f"back-channel logout URI: {_logout_uri(address)}")
    if by_key:
        click.echo(f"public key to register there: {json.dumps({'keys': [public_key(secret)]})}")


@identity_provider.command("list")
@as_json
@tenant_option
@data_dir
@tells_problems
def list_(as_json: bool, tenant: str, data_dir: Path) -> None:
    """List identity providers, without their secrets."""
    with open_house(data_dir) as house:
        links = house.directories.links
        rows = [
            (
                each.id,
                each.title,
                each.issuer,
                each.client_id,
                each.auth_method,
                " ".join(each.algorithms),
                " ".join((*each.trusted_acr, *each.trusted_amr)),
                ", ".join(each.roles) if each.create else "",
                len(links.of_provider(tenant, each.id)),
                "disabled" if each.disabled else "",
            )
            for each in house.directories.providers.all(tenant)
        ]
    columns = ("name", "title", "issuer", "client", "method", "algorithms", "trusted for", "makes", "links", "state")
    table(columns, rows, machine=as_json)


@identity_provider.command()
@click.argument("name")
@tenant_option
@data_dir
@tells_problems
def secret(name: str, tenant: str, data_dir: Path) -> None:
    """Set a new client secret (asked for, or read from a pipe), or make and print a new key."""
    with open_house(data_dir) as house:
        by_key = house.directories.providers.known(tenant, name).auth_method == "private_key_jwt"
    new = new_private_key() if by_key else secret_from("Client secret")
    _change(data_dir, tenant, name, "has a new secret", lambda known: msgspec.structs.replace(known, secret=new))
    click.echo(f"public key to register there: {json.dumps({'keys': [public_key(new)]})}" if by_key else "set")


@identity_provider.command()
@click.argument("name")
@tenant_option
@data_dir
@tells_problems
def disable(name: str, tenant: str, data_dir: Path) -> None:
    """Let nobody sign in with it; sessions that began there go on."""
    _change(data_dir, tenant, name, "disabled", lambda known: msgspec.structs.replace(known, disabled=True))
    click.echo(f"disabled {name}")


@identity_provider.command()
@click.argument("name")
@tenant_option
@data_dir
@tells_problems
def enable(name: str, tenant: str, data_dir: Path) -> None:
    """Let people sign in with it again."""
    _change(data_dir, tenant, name, "enabled", lambda known: msgspec.structs.replace(known, disabled=False))
    click.echo(f"enabled {name}")


@identity_provider.command()
@click.argument("name")
@tenant_option
@data_dir
@tells_problems
def remove(name: str, tenant: str, data_dir: Path) -> None:
    """Remove it with the links to it; accounts stay."""

    def act(house: House, unit: Unit) -> tuple[str, None]:
        house.directories.providers.remove(unit, tenant, name)
        return f"identity provider {name} removed", None

    noted(data_dir, tenant, EventType.FEDERATION_CHANGE, act)
    click.echo(f"removed {name}")


@identity_provider.command()
@click.argument("name")
@click.argument("account")
@click.argument("subject")
@tenant_option
@data_dir
@tells_problems
def link(name: str, account: str, subject: str, tenant: str, data_dir: Path) -> None:
    """Link ACCOUNT to the person whom the identity provider NAME calls SUBJECT (the claim `sub`)."""

    def act(house: House, unit: Unit) -> tuple[str, None]:
        provider = house.directories.providers.known(tenant, name)
        house.directories.links.link(unit, tenant, provider=name, issuer=provider.issuer, subject=subject, name=account)
        return f"account {account} linked at {name}", None

    noted(data_dir, tenant, EventType.FEDERATION_LINK, act)
    click.echo("linked")


@identity_provider.command()
@click.argument("name")
@click.argument("account")
@tenant_option
@data_dir
@tells_problems
def unlink(name: str, account: str, tenant: str, data_dir: Path) -> None:
    """Take away the links of ACCOUNT to the identity provider NAME."""

    def act(house: House, unit: Unit) -> tuple[str, None]:
        house.directories.links.unlink(unit, tenant, account, name)
        return f"account {account} no longer linked at {name}", None

    noted(data_dir, tenant, EventType.FEDERATION_LINK, act)
    click.echo("unlinked")


@identity_provider.command()
@click.argument("name")
@as_json
@tenant_option
@data_dir
@tells_problems
def links(name: str, as_json: bool, tenant: str, data_dir: Path) -> None:
    """List who is linked to the identity provider NAME."""
    with open_house(data_dir) as house:
        house.directories.providers.known(tenant, name)
        rows = [
            (each.user, each.subject, instant(each.created_ms))
            for each in house.directories.links.of_provider(tenant, name)
        ]
    table(("account", "subject", "linked"), rows, machine=as_json)


def _change(data_dir: Path, tenant: str, name: str, words: str, change: Callable[[Provider], Provider]) -> None:
    def act(house: House, unit: Unit) -> tuple[str, None]:
        providers = house.directories.providers
        providers.replace(unit, tenant, change(providers.known(tenant, name)))
        return f"identity provider {name} {words}", None

    noted(data_dir, tenant, EventType.FEDERATION_CHANGE, act)


def _check_fit(house: House, provider: Provider) -> None:
    policy = house.access.policy
    known = policy.roles if policy is not None else {}
    for role in provider.roles:
        if role not in known:
            raise Problem(Kind.INCORRECT, f"The policy has no role {role}. It has: {', '.join(sorted(known))}.")
    if house.people.life.takes_two(provider.roles):
        words = "A role that two administrators give together is not given at a first sign-in."
        raise Problem(Kind.INCORRECT, words)


def _logout_uri(redirect_uri: str) -> str:
    base, _, name = redirect_uri.rpartition("/sign-in/callback/")
    return f"{base}/sign-in/ended/{name}"


COMMANDS = {"identity-provider": identity_provider}
