# SPDX-License-Identifier: Apache-2.0
"""`salus certificate`: the certificate of the local authority."""

from __future__ import annotations

from pathlib import Path

import click

from salus.app.certificates import days_left, fingerprint, issue
from salus.app.found import TLS_FOLDER, hosts_of
from salus.cli.shell import data_dir, settings_of, tells_problems


@click.group()
def certificate() -> None:
    """The server's TLS certificate."""


@certificate.command()
@data_dir
@tells_problems
def renew(data_dir: Path) -> None:
    """Issue a new certificate from the local authority; restart the server to use it."""
    settings = settings_of(data_dir)
    server = settings.server
    file, key = settings.path(server.tls_certificate), settings.path(server.tls_key)
    issue(settings.folder / TLS_FOLDER, file, key, hosts_of(server.host, settings.base_url))
    click.echo(f"SHA-256 {fingerprint(file)}, {days_left(file)} days")


@certificate.command()
@data_dir
@tells_problems
def show(data_dir: Path) -> None:
    """Show the fingerprint and the days left."""
    file = (settings := settings_of(data_dir)).path(settings.server.tls_certificate)
    click.echo(f"SHA-256 {fingerprint(file)}, {days_left(file)} days")


COMMANDS = {"certificate": certificate}
