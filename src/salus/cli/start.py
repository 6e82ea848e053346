# SPDX-License-Identifier: Apache-2.0
"""`salus init` and `salus serve`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import click

from salus.app import safety
from salus.app.certificates import fingerprint
from salus.app.found import found, note_founding
from salus.app.found import keys_from as keys_file
from salus.app.house import House
from salus.app.listening import check_free
from salus.app.packages import install_configured
from salus.app.renewing import renew_if_due
from salus.app.safety_keys import needs_passphrase, offer_passphrase
from salus.app.server import serve as run_server
from salus.app.unsealing import Agent, is_split, opened_by
from salus.audit.event import EventType
from salus.cli.package import tell
from salus.cli.shell import EXIT_REFUSED, data_dir, open_house, secret_from, settings_of, tells_problems
from salus.kernel.commit import Unit
from salus.kernel.settings import Keys, Settings


@click.command()
@data_dir
@click.option("--host", default="127.0.0.1", show_default=True, help="IP address to listen on; 0.0.0.0 for all.")
@click.option("--port", type=click.IntRange(1, 65_535), default=8443, show_default=True, help="Port to listen on.")
@click.option("--base-url", default="", help="Address under which others reach this server.")
@click.option(
    "--root-key-file",
    default="keys/root.key",
    show_default=True,
    help="Where the root key is kept; best outside the data folder, on another disk.",
)
@click.option("--passphrase", is_flag=True, help="Seal the root key under a passphrase (asked for, or piped in).")
@click.option("--officers", type=int, help="Split the root key among so many officers; their shares are printed once.")
@click.option("--needed", type=int, help="How many officers open the root key together.")
@click.option(
    "--keys-from",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Use a key service: a file with the section [keys] of the settings.",
)
@click.option("--make-key", is_flag=True, help="Make the key in the key service first (PKCS#11).")
@tells_problems
def init(
    data_dir: Path,
    host: str,
    port: int,
    base_url: str,
    root_key_file: str,
    passphrase: bool,
    officers: int | None,
    needed: int | None,
    keys_from: Path | None,
    make_key: bool,
) -> None:
    """Make a data folder: keys, certificate, policy and settings."""
    if (officers is None) != (needed is None) or sum((passphrase, officers is not None, keys_from is not None)) > 1:
        raise click.UsageError("--officers and --needed belong together, without --passphrase or --keys-from.")
    secret = secret_from("Passphrase for the root key", confirm=True).encode() if passphrase else None
    if passphrase:
        offer_passphrase(secret)
    shares: list[str] = []
    settings = found(
        data_dir.absolute(),
        host=host,
        port=port,
        base_url=base_url,
        keys=keys_file(keys_from) if keys_from else Keys(root_key_file=root_key_file),
        passphrase=secret,
        officers=(needed, officers) if needed and officers else None,
        hand_out=shares.extend,
        make_key=make_key,
    )
    house = House(settings, provider=opened_by(settings, shares) if shares else None)
    try:
        asyncio.run(note_founding(house))
    finally:
        house.close()
    _tell_about_keys(settings, data_dir, shares)
    click.echo(f"Next: salus user add NAME --role physician --data-dir {data_dir}")
    click.echo(f"      salus serve --data-dir {data_dir}")


def _tell_about_keys(settings: Settings, data_dir: Path, shares: list[str]) -> None:
    if settings.keys.provider != "local":
        click.echo(f"Made {data_dir}. Its keys are wrapped by the key service ({settings.keys.provider}).")
        return
    click.echo(f"Made {data_dir}. The root key is {settings.path(settings.keys.root_key_file)}.")
    click.echo("Keep a copy of the root key apart from the backups: without it nothing can be read.")
    if shares:
        tell_shares(shares)


def tell_shares(shares: list[str]) -> None:
    """Print the officers' shares, for the first and last time."""
    click.echo("Give one of these shares to each officer; they are kept nowhere and not shown again:")
    for share in shares:
        click.echo(share)


@click.command()
@data_dir
@tells_problems
def serve(data_dir: Path) -> None:
    """Serve a data folder over HTTPS."""
    settings = settings_of(data_dir)
    renewed = renew_if_due(settings)  # it may have ended while the server was down
    refuse_unsafe(settings)
    check_free(settings.server)
    if needs_passphrase(settings):
        offer_passphrase(secret_from("Passphrase of the root key").encode())
    agent = unsealed(settings)
    with open_house(data_dir) as house:  # whatever cannot be opened is told here, before workers start
        for report in asyncio.run(install_configured(house)):
            if not report.unchanged:
                tell(report)
        if renewed:
            asyncio.run(house.record(Unit(), house.operator(), EventType.SERVER_CERTIFICATE, renewed))
    host = f"[{settings.server.host}]" if ":" in settings.server.host else settings.server.host
    click.echo(f"Salus listens on https://{host}:{settings.server.port} as {settings.base_url}")
    click.echo(f"certificate SHA-256 {fingerprint(settings.path(settings.server.tls_certificate))}")
    try:
        run_server(settings)
    finally:
        if agent is not None:
            agent.close()


def unsealed(settings: Settings) -> Agent | None:
    """Wait for the officers' shares when the root key is split; the agent then hands out the key."""
    if not is_split(settings):
        return None
    agent = Agent(settings, click.echo)
    click.echo("Sealed: each officer now runs `salus keys unseal` on this machine.")
    try:
        agent.wait()
    except BaseException:
        agent.close()
        raise
    return agent


def refuse_unsafe(settings: Settings) -> None:
    """End the command, with the reasons, when the settings are not safe to start with."""
    reasons = safety.unsafe(settings)
    for reason in reasons:
        click.echo(f"salus: {reason.what} {reason.mend}", err=True)
    if reasons:
        click.echo("salus: not started. `salus doctor` shows everything that could be better.", err=True)
        sys.exit(EXIT_REFUSED)


COMMANDS = {"init": init, "serve": serve}
