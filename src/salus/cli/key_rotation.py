# SPDX-License-Identifier: Apache-2.0
"""`salus keys list|rotate|rewrap`: which keys there are, and what they are wrapped under anew."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import click

from salus.app.house import House
from salus.audit.event import EventType
from salus.cli.shell import as_json, data_dir, in_house, table, tells_problems
from salus.cli.shell import tenant as tenant_option
from salus.crypto import rotation
from salus.crypto.key_table import Purpose
from salus.crypto.rotation import Progress, begin_epoch, held, rewrap, rewrap_provided
from salus.kernel.commit import Unit
from salus.kernel.errors import Kind, Problem

KMS, TENANT = "kms", "tenant"
FIXED = {
    "patient": "A patient's key is drawn once; `salus keys rotate tenant` changes what it is wrapped under. Another "
    "key would mean sealing every record of the patient again, which Salus does not do.",
    "index": "The index key is derived from the tenant's root key. Another one would mean that every token and every "
    "surrogate is made again, in one moment for all processes; Salus does not do that.",
    "signing": "The key that signs the audit log is derived from the tenant's root key, and whoever kept its public "
    "half relies on it. Salus does not change it.",
}
"""Kinds of keys that are not rotated, with the reason."""
_NAMES = {Purpose.PATIENT: "patient keys", Purpose.AUDIT: "audit keys of patients", Purpose.TYPE: "type keys"}


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
            rows.append((_NAMES[purpose], kind.keys, under, kind.behind, kind.destroyed, "no; wrapped anew with it"))
        derived = "derived from the tenant root key"
        rows += [(name, 1, derived, 0, 0, "no") for name in ("index key", "surrogate key", "audit signing key")]
        return rows

    table(("key", "how many", "under", "behind", "destroyed", "rotated by"), in_house(data_dir, work), machine=as_json)


@click.command()
@click.argument("kind", type=click.Choice([KMS, TENANT, *FIXED]))
@click.option("--destroy-former", is_flag=True, help="With kms: then destroy the former versions in the key service.")
@tenant_option
@data_dir
@tells_problems
def rotate(kind: str, destroy_former: bool, tenant: str, data_dir: Path) -> None:
    """Rotate a key and wrap anew what is under it, beside the running server. KIND is kms or tenant.

    kms: a new version of the key in the key service. tenant: a new wrapping key for all keys of a tenant. An
    interrupted rotation goes on where it was. The kinds patient, index and signing cannot be rotated; asked for, they
    say why.
    """
    if kind in FIXED:
        raise Problem(Kind.INCORRECT, FIXED[kind])
    if destroy_former and kind != KMS:
        raise Problem(Kind.INCORRECT, "--destroy-former goes with kms.")
    in_house(data_dir, lambda house: _kms(house, destroy_former) if kind == KMS else _tenant(house, tenant))


@click.command("rewrap")
@tenant_option
@data_dir
@tells_problems
def rewrap_(tenant: str, data_dir: Path) -> None:
    """Finish an interrupted rotation, and wrap what the key provider wraps under its newest version."""

    async def work(house: House) -> None:
        await _provided(house)
        await _rewrapped(house, tenant)

    in_house(data_dir, work)


async def _kms(house: House, destroy: bool) -> None:
    provider = house.keyring.provider
    if not provider.capabilities.rotates:
        raise Problem(Kind.INCORRECT, "This key provider does not make new versions of its key.")
    await house.record(Unit(), house.operator(), EventType.KEYS_ROTATE, "the key of the provider")
    version = provider.rotate()
    click.echo(f"The key of the provider has a new version: {version}")
    await _provided(house)
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


async def _provided(house: House) -> None:
    await house.record(Unit(), house.operator(), EventType.KEYS_REWRAP, "what the provider wraps")
    click.echo(f"{rewrap_provided(house.keyring)} keys are wrapped under the newest version of the provider's key.")


async def _rewrapped(house: House, tenant: str) -> None:
    start = time.process_time()
    count = rewrap(house.keyring, tenant, _tell)
    spent = time.process_time() - start
    epoch, _ = held(house.keyring, tenant)
    words = f"{count} keys under the wrapping key of epoch {epoch}"
    await house.record(Unit(), house.operator(tenant), EventType.KEYS_REWRAP, words)
    click.echo(f"{words}, in {spent:.1f} s of CPU; former epochs have ended.")


def _tell(progress: Progress) -> None:
    if sys.stderr.isatty():
        last = progress.done == progress.total
        click.echo(f"\r{progress.done} of {progress.total} keys, {progress.left:.0f} s left ", nl=last, err=True)


COMMANDS = (list_, rotate, rewrap_)
