# SPDX-License-Identifier: Apache-2.0
"""`salus certificate`: the certificate of the local authority."""

from __future__ import annotations

from pathlib import Path

import click

from salus.app.certificates import days_left, fingerprint
from salus.app.house import House
from salus.app.renewing import renew as renew_now
from salus.audit.event import EventType
from salus.cli.shell import data_dir, in_house, settings_of, tells_problems
from salus.kernel.commit import Unit


@click.group()
def certificate() -> None:
    """The server's TLS certificate."""


@certificate.command()
@data_dir
@tells_problems
def renew(data_dir: Path) -> None:
    """Issue a new certificate from the local authority; a running server puts it to use within seconds."""

    async def work(house: House) -> str:
        reason = renew_now(house.settings)
        await house.record(Unit(), house.operator(), EventType.SERVER_CERTIFICATE, reason)
        return reason

    click.echo(in_house(data_dir, work).removeprefix("certificate "))


@certificate.command()
@data_dir
@tells_problems
def show(data_dir: Path) -> None:
    """Show the fingerprint and the days left."""
    file = (settings := settings_of(data_dir)).path(settings.server.tls_certificate)
    click.echo(f"SHA-256 {fingerprint(file)}, {days_left(file)} days")


COMMANDS = {"certificate": certificate}
