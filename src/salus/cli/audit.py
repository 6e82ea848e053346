# SPDX-License-Identifier: Apache-2.0
"""`salus audit`: read the log, prove it whole."""

from __future__ import annotations

from pathlib import Path

import click

from salus.app.house import CHECKPOINTS, House
from salus.audit.event import Event, EventType
from salus.audit.reader import AuditReader
from salus.audit.reading import Filter
from salus.audit.report import HARMLESS
from salus.audit.signers import followed, joined, public_key
from salus.audit.store import signers
from salus.audit.verify import verify as verify_log
from salus.cli.shell import EXIT_FOUND, as_json, data_dir, in_house, table, tells_problems
from salus.cli.shell import tenant as tenant_option
from salus.kernel.clock import instant
from salus.kernel.commit import Unit
from salus.kernel.errors import Kind, Problem


@click.group()
def audit() -> None:
    """The audit log: who did what, and the proof that nothing was changed."""


@audit.command("list")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="Most entries to show.")
@click.option("--account", default="", help="Only what this account did.")
@click.option("--patient", default="", help="Only entries about this patient id.")
@click.option("--type", "types", multiple=True, type=click.Choice([str(t) for t in EventType]), help="Only this event.")
@as_json
@tenant_option
@data_dir
@tells_problems
def list_(
    limit: int, account: str, patient: str, types: tuple[str, ...], as_json: bool, tenant: str, data_dir: Path
) -> None:
    """List entries, newest first. Reading the log is itself written to it."""

    async def work(house: House) -> list[tuple[object, ...]]:
        reader = AuditReader(house.db, house.keyring.tenant, house.settled)
        await reader.settled()
        owner = reader.owner(tenant, patient) if patient else b""
        wanted = Filter(types=frozenset(map(EventType, types)), actor=account, owner=owner)
        page = reader.page(tenant, wanted, limit=limit)
        await house.record(Unit(), house.operator(tenant), EventType.AUDIT_READ, "listed on the command line")
        return [_row(index, entry.event) for index, entry in page.entries]

    columns = ("entry", "time", "event", "outcome", "account", "purpose", "records", "query", "reason")
    table(columns, in_house(data_dir, work), machine=as_json)


def _row(index: int, event: Event) -> tuple[object, ...]:
    touched = [f"{e.type}/{e.id}" + (f"/{e.version}" if e.version else "") for e in event.entities]
    shown = " ".join(touched[:3]) + (f" and {len(touched) - 3} more" if len(touched) > 3 else "")
    return (
        index,
        instant(event.at_ms),
        event.type.value,
        event.outcome.value,
        event.actor.id,
        event.actor.purpose,
        shown,
        event.query,
        event.reason,
    )


@audit.command()
@click.option(
    "--checkpoints",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Checkpoints that you kept elsewhere; without it the ones beside the database.",
)
@tenant_option
@data_dir
@click.pass_context
@tells_problems
def verify(ctx: click.Context, checkpoints: Path | None, tenant: str, data_dir: Path) -> None:
    """Prove the log whole, or name what was edited, deleted, reordered or cut off. Exit code 1 if anything was."""

    async def work(house: House) -> bool:
        folder = checkpoints or house.settings.folder / CHECKPOINTS
        await house.settled()
        report = verify_log(house.db, house.keyring.tenant(tenant), folder)
        for finding in report.findings:
            mark = "note" if finding.kind in HARMLESS else "FOUND"
            place = f" at entry {finding.index}" if finding.index is not None else ""
            click.echo(f"{mark} {finding.kind}{place}: {finding.text}")
        if report.more:
            click.echo(f"… and {report.more} more")
        click.echo(f"{report.size} entries, root {report.root.hex()}")
        click.echo("The log is whole." if report.ok else "The log was tampered with.")
        if report.ok:
            await house.record(Unit(), house.operator(tenant), EventType.AUDIT_VERIFY, f"{report.size} entries whole")
        return report.ok

    if not in_house(data_dir, work):
        ctx.exit(EXIT_FOUND)


@audit.command()
@click.option("--trust", default="", metavar="KEY", help="A key that you kept: print it and those that followed it.")
@click.option(
    "--statements",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="With --trust: TENANT.keys, from beside the published checkpoints. Nothing else is read then.",
)
@tenant_option
@data_dir
@tells_problems
def key(trust: str, statements: Path | None, tenant: str, data_dir: Path) -> None:
    """Print the public key that checks the log's checkpoints (C2SP signed note form).

    After a rotation, --trust follows from a former key to the present one: each step is signed by both.
    """
    if statements is not None and not trust:
        raise Problem(Kind.INCORRECT, "--statements goes with --trust.")

    async def work(house: House) -> list[str]:
        keys = house.keyring.tenant(tenant)
        if not trust:
            return [public_key(house.db, keys)]
        return followed(trust, joined(signers(house.db, tenant)))

    if statements is not None:
        lines = followed(trust, statements.read_text("utf-8", "replace"))
    else:
        lines = in_house(data_dir, work)
    for line in lines:
        click.echo(line)


COMMANDS = {"audit": audit}
