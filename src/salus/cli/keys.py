# SPDX-License-Identifier: Apache-2.0
"""`salus keys`: the key above all others; the keys below it are in `key_rotation`."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from salus.app.house import House
from salus.app.providers import LOCAL, local_secret, provider_of
from salus.app.safety_keys import needs_passphrase, offer_passphrase
from salus.app.schedule import NAMES, planned
from salus.app.unsealing import Agent, hand_in, opened_by
from salus.audit.event import EventType
from salus.cli import key_rotation
from salus.cli.shell import as_json, data_dir, secret_from, settings_of, table, tells_problems
from salus.cli.shell import tenant as tenant_option
from salus.cli.start import tell_shares
from salus.crypto.kms import root_file
from salus.kernel.commit import Unit
from salus.kernel.errors import Kind, Problem


@click.group()
def keys() -> None:
    """Keys: what there is, rotation, the key service, officers' shares."""


@keys.command()
@as_json
@tenant_option
@data_dir
@tells_problems
def status(data_dir: Path, as_json: bool, tenant: str) -> None:
    """Ask the key provider whether it works, say what it can do, and which keys are to be rotated."""
    settings = settings_of(data_dir)
    provider = provider_of(settings)
    try:
        provider.health()
        can = provider.capabilities
        rows = [
            ("provider", settings.keys.provider),
            ("answers", "yes"),
            ("binds each key to its tenant", "by itself" if can.binds_context else "by an envelope around it"),
            ("rewraps without showing the key", "yes" if can.rewraps_inside else "no"),
            ("makes new versions", "yes" if can.rotates else "no"),
            ("destroys a version", can.destroyed if can.destroys else f"no: {can.destroyed}"),
            ("signs with", can.signature or "nothing"),
            ("keys are renewed after", f"{settings.keys.soft_seconds} s"),
            ("keys are let go after", f"{settings.keys.hard_seconds} s"),
        ]
    finally:
        provider.close()
    house = House(settings)
    try:
        now = house.clock.now_ms()
        plan = planned(house.db, house.keyring, settings, tenant)
        rows += [(f"rotation: {NAMES[one.kind]}", one.words(now)) for one in plan]
    finally:
        house.close()
    table(("what", "value"), rows, machine=as_json)


@keys.command()
@click.option("--officers", type=int, required=True, help="Among how many officers.")
@click.option("--needed", type=int, required=True, help="How many open the root key together.")
@data_dir
@tells_problems
def split(data_dir: Path, officers: int, needed: int) -> None:
    """Split the local root key among officers, in place of its passphrase. Former shares no longer work."""
    settings = settings_of(data_dir)
    if settings.keys.provider != LOCAL:
        raise Problem(Kind.INCORRECT, "Only a local root key can be split; this installation uses a key service.")
    if needs_passphrase(settings):
        offer_passphrase(secret_from("Passphrase of the root key").encode())
    path = settings.path(settings.keys.root_key_file)
    house = House(settings)  # first the entry in the log, then the change
    try:
        reason = f"the root key is split: {needed} of {officers} officers"
        file = root_file.open_file(path, local_secret(settings))
        shares = file.split(needed, officers)
        asyncio.run(house.record(Unit(), house.operator(), EventType.KEYS_CREATE, reason))
    finally:
        house.close()
    file.write(replace=True)
    file.close()
    opened_by(settings, shares).close()  # a file that could not be opened again would be the end of the records
    tell_shares(shares)
    click.echo("Destroy every copy of the former key file: it still opens the records.")
    click.echo("Restart the server, and any `salus keys agent`: they hold the former key.")


@keys.command()
@data_dir
@tells_problems
def unseal(data_dir: Path) -> None:
    """Hand in one officer's share (asked for, or piped in) to the server or agent that waits for it."""
    click.echo(hand_in(data_dir.absolute(), secret_from("Share")))


@keys.command()
@data_dir
@tells_problems
def agent(data_dir: Path) -> None:
    """Collect the officers' shares without a server, and hold the key for other commands until Ctrl-C."""
    settings = settings_of(data_dir)
    held = Agent(settings, click.echo)
    click.echo("Sealed: each officer now runs `salus keys unseal` on this machine. Ctrl-C ends it.")
    try:
        held.wait()
        held.hold()
    except KeyboardInterrupt:
        click.echo("The key is forgotten.")
    finally:
        held.close()


for command in key_rotation.COMMANDS:
    keys.add_command(command)

COMMANDS = {"keys": keys}
