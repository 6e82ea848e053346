# SPDX-License-Identifier: Apache-2.0
"""The command line. Verbs over the same services as the server; what is done here is audited like anything else.

Exit codes: 0 done, 1 found a problem, 2 misuse, 3 refused, 4 unavailable.
"""

from __future__ import annotations

import importlib

import click

from salus import __version__

_COMMANDS = {
    "init": "salus.cli.start",
    "serve": "salus.cli.start",
    "demo": "salus.cli.demo",
    "doctor": "salus.cli.doctor",
    "import": "salus.cli.importing",
    "token": "salus.cli.token",
    "user": "salus.cli.user",
    "audit": "salus.cli.audit",
    "access": "salus.cli.access",
    "tenant": "salus.cli.tenant",
    "certificate": "salus.cli.certificate",
}


class _Lazy(click.Group):
    """Imports a command's module when it is asked for, so that `salus --help` is quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        module = _COMMANDS.get(cmd_name)
        if module is None:
            return None
        found: click.Command = importlib.import_module(module).COMMANDS[cmd_name]
        return found


@click.command(cls=_Lazy)
@click.version_option(__version__, prog_name="salus")
def main() -> None:
    """Salus: a health-record server that is secure before anyone configures it."""
