# SPDX-License-Identifier: Apache-2.0
"""The demo clinic: invented patients, one account per role, credentials on the disk for the person who tries it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from salus.app.house import House
from salus.app.memory import calm_collector
from salus.app.safety import DEMO_MARK
from salus.audit.event import EventType
from salus.crypto.keyfile import write_new
from salus.identity.factors.passwords import generate
from salus.kernel.commit import Unit
from salus.kernel.ids import uuid7
from salus.records.context import Context
from salus.records.draft import unit_of
from salus.records.interactions import update
from salus.synthetic.clinic import NURSE, PHARMACIST, TECHNOLOGIST, clinic
from salus.synthetic.generate import population


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody who can sign in to the demo."""

    name: str
    role: str
    purpose: str
    display: str
    party: str = ""


def accounts(seed: int) -> tuple[Account, ...]:
    """One account for each role of the policy; the patient is the first invented person."""
    return (
        Account("dr-amara", "physician", "TREAT", "Dr Amara Okafor", "Practitioner/dr-amara-okafor"),
        Account("nurse-priya", "nurse", "TREAT", "Priya Nair", f"Practitioner/{NURSE}"),
        Account("desk", "front-desk", "HOPERAT", "Front desk"),
        Account("billing", "billing", "HPAYMT", "Billing office"),
        Account("lab", "laboratory", "TREAT", "Laboratory", f"Practitioner/{TECHNOLOGIST}"),
        Account("pharmacy", "pharmacist", "TREAT", "Pharmacy", f"Practitioner/{PHARMACIST}"),
        Account("patient", "patient", "PATRQT", "A patient", f"Patient/{first_patient(seed)}"),
        Account("researcher", "researcher", "HRESCH", "Researcher"),
        Account("security", "security-officer", "HOPERAT", "Security officer"),
        Account("privacy", "privacy-officer", "HOPERAT", "Privacy officer"),
        Account("auditor", "auditor", "HOPERAT", "Auditor"),
        Account("admin", "administrator", "HOPERAT", "Administrator"),
    )


def first_patient(seed: int) -> str:
    """Id of the patient whose account the demo has."""
    return f"pt-{seed}-0"


async def furnish(house: House, patients: int, seed: int, on_patient: Callable[[int], None]) -> None:
    """Fill an empty house: clinic, patients, accounts.

    Args:
        patients: how many.
        seed: the same seed makes the same people.
        on_patient: called with the number of patients done.
    """
    calm_collector()
    today = datetime.now(UTC).date()
    context = Context(house.services, house.operator(roles=("service",)), uuid7())
    await _keep(context, clinic(seed, today))
    for number, chart in enumerate(population(seed, patients, today), start=1):
        await _keep(context, chart)
        on_patient(number)
    credentials = [await _open_account(house, account) for account in accounts(seed)]
    note = "Accounts of a demo with invented people. While this file is here, only this machine may reach the server."
    data = {"note": note, "seed": seed, "accounts": credentials}
    write_new(house.settings.folder / DEMO_MARK, json.dumps(data, indent=1).encode())


async def _keep(ctx: Context, resources: Iterable[dict[str, Any]]) -> None:
    prepared = [update.stage(ctx, resource["resourceType"], resource["id"], resource)[0] for resource in resources]
    touched = tuple(entity for one in prepared for entity in one.entities)
    await ctx.commit(unit_of(prepared), ctx.event(EventType.RECORD_IMPORT, reason="demo clinic", entities=touched))
    await asyncio.sleep(0)


async def _open_account(house: House, account: Account) -> dict[str, str]:
    password = generate()
    unit = Unit()
    uri = await house.users.add_user(
        unit, "default", account.name, password, roles=(account.role,), display=account.display, party=account.party
    )
    await house.record(unit, house.operator(), EventType.USER_CREATE, f"account {account.name}, role {account.role}")
    return {
        "name": account.name,
        "role": account.role,
        "purpose": account.purpose,
        "password": password,
        "authenticator": uri,
    }


def credentials_of(folder: Path) -> dict[str, Any]:
    """What `furnish` wrote down."""
    found: dict[str, Any] = json.loads((folder / DEMO_MARK).read_bytes())
    return found
