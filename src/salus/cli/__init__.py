# SPDX-License-Identifier: Apache-2.0
"""The command line. Verbs over the same services as the server; what is done here is audited like anything else.

Exit codes: 0 done, 1 found a problem, 2 misuse, 3 refused, 4 unavailable.
"""

from __future__ import annotations

import importlib

import click

from salus import __version__

# Name: module, and the first sentence of its help, kept here so that the list of commands loads none of them.
_COMMANDS = {
    "init": ("salus.cli.start", "Make a data folder: keys, certificate, policy and settings."),
    "serve": ("salus.cli.start", "Serve a data folder over HTTPS."),
    "demo": ("salus.cli.demo", "Serve a clinic of invented patients on https://localhost:8443."),
    "doctor": ("salus.cli.doctor", "Examine keys, TLS, policy, database, audit log, backups and disk."),
    "import": (
        "salus.cli.importing",
        "Import FHIR Bundles and NDJSON from PATHS",
    ),
    "package": (
        "salus.cli.package",
        "FHIR packages: profiles, search parameters, value sets and code systems of others.",
    ),
    "reindex": ("salus.cli.reindex", "Index records anew where search parameters or indexing itself have changed."),
    "terminology": ("salus.cli.terminology", "Large code systems from your own licensed files."),
    "token": ("salus.cli.token", "Issue, list and revoke access tokens."),
    "client": (
        "salus.cli.client",
        "Applications and services: who they are, how they prove it, what they may ask for.",
    ),
    "registration": ("salus.cli.registration", "Permissions with which programs register themselves."),
    "user": ("salus.cli.user_life", "Accounts of people and services."),
    "identity-provider": (
        "salus.cli.identity_provider",
        "Identity providers of others, with which people sign in here.",
    ),
    "scim": ("salus.cli.scim", "Provisioning: accounts and groups that a directory keeps here."),
    "keys": ("salus.cli.keys", "Keys: what there is, rotation, the key service, officers' shares."),
    "backup": (
        "salus.cli.backup",
        "Backups that this server can write but not read: data and keys apart, sealed, signed.",
    ),
    "erase": (
        "salus.cli.erase",
        "Erase a patient: what would go, two people's consent, the erasure itself, and its receipt.",
    ),
    "verify": (
        "salus.cli.verify",
        "Compare the whole database with what was written, all tenants;"
        " name what was changed, added, taken or put back.",
    ),
    "audit": ("salus.cli.audit", "The audit log: who did what, and the proof that nothing was changed."),
    "oauth": ("salus.cli.oauth", "The authorization server: signing keys, and what people allow applications."),
    "access": ("salus.cli.access", "Roles and decisions."),
    "tenant": ("salus.cli.tenant", "Clinics behind one server, each behind a wall of its own."),
    "certificate": ("salus.cli.certificate", "The server's TLS certificate."),
}


class _Lazy(click.Group):
    """Imports a command's module when it is asked for, so that `salus --help` is quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, _ = _COMMANDS[cmd_name]
        found: click.Command = importlib.import_module(module).COMMANDS[cmd_name]
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without loading them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _COMMANDS.items()])


@click.command(cls=_Lazy)
@click.version_option(__version__, prog_name="salus")
def main() -> None:
    """Salus: a health-record server that is secure before anyone configures it."""
