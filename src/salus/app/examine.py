# SPDX-License-Identifier: Apache-2.0
"""A full examination of an installation, for `salus doctor`. Changes nothing."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from salus.access.load import load_policy
from salus.app import safety
from salus.app.certificates import days_left
from salus.app.databases import opened
from salus.app.house import CHECKPOINTS, DATABASE, KEYS_FOLDER, KNOWLEDGE, policy_text
from salus.app.providers import provider_of
from salus.app.safety_backups import backups_could_be_better
from salus.app.schedule import NAMES, planned
from salus.app.verifying import compare
from salus.audit.verify import verify
from salus.crypto.keyring import Keyring, open_keyring
from salus.crypto.kms.provider import KeyProvider
from salus.fhir.validate.validator import Validator
from salus.freshness.manifest import Manifest, present
from salus.kernel.clock import SystemClock
from salus.kernel.db import Connection
from salus.kernel.errors import Problem
from salus.kernel.settings import Settings
from salus.knowledge.library import Library
from salus.knowledge.packages import installed
from salus.knowledge.systems import loaded
from salus.records.store.defined import kept, state
from salus.records.store.marks import Marking
from salus.records.store.schema import MIGRATIONS, ROOM
from salus.web.assets import Assets

_PROBES = 20
_SLOW_FLUSH_MS = 20.0
_SHOWN = 5  # findings of one tenant; `salus verify` has them all


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report: `ok`, `better` (could be) or `WRONG`, and what mends it."""

    mark: str
    what: str
    mend: str = ""


def examine(settings: Settings) -> Iterator[Finding]:
    """Look at everything that can be looked at without stopping the server."""
    concerns = safety.unsafe(settings)
    for concern in (*concerns, *safety.red(settings)):
        yield Finding("WRONG", concern.what, concern.mend)
    if not concerns:
        yield Finding("ok", "settings, file permissions, policy and certificate are safe to start with")
        left = days_left(settings.path(settings.server.tls_certificate))
        yield Finding("ok", f"the certificate lasts {left} days")
        for concern in safety.could_be_better(settings):
            yield Finding("better", concern.what, concern.mend)
    for concern in backups_could_be_better(settings):
        yield Finding("better", concern.what, concern.mend)
    yield from _flush(settings.folder)
    if not Assets().built:
        yield Finding("better", "the pages for people were not built; they answer 503", "Run: make assets")
    yield from _inside(settings)


def _demanded(settings: Settings, keyring: Keyring) -> Iterator[Finding]:
    """Profiles that the policy demands are there; without one nothing of its type can be written."""
    try:
        demanded = load_policy(policy_text(settings)).profiles
        library = Library(settings.folder / KNOWLEDGE, lambda: keyring.page_key("knowledge"))
    except Problem as problem:
        yield Finding("WRONG", problem.public, problem.detail)
        return
    validator = Validator(library)
    for type_, canonicals in sorted(demanded.items()):
        for canonical in canonicals:
            if validator.knows(canonical):
                yield Finding("ok", f"the profile that the policy demands of {type_} is there")
            else:
                what = f"The policy demands {canonical} of {type_}, which is not installed: none can be written."
                yield Finding("WRONG", what, "Run: salus package install FILE.tgz, or change [profiles] of the policy.")
    library.close()


def _flush(folder: Path) -> Iterator[Finding]:
    """How long the disk takes to make a write durable: it bounds every answer."""
    probe = folder / ".flush-probe"
    taken = []
    try:
        with probe.open("wb") as file:
            for _ in range(_PROBES):
                start = time.perf_counter()
                file.write(b"x" * 4096)
                file.flush()
                os.fsync(file.fileno())
                taken.append((time.perf_counter() - start) * 1000)
    except OSError:
        yield Finding("WRONG", "The data folder cannot be written.", "Check its owner and the free space.")
        return
    finally:
        probe.unlink(missing_ok=True)
    middle = statistics.median(taken)
    if middle > _SLOW_FLUSH_MS:
        yield Finding(
            "better",
            f"The disk takes {middle:.1f} ms to make a write durable; every answer waits for one.",
            "Use a faster disk, best one with power-loss protection.",
        )
    else:
        yield Finding("ok", f"the disk makes a write durable in {middle:.2f} ms")


def _inside(settings: Settings) -> Iterator[Finding]:
    try:
        provider = provider_of(settings)
        began = time.perf_counter()
        provider.health()
        taken = (time.perf_counter() - began) * 1000
        keyring = open_keyring(settings.folder / KEYS_FOLDER, provider)
        asked = f"the key provider ({settings.keys.provider}) wraps and unwraps in {taken:.1f} ms"
        yield Finding("ok", f"{asked}; {_able(provider)}")
        db = opened(settings.folder / DATABASE, keyring, "records")
    except Problem as problem:
        yield Finding("WRONG", problem.public, problem.detail)
        return
    yield from _demanded(settings, keyring)
    try:
        for tenant in keyring.tenants():
            report = verify(db, keyring.tenant(tenant), settings.folder / CHECKPOINTS, open_entries=False)
            if report.ok:
                yield Finding("ok", f"the audit log of {tenant} is whole: {report.size} entries")
            else:
                yield Finding(
                    "WRONG",
                    f"The audit log of {tenant} was tampered with.",
                    f"Run: salus audit verify --tenant {tenant}, keep a copy of the folder, treat it as an incident.",
                )
            yield _index(db, tenant)
            yield from _rotations(db, keyring, settings, tenant)
        yield from _as_written(db, keyring)
        yield _library(settings, keyring)
    finally:
        db.close()
        keyring.close()
        provider.close()


def _rotations(db: Connection, keyring: Keyring, settings: Settings, tenant: str) -> Iterator[Finding]:
    """Keys that are older than the settings allow, and rotations that were begun and not finished."""
    if _older(db):
        return
    now = SystemClock().now_ms()
    plan = [*planned(db, keyring, settings, tenant)]
    for one in plan:
        if one.unfinished:
            what = f"A rotation of {tenant} was begun and not finished ({NAMES[one.kind]}: {one.unfinished})."
            yield Finding("better", what, f"Run: salus keys rewrap --tenant {tenant}")
        elif one.is_due(now):
            what = f"The {NAMES[one.kind]} of {tenant} is due to be rotated: {one.words(now)}."
            yield Finding("better", what, f"Run: salus keys rotate {one.kind} --tenant {tenant}")
    if not any(one.unfinished or one.is_due(now) for one in plan):
        yield Finding("ok", f"no key of {tenant} is due to be rotated")


def _as_written(db: Connection, keyring: Keyring) -> Iterator[Finding]:
    """Whether rows and index are those that were written."""
    if not present(db):
        yield Finding(
            "better", "The database has no manifest yet: it is of an earlier version.", "Start the server once."
        )
        return
    manifest, marking, tenants = Manifest(keyring.tenant), Marking(keyring.tenant), keyring.tenants()
    compared = compare(db, manifest, marking, tenants, lambda *_: None)
    for tenant in tenants:
        wrong = compared.findings[tenant]
        for found in wrong[:_SHOWN]:
            mend = "Keep a copy of the folder, and run: salus verify"
            yield Finding("WRONG", f"The database of {tenant} is not as it was written. {found.text}", mend)
        if not wrong:
            rows = sum(count for count, _ in compared.scanned.sums[tenant].values())
            yield Finding("ok", f"{rows} rows of {tenant} and their index are as they were written")


def _able(provider: KeyProvider) -> str:
    """What a provider can do, in words."""
    can = provider.capabilities
    binds = "it binds each key to its tenant" if can.binds_context else "an envelope binds each key to its tenant"
    destroys = f"a version is destroyed {can.destroyed}" if can.destroys else "it cannot destroy a single version"
    return f"{binds}; {destroys}"


def _library(settings: Settings, keyring: Keyring) -> Finding:
    """What is installed can be opened."""
    try:
        library = Library(settings.folder / KNOWLEDGE, lambda: keyring.page_key("knowledge"))
    except Problem as problem:
        mend = f"Restore {KNOWLEDGE}, or move it away and install packages and code systems again."
        return Finding("WRONG", problem.public, f"{problem.detail}. {mend}")
    packages = len(installed(library))
    systems = len(loaded(library.db)) if library.db is not None else 0
    library.close()
    return Finding("ok", f"the library opens: {packages} packages, {systems} large code systems")


def _older(db: Connection) -> bool:
    """Whether the tables of the records are those of an earlier version of the program."""
    step = db.execute("select step from schema_version where room=?", (ROOM,)).get
    return step is None or step < len(MIGRATIONS)


def _index(db: Connection, tenant: str) -> Finding:
    """Whether every record is indexed for every search parameter, by this version's rules."""
    mend = f"The running server does it by itself; or run: salus reindex --tenant {tenant}"
    if _older(db):
        return Finding("better", f"The records of {tenant} are from an earlier version.", "Start the server once.")
    if state(db, tenant).outdated:
        return Finding("better", f"The records of {tenant} were indexed by an earlier version.", mend)
    waiting = sum(1 for row in kept(db, tenant) if not row.ready)
    if waiting:
        return Finding("better", f"{waiting} search parameters of {tenant} are not ready.", mend)
    return Finding("ok", f"every record of {tenant} is indexed")
