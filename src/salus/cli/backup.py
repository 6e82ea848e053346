# SPDX-License-Identifier: Apache-2.0
"""`salus backup`: sealed copies of data and keys, checked, restored and rehearsed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TextIO

import click

from salus.app import backup as making
from salus.app.house import House
from salus.app.restoring import Restored, Source
from salus.app.restoring import drill as drill_
from salus.app.restoring import restore as restore_
from salus.audit.checkpoint import NoteReader
from salus.audit.event import EventType, Outcome
from salus.backup.checking import Checked, chain, check
from salus.backup.manifest import Stream
from salus.backup.sealing import Identity, new_identity
from salus.cli.shell import EXIT_FOUND, as_json, data_dir, in_house, settings_of, table, tells_problems
from salus.kernel.clock import instant
from salus.kernel.commit import Unit
from salus.kernel.errors import Kind, Problem
from salus.kernel.settings import Settings

identity_file = click.option(
    "--identity", type=click.File("r"), help="File with the age identity that opens backups; `-` reads it from a pipe."
)


@click.group()
def backup() -> None:
    """Backups that this server can write but not read: data and keys apart, sealed, signed."""


@backup.command()
@click.option("--whole", is_flag=True, help="Write every chunk again, also those that are there.")
@data_dir
@tells_problems
def create(whole: bool, data_dir: Path) -> None:
    """Make a backup of data and keys while the server runs; only what has changed is written."""
    made = in_house(data_dir, lambda house: making.create(house, whole=whole))
    for stream, each in ((Stream.DATA, made.data), (Stream.KEYS, made.keys)):
        manifest = each.signed.manifest
        click.echo(
            f"{stream} {manifest.number}: {manifest.total} bytes in {len(manifest.files)} files, {each.fresh} of "
            f"{each.chunks} chunks new ({each.fresh_bytes} bytes)\n  digest {each.signed.digest}"
        )
    if made.removed:
        click.echo(f"removed {made.removed} old backups of the keys")


@backup.command("list")
@as_json
@data_dir
@tells_problems
def list_(as_json: bool, data_dir: Path) -> None:
    """List backups, oldest first. A backup that was broken off is not one."""

    async def work(house: House) -> list[tuple[object, ...]]:
        reader = NoteReader(making.signer_of(house).public)
        found: list[tuple[object, ...]] = []
        for stream in Stream:
            checked = chain(making.place_of(house.settings, stream), stream, reader)
            for each in checked.backups:
                entries = sum(log.size for log in each.manifest.logs)
                found.append(
                    (str(stream), each.manifest.number, each.manifest.at, each.manifest.total, entries, each.digest)
                )
            for text in checked.findings:
                click.echo(f"FOUND {stream}: {text}", err=True)
        return found

    columns = ("stream", "number", "time", "bytes", "audit entries", "digest")
    table(columns, in_house(data_dir, work), machine=as_json)


@backup.command()
@click.option("--trust", default="", help="Public key that `salus backup key` prints; then no data folder is needed.")
@click.option("--from", "from_", default="", help="Place of the data, instead of the one in the settings.")
@click.option("--keys-from", default="", help="Place of the keys, instead of the one in the settings.")
@click.option("--digest", default="", help="Digest of a backup of the data that must be there, as you kept it.")
@identity_file
@data_dir
@click.pass_context
@tells_problems
def verify(
    ctx: click.Context,
    trust: str,
    from_: str,
    keys_from: str,
    digest: str,
    identity: TextIO | None,
    data_dir: Path,
) -> None:
    """Check signatures, order and every chunk of all backups. Exit code 1 if anything is wrong.

    With an identity each chunk is opened as well.
    """
    opener = Identity(identity.read()) if identity else None

    def look(settings: Settings, reader: NoteReader, *, own: bool) -> list[tuple[Stream, Checked]]:
        return [
            (
                stream,
                check(
                    making.place_at(settings, address) if address else making.place_of(settings, stream),
                    stream,
                    reader,
                    known=making.remembered(settings, stream) if own and not address else None,
                    digest=digest if stream is Stream.DATA else "",
                    identity=opener,
                ),
            )
            for stream, address in ((Stream.DATA, from_), (Stream.KEYS, keys_from))
            if address or own
        ]

    async def work(house: House) -> list[tuple[Stream, Checked]]:
        found = look(house.settings, NoteReader(making.signer_of(house).public), own=True)
        wrong = sum(len(each.findings) for _, each in found)
        counts = ", ".join(f"{len(each.backups)} of {stream}" for stream, each in found)
        outcome = Outcome.FAILED if wrong else Outcome.GRANTED
        await house.record(Unit(), house.operator(), EventType.BACKUP_VERIFY, f"{counts}; {wrong} findings", outcome)
        return found

    if trust:
        if not from_:
            raise Problem(Kind.INCORRECT, "With --trust, --from says where the backups lie.")
        found = look(Settings(), NoteReader(trust), own=False)
    else:
        found = in_house(data_dir, work)
    for stream, each in found:
        for text in each.findings:
            click.echo(f"FOUND {stream}: {text}")
        newest = f", the newest {each.backups[-1].digest}" if each.backups else ""
        click.echo(f"{stream}: {len(each.backups)} backups{newest}; {each.chunks} chunks")
    if any(each.findings for _, each in found):
        click.echo("The backups are not as they were written.")
        ctx.exit(EXIT_FOUND)
    click.echo("The backups are whole.")


@backup.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--trust", required=True, help="Public key that `salus backup key` printed.")
@click.option("--from", "from_", required=True, help="Place of the data: a folder or s3://bucket/prefix.")
@click.option("--keys-from", required=True, help="Place of the keys.")
@click.option(
    "--identity",
    type=click.File("r"),
    required=True,
    help="File with the age identity that opens backups; `-` reads it from a pipe.",
)
@click.option("--number", type=int, help="Number of the backup of the data; without it the newest.")
@click.option(
    "--root-key",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="File of a local root key, copied to where the settings expect it.",
)
@click.pass_context
@tells_problems
def restore(
    ctx: click.Context,
    folder: Path,
    trust: str,
    from_: str,
    keys_from: str,
    identity: TextIO,
    number: int | None,
    root_key: Path | None,
) -> None:
    """Restore a backup into FOLDER, which is missing or empty, and write that to its audit log."""
    here = Settings()
    data, keys = making.place_at(here, from_), making.place_at(here, keys_from)
    source = Source(data, keys, NoteReader(trust), Identity(identity.read()), number)
    restored = restore_(folder.absolute(), source, root_key=root_key)
    _tell(restored)
    click.echo(f"Restored. All access tokens have ended. Examine it: salus doctor --data-dir {folder}")
    if restored.findings:
        ctx.exit(EXIT_FOUND)


@backup.command()
@click.option(
    "--identity",
    type=click.File("r"),
    required=True,
    help="File with the age identity that opens backups; `-` reads it from a pipe.",
)
@click.option("--number", type=int, help="Number of the backup of the data; without it the newest.")
@click.option(
    "--scratch",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Where the scratch folder is made; without it where temporary files lie.",
)
@data_dir
@click.pass_context
@tells_problems
def drill(ctx: click.Context, identity: TextIO, number: int | None, scratch: Path | None, data_dir: Path) -> None:
    """Rehearse: restore into a scratch folder, verify, open a sample, report the time, remove it."""
    settings = settings_of(data_dir)
    opener = Identity(identity.read())

    async def run(house: House) -> Restored:
        from asyncio import to_thread

        data, keys = (making.place_of(settings, stream) for stream in Stream)
        source = Source(data, keys, NoteReader(making.signer_of(house).public), opener, number)
        try:
            restored = await to_thread(drill_, settings, source, scratch)
        except Problem as problem:
            reason = f"the drill failed: {problem.kind}"
            await house.record(Unit(), house.operator(), EventType.BACKUP_DRILL, reason, Outcome.FAILED)
            raise
        reason = f"data {restored.manifest.number} in {restored.seconds:.1f} s, {len(restored.findings)} findings"
        outcome = Outcome.FAILED if restored.findings else Outcome.GRANTED
        await house.record(Unit(), house.operator(), EventType.BACKUP_DRILL, reason, outcome)
        if not restored.findings:
            making.drilled(settings, restored.manifest, restored.digest, instant(house.clock.now_ms()))
        return restored

    restored = in_house(data_dir, run)
    _tell(restored)
    click.echo(f"{restored.sample} records were opened. The drill took {restored.seconds:.1f} s.")
    if restored.findings:
        ctx.exit(EXIT_FOUND)


@backup.command()
@data_dir
@tells_problems
def key(data_dir: Path) -> None:
    """Print the public key that checks backups; keep it where they are restored."""

    async def work(house: House) -> str:
        return making.signer_of(house).public

    click.echo(in_house(data_dir, work))


@backup.command()
@tells_problems
def identity() -> None:
    """Make an age identity, away from the server: its secret half to the output, its public half to the terminal."""
    secret, recipient = new_identity()
    if sys.stdout.isatty():
        raise Problem(Kind.INCORRECT, "Send the output to a file: (umask 077; salus backup identity > backup.identity)")
    click.echo(secret, nl=False)
    click.echo(f"recipient: {recipient}", err=True)


def _tell(restored: Restored) -> None:
    manifest = restored.manifest
    click.echo(f"data {manifest.number} of {manifest.at}, keys {restored.keys.number} of {restored.keys.at}")
    for tenant, size in restored.logs.items():
        click.echo(f"audit log of {tenant}: {size} entries")
    if restored.erased:
        click.echo(f"{restored.erased} versions of records of erased patients were left out")
    for text in restored.findings:
        click.echo(f"FOUND {text}")


COMMANDS = {"backup": backup}
