# SPDX-License-Identifier: Apache-2.0
"""`salus keys list|rotate|rewrap`: which keys there are, and what they are wrapped under anew."""

from __future__ import annotations

import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import click

from salus.app.backup import create
from salus.app.house import CHECKPOINTS, House
from salus.app.rotating import end_patient, index_under_way, rotate_index, rotate_patient, rotate_signing
from salus.app.schedule import INDEX, KMS, PATIENT, SIGNING, TENANT, planned
from salus.audit.event import EventType
from salus.audit.signers import newest_number, public_key
from salus.cli.shell import as_json, data_dir, in_house, table, tells_problems
from salus.cli.shell import tenant as tenant_option
from salus.crypto import rotation
from salus.crypto.key_table import Purpose
from salus.crypto.rotation import Progress, begin_epoch, held, rewrap, rewrap_provided
from salus.kernel.commit import Unit
from salus.kernel.errors import Kind, Problem

DUE = "due"
_NAMES = {
    Purpose.PATIENT: "patient keys",
    Purpose.AUDIT: "audit keys of patients",
    Purpose.TYPE: "type keys",
    Purpose.INDEX: "index keys after the first",
    Purpose.FORMER: "former patient keys",
}

_BY = {Purpose.PATIENT: "salus keys rotate patient", Purpose.INDEX: "salus keys rotate index"}


@click.command("list")
@as_json
@tenant_option
@data_dir
@tells_problems
def list_(as_json: bool, tenant: str, data_dir: Path) -> None:
    """List the kinds of keys of a tenant: how many, under what, and whether they can be rotated."""

    async def work(house: House) -> list[tuple[object, ...]]:
        newest, kinds = held(house.keyring, tenant)
        service = f"key provider ({house.settings.keys.provider})"
        rows: list[tuple[object, ...]] = [
            ("key of the provider", 1, "nothing that Salus sees", 0, 0, "salus keys rotate kms"),
            ("page key", 1, service, 0, 0, "no; wrapped anew by: salus keys rewrap"),
            ("tenant root key", 1, service, 0, 0, "no; wrapped anew by: salus keys rewrap"),
            ("wrapping key", 1, service, 0, 0, "salus keys rotate tenant"),
        ]
        for purpose, kind in kinds.items():
            under = f"wrapping key, epoch {newest}"
            by = _BY.get(purpose, "no; wrapped anew with it")
            rows.append((_NAMES[purpose], kind.keys, under, kind.behind, kind.destroyed, by))
        derived = "derived from the tenant root key"
        rows.append(("first index key", 1, derived, 0, 0, "salus keys rotate index"))
        rows.append(("surrogate key", 1, derived, 0, 0, "no"))
        signing = newest_number(house.db, tenant)
        rows.append(("audit signing key", signing, derived, 0, 0, "salus keys rotate signing"))
        return rows

    table(("key", "how many", "under", "behind", "destroyed", "rotated by"), in_house(data_dir, work), machine=as_json)


@click.command()
@click.argument("kind", type=click.Choice([KMS, TENANT, INDEX, SIGNING, PATIENT, DUE]))
@click.argument("patient", required=False, default="")
@click.option("--destroy-former", is_flag=True, help="With kms: then destroy the former versions in the key service.")
@click.option("--no-backup", is_flag=True, help="With patient: destroy the former key without making a backup first.")
@tenant_option
@data_dir
@tells_problems
def rotate(kind: str, patient: str, destroy_former: bool, no_backup: bool, tenant: str, data_dir: Path) -> None:
    """Rotate a key and do anew what is under it, beside the running server.

    KIND is kms: a new version of the key in the key service; tenant: a new wrapping key for all keys of a tenant;
    index: new blind tokens for all records; signing: another key that signs the audit log; patient: another key for
    PATIENT (Patient/id), whose records and files are sealed anew; due: what is due or not finished of all these. An
    interrupted rotation goes on where it was.
    """
    if destroy_former and kind != KMS:
        raise Problem(Kind.INCORRECT, "--destroy-former goes with kms.")
    if (kind == PATIENT) != bool(patient) or (no_backup and kind != PATIENT):
        raise Problem(Kind.INCORRECT, "A patient (Patient/id), and --no-backup, go with the kind patient.")
    work: dict[str, Callable[[House], Awaitable[None]]] = {
        KMS: lambda house: _kms(house, destroy_former),
        TENANT: lambda house: _tenant(house, tenant),
        INDEX: lambda house: _index(house, tenant),
        SIGNING: lambda house: _signing(house, tenant),
        DUE: lambda house: _due(house, tenant),
        PATIENT: lambda house: _patient(house, tenant, patient, backup=not no_backup),
    }
    in_house(data_dir, work[kind])


@click.command("rewrap")
@tenant_option
@data_dir
@tells_problems
def rewrap_(tenant: str, data_dir: Path) -> None:
    """Finish interrupted rotations, and wrap what the key provider wraps under its newest version."""

    async def work(house: House) -> None:
        await _provided(house)
        await _rewrapped(house, tenant)
        await _patients(house, tenant)
        if index_under_way(house, tenant):
            await _index(house, tenant)

    in_house(data_dir, work)


async def _due(house: House, tenant: str) -> None:
    """Rotate what is due, and finish what was begun."""
    now = house.clock.now_ms()
    todo = [
        one.kind
        for one in planned(house.db, house.keyring, house.settings, tenant)
        if one.is_due(now) or one.unfinished
    ]
    work: dict[str, Callable[[], Awaitable[None]]] = {
        KMS: lambda: _kms(house, destroy=False),
        TENANT: lambda: _tenant(house, tenant),
        INDEX: lambda: _index(house, tenant),
        SIGNING: lambda: _signing(house, tenant),
        PATIENT: lambda: _patients(house, tenant),
    }
    for kind in todo:
        await work[kind]()
    if not todo:
        click.echo("Nothing is due.")


async def _patients(house: House, tenant: str) -> None:
    for owner in house.keyring.tenant(tenant).renewing():
        await _resealed(house, tenant, owner, "", backup=True)


async def _kms(house: House, destroy: bool) -> None:
    provider = house.keyring.provider
    if not provider.capabilities.rotates:
        raise Problem(Kind.INCORRECT, "This key provider does not make new versions of its key.")
    await house.record(Unit(), house.operator(), EventType.KEYS_ROTATE, "the key of the provider")
    version = provider.rotate()
    click.echo(f"The key of the provider has a new version: {version}")
    await _provided(house)
    house.keyring.table.note_rotation("", KMS, house.clock.now_ms())
    if destroy:
        can = provider.capabilities
        if not can.destroys:
            raise Problem(Kind.INCORRECT, f"This key provider cannot destroy a version: {can.destroyed}.")
        await house.record(Unit(), house.operator(), EventType.KEYS_DESTROY, f"the versions before {version}")
        for gone, when in rotation.destroy_former(provider, version):
            click.echo(f"Version {gone} is destroyed: {when}")


async def _tenant(house: House, tenant: str) -> None:
    house.keyring.tenant(tenant)  # an unknown one is nothing for the log
    await house.record(Unit(), house.operator(tenant), EventType.KEYS_ROTATE, "the wrapping key of the tenant")
    epoch = begin_epoch(house.keyring, tenant)
    click.echo(f"Epoch {epoch} of tenant {tenant} has begun.")
    await _rewrapped(house, tenant)


async def _index(house: House, tenant: str) -> None:
    start = time.process_time()
    done = await rotate_index(house, tenant, _Told())
    click.echo(f"Searches of tenant {tenant} go by the new index key ({time.process_time() - start:.1f} s of CPU).")
    if done:
        click.echo("Nothing is left under the former one.")
    else:
        click.echo(
            "The tokens of the former one are removed from a minute after that on: by the running server, or by the "
            "same command again."
        )


async def _patient(house: House, tenant: str, patient: str, *, backup: bool) -> None:
    id_ = patient.removeprefix("Patient/")
    await _resealed(house, tenant, house.desk.owner(tenant, id_), id_, backup=backup)


async def _resealed(house: House, tenant: str, owner: bytes, patient: str, *, backup: bool) -> None:
    start = time.process_time()
    done = await rotate_patient(house, tenant, owner, patient, _Told())
    spent = time.process_time() - start
    click.echo(f"{done.rows} versions and {done.chunks} chunks of files lie under the new key ({spent:.1f} s of CPU).")
    if backup and house.settings.backup.place:  # the ones before know the patient under the former key only
        made = await create(house)
        click.echo(f"Backup {made.data.signed.manifest.number} has the patient under the new key.")
    await end_patient(house, tenant, owner, patient, done)
    click.echo("The former key is destroyed: backups from before cannot give these records back.")
    click.echo("To make it useless in copies of keys.db too, go on with: salus keys rotate tenant")


async def _signing(house: House, tenant: str) -> None:
    number = await rotate_signing(house, tenant)
    click.echo(f"Key {number} signs the audit log of tenant {tenant} from now on:")
    click.echo(public_key(house.db, house.keyring.tenant(tenant)))
    click.echo(f"What says so to those who kept the former key: {house.settings.folder / CHECKPOINTS / tenant}.keys")


async def _provided(house: House) -> None:
    await house.record(Unit(), house.operator(), EventType.KEYS_REWRAP, "what the provider wraps")
    click.echo(f"{rewrap_provided(house.keyring)} keys are wrapped under the newest version of the provider's key.")


async def _rewrapped(house: House, tenant: str) -> None:
    start = time.process_time()
    count = rewrap(house.keyring, tenant, _tell)
    spent = time.process_time() - start
    if count:
        house.keyring.table.note_rotation(tenant, TENANT, house.clock.now_ms())
    epoch, _ = held(house.keyring, tenant)
    words = f"{count} keys under the wrapping key of epoch {epoch}"
    await house.record(Unit(), house.operator(tenant), EventType.KEYS_REWRAP, words)
    click.echo(f"{words}, in {spent:.1f} s of CPU; former epochs have ended.")


def _tell(progress: Progress) -> None:
    if sys.stderr.isatty():
        last = progress.done == progress.total
        click.echo(f"\r{progress.done} of {progress.total} keys, {progress.left:.0f} s left ", nl=last, err=True)


class _Told:
    """Progress over records, with an estimate, on a terminal."""

    def __init__(self) -> None:
        self._words = ""
        self._began = 0.0

    def __call__(self, words: str, done: int, total: int) -> None:
        if words != self._words:
            self._words, self._began = words, time.monotonic()
        if total and sys.stderr.isatty():
            left = (time.monotonic() - self._began) / done * (total - done) if done else 0
            click.echo(f"\r{words}: {done} of {total}, {left:.0f} s left ", nl=done == total, err=True)


COMMANDS = (list_, rotate, rewrap_)
