# SPDX-License-Identifier: Apache-2.0
"""`salus erase`: take a patient out of everything, for good."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from salus.app import erasing
from salus.app.house import House
from salus.cli.shell import EXIT_FOUND, as_json, data_dir, in_house, secret_from, table, tells_problems
from salus.cli.shell import tenant as tenant_option
from salus.kernel.clock import instant
from salus.kernel.errors import Kind, Problem
from salus.privacy.erasure import Erasure
from salus.privacy.survey import Survey

_SHOWN = 20


class _ByPatient(click.Group):
    """Takes `salus erase Patient/x` for `salus erase patient Patient/x`."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return super().get_command(ctx, "patient" if cmd_name.startswith("Patient/") else cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        return super().resolve_command(ctx, ["patient", *args] if args[0].startswith("Patient/") else args)


def _patient_id(_: click.Context, __: click.Parameter, value: str) -> str:
    type_, _slash, id_ = value.partition("/")
    if type_ != "Patient" or not id_:
        raise click.BadParameter("Patient/ and the id, as in Patient/123.")
    return id_


patient_argument = click.argument("patient", metavar="PATIENT", callback=_patient_id)


@click.group(cls=_ByPatient)
def erase() -> None:
    """Erase a patient: what would go, two people's consent, the erasure itself, and its receipt."""


@erase.command("patient")
@patient_argument
@click.option("--yes", is_flag=True, help="Erase now; needs a request and somebody else's approval.")
@click.option(
    "--receipt",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where the receipt goes; printed when it is not given.",
)
@tenant_option
@data_dir
@tells_problems
def patient_(patient: str, yes: bool, receipt: Path | None, tenant: str, data_dir: Path) -> None:
    """Say what the erasure of PATIENT (Patient/id) would take away; with --yes, do it. It cannot be undone.

    An erasure that was interrupted goes on where it was.
    """

    async def work(house: House) -> str:
        if not yes:
            _tell(await erasing.plan(house, tenant, patient))
            return ""
        return await erasing.execute(house, tenant, patient, lambda words: click.echo(words, err=True))

    text = in_house(data_dir, work)
    if not yes:
        click.echo("Nothing was erased. Next: salus erase request, approve, then this with --yes.")
    elif receipt is None:
        click.echo(text, nl=False)
    else:
        receipt.write_text(text)
        click.echo(f"Erased. The receipt is in {receipt}.")


@erase.command()
@patient_argument
@click.option("--reason", required=True, help="Why; stands in the log and on the receipt. Name nobody.")
@tenant_option
@data_dir
@tells_problems
def request(patient: str, reason: str, tenant: str, data_dir: Path) -> None:
    """Ask for the erasure of PATIENT, with the access token of an account (asked for, or piped in)."""
    token = secret_from("Access token")

    async def work(house: House) -> str:
        return (await erasing.request(house, house.tokens.lookup(tenant, token), patient, reason)).id

    click.echo(f"Asked for: {in_house(data_dir, work)}. Somebody else has to approve it.")


@erase.command()
@patient_argument
@tenant_option
@data_dir
@tells_problems
def approve(patient: str, tenant: str, data_dir: Path) -> None:
    """Approve the erasure of PATIENT, with the access token of another account (asked for, or piped in)."""
    token = secret_from("Access token")

    async def work(house: House) -> str:
        return (await erasing.second(house, house.tokens.lookup(tenant, token), patient)).id

    click.echo(f"Approved: {in_house(data_dir, work)}.")


@erase.command("list")
@as_json
@tenant_option
@data_dir
@tells_problems
def list_(as_json: bool, tenant: str, data_dir: Path) -> None:
    """List erasures and how far they are."""

    async def work(house: House) -> list[tuple[object, ...]]:
        return [
            (
                one.id,
                _state(one),
                f"Patient/{one.patient}" if one.patient else "",
                instant(one.requested_ms),
                one.requested_by,
                one.approved_by,
            )
            for one in house.desk.all(tenant)
        ]

    columns = ("erasure", "state", "patient", "asked", "by", "approved by")
    table(columns, in_house(data_dir, work), machine=as_json)


@erase.command()
@click.argument("receipt", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@tenant_option
@data_dir
@click.pass_context
@tells_problems
def verify(ctx: click.Context, receipt: Path, tenant: str, data_dir: Path) -> None:
    """Check a RECEIPT: its signature, and that the key, the records and the tokens are still gone.

    Exit code 1 when something does not hold.
    """
    try:
        text = receipt.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        raise Problem(Kind.INCORRECT, "The receipt cannot be read.") from None
    wrong = in_house(data_dir, lambda house: erasing.verify(house, tenant, text))
    for words in wrong:
        click.echo(f"FOUND {words}")
    if wrong:
        ctx.exit(EXIT_FOUND)
    said = json.loads(text)["receipt"]
    click.echo(f"The receipt is genuine and holds: erased at {said['at']}, {sum(said['records'].values())} records.")
    if said["copies"]:
        click.echo(said["copies"])


def _state(erasure: Erasure) -> str:
    if erasure.receipt:
        return "complete"
    if erasure.records:
        return "interrupted"
    return "approved" if erasure.approved_by else "asked for"


def _tell(found: Survey) -> None:
    table(("type", "records"), sorted(found.records.items()), machine=False)
    click.echo(f"These go, with all {found.versions} versions, their index and the key that opens every copy of them.")
    for words, names in (
        ("belong to others too and stay; remove the person from them first", found.shared),
        ("of others refer to the person and stay", found.mentions),
    ):
        if names:
            shown = " ".join(list(names)[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
            click.echo(f"{len(names)} records {words}: {shown}")
    click.echo("What the audit log says of the person stays, sealed, for as long as the log is kept.")
    if found.unseen:
        click.echo(f"Not looked at, because the policy hides them: {' '.join(found.unseen)}", file=sys.stderr)


COMMANDS = {"erase": erase}
