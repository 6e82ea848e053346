# SPDX-License-Identifier: Apache-2.0
"""`salus client`: applications and services that come to the authorization server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import msgspec

from salus.app.house import House
from salus.audit.event import EventType
from salus.cli.shell import as_json, data_dir, noted, open_house, table, tells_problems
from salus.cli.shell import tenant as tenant_option
from salus.identity.clients.client import ALGORITHMS, METHODS, Client
from salus.identity.clients.keys import from_pem
from salus.identity.clients.metadata import metadata_of
from salus.identity.clients.registry import no_client
from salus.kernel.clock import instant
from salus.kernel.commit import Unit
from salus.kernel.errors import Kind, Problem

_HOUR_MS = 3_600_000
_FIELDS: tuple[Callable[[Any], Any], ...] = (
    click.option("--name", default=None, help="Name for people."),
    click.option("--redirect", "redirect_uris", multiple=True, help="Redirect address, exact; may be repeated."),
    click.option("--launch", "launch_uri", default=None, help="Address where it is started from within the record."),
    click.option("--scope", "scopes", multiple=True, help="Scope that it may ask for; may be repeated."),
    click.option("--origin", "origins", multiple=True, help="Web origin of its scripts (CORS); may be repeated."),
    click.option(
        "--jwks",
        "jwks_file",
        type=click.Path(path_type=Path, dir_okay=False, exists=True),
        default=None,
        help="File with its public keys (JWK Set).",
    ),
    click.option("--jwks-uri", default=None, help="https address of its public keys."),
    click.option(
        "--algorithm",
        "algorithms",
        multiple=True,
        type=click.Choice(ALGORITHMS),
        help="Signature of its assertions; may be repeated. RS384 and ES384 when left out.",
    ),
    click.option("--account", default=None, help="Service account whose roles a backend service has."),
    click.option("--purpose", default=None, help="Purpose of use of a backend service."),
    click.option("--par/--no-par", "require_par", default=None, help="Its authorization requests have to be pushed."),
    click.option("--dpop/--no-dpop", "dpop", default=None, help="Its access tokens have to be bound to a key."),
    click.option(
        "--id-token",
        "id_token_alg",
        type=click.Choice(["RS256", "ES256"]),
        default=None,
        help="Signature of its id_tokens.",
    ),
)


def _fields(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(_FIELDS):
        command = option(command)
    return command


@click.group()
def client() -> None:
    """Applications and services: who they are, how they prove it, what they may ask for."""


@client.command()
@click.argument("id_", metavar="ID")
@click.option(
    "--backend", is_flag=True, help="A service that works by itself (SMART Backend Services), not for a person."
)
@click.option(
    "--auth",
    "auth_method",
    type=click.Choice(METHODS),
    default=None,
    help="How it proves who it is; none for a program on a person's own machine or in their browser.",
)
@click.option("--refresh/--no-refresh", default=True, show_default=True, help="It may get refresh tokens.")
@_fields
@tenant_option
@data_dir
@tells_problems
def add(
    id_: str, backend: bool, auth_method: str | None, refresh: bool, tenant: str, data_dir: Path, **fields: Any
) -> None:
    """Register the application or service ID. A secret, where it has one, is printed once."""
    method = auth_method or ("private_key_jwt" if fields["jwks_file"] or fields["jwks_uri"] or backend else "none")
    given = _given(fields)
    if method == "private_key_jwt":
        given.setdefault("algorithms", ("RS384", "ES384"))
    grants = ("client_credentials",) if backend else ("authorization_code", *(("refresh_token",) if refresh else ()))
    given |= {
        "id": id_,
        "tenant": tenant,
        "name": given.get("name", id_),
        "auth_method": method,
        "kind": "public" if method == "none" else "confidential",
        "profile": "backend" if backend else "user-app",
        "grant_types": grants,
    }
    if backend:
        given.setdefault("purpose", "TREAT")

    def act(house: House, unit: Unit) -> tuple[str, str]:
        made = house.apps.clients.add(unit, msgspec.convert(given, Client))
        secret = ""
        if made.auth_method.startswith("client_secret_"):
            secret, _ = house.apps.secrets.issue(unit, made)
        return f"client {made.id}", secret

    secret = noted(data_dir, tenant, EventType.CLIENT_CREATE, act)
    click.echo(f"registered {id_}")
    if secret:
        click.echo(f"secret, shown once: {secret}")


@client.command("list")
@as_json
@tenant_option
@data_dir
@tells_problems
def list_(as_json: bool, tenant: str, data_dir: Path) -> None:
    """List applications and services."""
    with open_house(data_dir) as house:
        rows = [
            (c.id, c.name, c.profile, c.auth_method, " ".join(c.scopes), "disabled" if c.disabled else "")
            for c in house.apps.clients.all(tenant)
        ]
    table(("id", "name", "profile", "auth", "scopes", "state"), rows, machine=as_json)


@client.command()
@click.argument("id_", metavar="ID")
@as_json
@tenant_option
@data_dir
@tells_problems
def show(id_: str, as_json: bool, tenant: str, data_dir: Path) -> None:
    """Show what is registered of ID, and when its secrets were made."""
    with open_house(data_dir) as house:
        found = _find(house, tenant, id_)
        said = metadata_of(found)
        secrets = house.apps.secrets.of(tenant, id_)
    rows = [(name, _written(value)) for name, value in said.items()]
    rows += [("secret", f"{s.id} of {instant(s.created_ms)}{_until(s.expires_ms)}") for s in secrets]
    table(("what", "value"), rows, machine=as_json)


@client.command()
@click.argument("id_", metavar="ID")
@_fields
@tenant_option
@data_dir
@tells_problems
def change(id_: str, tenant: str, data_dir: Path, **fields: Any) -> None:
    """Change what is registered of ID; what is repeated replaces what was there before."""
    given = _given(fields)
    if "jwks" in given:
        given["jwks_uri"] = ""
    elif "jwks_uri" in given:
        given["jwks"] = ""

    def act(house: House, unit: Unit) -> tuple[str, None]:
        old = _find(house, tenant, id_)
        house.apps.clients.change(unit, old, msgspec.structs.replace(old, **given))
        return f"client {id_}: {', '.join(sorted(given)) or 'nothing'}", None

    noted(data_dir, tenant, EventType.CLIENT_CHANGE, act)
    click.echo(f"changed {id_}")


@client.command()
@click.argument("id_", metavar="ID")
@click.option("--overlap-hours", type=int, default=0, show_default=True, help="How long the former secret goes on.")
@tenant_option
@data_dir
@tells_problems
def secret(id_: str, overlap_hours: int, tenant: str, data_dir: Path) -> None:
    """Make a new secret for ID and print it, once, alone on standard output."""

    def act(house: House, unit: Unit) -> tuple[str, str]:
        found = _find(house, tenant, id_)
        text, record = house.apps.secrets.issue(unit, found, overlap_ms=overlap_hours * _HOUR_MS)
        return f"client {id_}: new secret {record.id}, former one for {overlap_hours} hours", text

    click.echo(noted(data_dir, tenant, EventType.CLIENT_CHANGE, act))


@client.command()
@click.argument("id_", metavar="ID")
@tenant_option
@data_dir
@tells_problems
def disable(id_: str, tenant: str, data_dir: Path) -> None:
    """Shut ID out; what it holds ends within a second."""
    _switch(data_dir, tenant, id_, disabled=True)
    click.echo(f"disabled {id_}")


@client.command()
@click.argument("id_", metavar="ID")
@tenant_option
@data_dir
@tells_problems
def enable(id_: str, tenant: str, data_dir: Path) -> None:
    """Let ID in again; people have to agree anew."""
    _switch(data_dir, tenant, id_, disabled=False)
    click.echo(f"enabled {id_}")


@client.command()
@click.argument("id_", metavar="ID")
@tenant_option
@data_dir
@tells_problems
def remove(id_: str, tenant: str, data_dir: Path) -> None:
    """Remove ID with its secrets; what it holds ends within a second."""

    def act(house: House, unit: Unit) -> tuple[str, None]:
        house.apps.clients.remove(unit, tenant, id_)
        return f"client {id_}", None

    noted(data_dir, tenant, EventType.CLIENT_REMOVE, act)
    click.echo(f"removed {id_}")


@client.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--kid", default="", help="Name of the key; its thumbprint when left out.")
@tells_problems
def jwks(file: Path, kid: str) -> None:
    """Print the public key (PEM) in FILE as a JWK Set."""
    click.echo(from_pem(file.read_bytes(), kid))


def _switch(data_dir: Path, tenant: str, id_: str, *, disabled: bool) -> None:
    def act(house: House, unit: Unit) -> tuple[str, None]:
        house.apps.clients.set_disabled(unit, tenant, id_, disabled=disabled)
        return f"client {id_} {'disabled' if disabled else 'enabled'}", None

    noted(data_dir, tenant, EventType.CLIENT_CHANGE, act)


def _find(house: House, tenant: str, id_: str) -> Client:
    found = house.apps.clients.find(tenant, id_)
    if found is None:
        raise no_client()
    return found


def _given(fields: dict[str, Any]) -> dict[str, Any]:
    """What was said, without what was not."""
    said = {name: value for name, value in fields.items() if value is not None and value != ()}
    file = said.pop("jwks_file", None)
    if file is not None:
        try:
            said["jwks"] = file.read_text("utf-8")
        except (OSError, UnicodeDecodeError):
            raise Problem(Kind.INCORRECT, "The file of the keys cannot be read.") from None
    return said


def _written(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(map(str, value))
    return msgspec.json.encode(value).decode() if isinstance(value, dict | bool) else str(value)


def _until(expires_ms: int) -> str:
    return f", until {instant(expires_ms)}" if expires_ms else ""


COMMANDS = {"client": client}
