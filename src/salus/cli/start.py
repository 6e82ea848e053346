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
from salus.app.packages import install_configured
from salus.app.server import serve as run_server
from salus.cli.package import tell
from salus.cli.shell import EXIT_REFUSED, data_dir, open_house, secret_from, settings_of, tells_problems
from salus.kernel.settings import Settings


@click.command()
@data_dir
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8443, show_default=True, help="Port to listen on.")
@click.option("--base-url", default="", help="Address under which others reach this server.")
@click.option(
    "--root-key-file",
    default="keys/root.key",
    show_default=True,
    help="Where the root key is kept; best outside the data folder, on another disk.",
)
@click.option("--passphrase", is_flag=True, help="Seal the root key under a passphrase (asked for, or piped in).")
@tells_problems
def init(data_dir: Path, host: str, port: int, base_url: str, root_key_file: str, passphrase: bool) -> None:
    """Make a data folder: keys, certificate, policy and settings."""
    secret = secret_from("Passphrase for the root key", confirm=True).encode() if passphrase else None
    if passphrase:
        safety.offer_passphrase(secret)
    settings = found(
        data_dir.absolute(),
        host=host,
        port=port,
        base_url=base_url,
        root_key_file=root_key_file,
        passphrase=secret,
    )
    with open_house(data_dir) as house:
        asyncio.run(note_founding(house))
    click.echo(f"Made {data_dir}. The root key is {settings.path(settings.keys.root_key_file)}.")
    click.echo("Keep a copy of the root key apart from the backups: without it nothing can be read.")
    click.echo(f"Next: salus user add NAME --role physician --data-dir {data_dir}")
    click.echo(f"      salus serve --data-dir {data_dir}")


@click.command()
@data_dir
@tells_problems
def serve(data_dir: Path) -> None:
    """Serve a data folder over HTTPS."""
    settings = settings_of(data_dir)
    refuse_unsafe(settings)
    if settings.keys.provider == "local" and safety.needs_passphrase(settings):
        safety.offer_passphrase(secret_from("Passphrase of the root key").encode())
    with open_house(data_dir) as house:  # whatever cannot be opened is told here, before workers start
        for report in asyncio.run(install_configured(house)):
            if not report.unchanged:
                tell(report)
    click.echo(f"Salus listens on https://{settings.server.host}:{settings.server.port} as {settings.base_url}")
    click.echo(f"certificate SHA-256 {fingerprint(settings.path(settings.server.tls_certificate))}")
    run_server(settings)


def refuse_unsafe(settings: Settings) -> None:
    """End the command, with the reasons, when the settings are not safe to start with."""
    reasons = safety.unsafe(settings)
    for reason in reasons:
        click.echo(f"salus: {reason.what} {reason.mend}", err=True)
    if reasons:
        click.echo("salus: not started. `salus doctor` shows everything that could be better.", err=True)
        sys.exit(EXIT_REFUSED)


COMMANDS = {"init": init, "serve": serve}
