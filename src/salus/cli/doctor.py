# SPDX-License-Identifier: Apache-2.0
"""`salus doctor`: what is wrong with this installation, and how to mend it."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from salus.app.examine import examine
from salus.app.safety_keys import needs_passphrase, offer_passphrase
from salus.cli.shell import EXIT_FOUND, data_dir, secret_from, settings_of, tells_problems


@click.command()
@data_dir
@click.pass_context
@tells_problems
def doctor(ctx: click.Context, data_dir: Path) -> None:
    """Examine keys, TLS, policy, database, audit log, backups and disk. Exit code 1 when something is wrong."""
    settings = settings_of(data_dir)
    if needs_passphrase(settings) and sys.stdin.isatty():
        offer_passphrase(secret_from("Passphrase of the root key").encode())
    wrong = False
    for finding in examine(settings):
        wrong = wrong or finding.mark == "WRONG"
        click.echo(f"{finding.mark:6} {finding.what}")
        if finding.mend:
            click.echo(f"       {finding.mend}")
    if wrong:
        ctx.exit(EXIT_FOUND)


COMMANDS = {"doctor": doctor}
