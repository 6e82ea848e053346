# SPDX-License-Identifier: Apache-2.0
"""From a backup to an installation again: for good, or as a drill.

The newest backup of the keys decides what comes back: records whose patient has no key any more were erased, and are
removed. The index is made again under new keys. All access tokens end, since one that was revoked later would be valid
again. The audit log goes on where the copy ends, with an entry that says so.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp

from salus.app.backup import KEY_TABLE, PAGE_KEY
from salus.app.certificates import issue, make_authority
from salus.app.databases import opened
from salus.app.found import TLS_FOLDER, hosts_of
from salus.app.house import CHECKPOINTS, DATABASE, KEYS_FOLDER, ROOMS, House, prepare_records
from salus.app.indexing import bring_up_to_date, operator
from salus.app.providers import LOCAL, provider_of
from salus.app.schedule import PATIENT
from salus.app.standing import open_tables
from salus.app.verifying import verify
from salus.audit import store as audit_store
from salus.audit.checkpoint import NoteReader
from salus.audit.event import EventType
from salus.audit.published import Published
from salus.backup.checking import pieces
from salus.backup.manifest import File, Manifest, Signed, Stream
from salus.backup.places import Place
from salus.backup.sealing import Identity
from salus.backup.writing import load, newest
from salus.crypto.keyfile import private_folder, read_private, write_new
from salus.crypto.keyring import Keyring, open_keyring
from salus.crypto.kms.provider import KeyProvider
from salus.fhir import json
from salus.freshness import manifest as freshness
from salus.kernel.clock import elapsed_seconds
from salus.kernel.commit import Unit
from salus.kernel.db import Connection, FileLock, exclusive
from salus.kernel.errors import Kind, Problem
from salus.kernel.settings import FILE_NAME, Settings
from salus.kernel.settings import load as load_settings
from salus.records.interactions.search import search_system
from salus.records.store.defined import state
from salus.records.store.erased import remove_erased, remove_replaced
from salus.records.store.turned import start_over

_SAMPLE = 50
_REPLACED = (
    "were left out: their patient's key was replaced after this backup, and nothing opens them any more. A later "
    "backup has these patients."
)


@dataclass(frozen=True, slots=True)
class Source:
    """Where to restore from.

    Attributes:
        data, keys: places of the two streams.
        reader: the public key of the installation's backups.
        identity: opens the chunks.
        number: which backup of the data; None for the newest.
    """

    data: Place
    keys: Place
    reader: NoteReader
    identity: Identity
    number: int | None = None


@dataclass(slots=True)
class Restored:
    """What came of it.

    Attributes:
        manifest: the backup of the data.
        digest: of its manifest.
        keys: the backup of the keys.
        erased: rows of erased patients that were removed.
        logs: by tenant, entries of its audit log.
        findings: what is wrong with an audit log, a row or the index, in words.
        sample: records that a drill opened.
        seconds: how long it took.
    """

    manifest: Manifest
    digest: str
    keys: Manifest
    erased: int = 0
    logs: dict[str, int] = field(default_factory=dict)
    findings: list[str] = field(default_factory=list)
    sample: int = 0
    seconds: float = 0.0


def restore(
    folder: Path,
    source: Source,
    *,
    root_key: Path | None = None,
    provider: Callable[[], KeyProvider] | None = None,
    drill: bool = False,
) -> Restored:
    """Restore an installation into an empty folder.

    Args:
        folder: missing or empty; left as it was when anything fails.
        root_key: a local root key, to be copied to where the settings expect it.
        provider: gives the key provider; None for the one that the restored settings name.
        drill: look into a sample of records, and make no certificate.

    Raises:
        Problem: CONFLICT when the folder is not empty; INVALID when anything is not as it was written, or the keys are
            older than the data; UNAVAILABLE when the keys cannot be opened.
    """
    if folder.exists() and any(folder.iterdir()):
        raise Problem(Kind.CONFLICT, f"{folder} is not empty; a backup is restored into an empty folder.")
    began = elapsed_seconds()
    data, keys = _chosen(source)
    try:
        private_folder(folder)
        _write(source.keys, keys.manifest, folder / KEYS_FOLDER, source.identity)
        _write(source.data, data.manifest, folder, source.identity)
        settings = load_settings(folder)
        if root_key is not None:
            write_new(settings.path(settings.keys.root_key_file), read_private(root_key))
        elif provider is None and settings.keys.provider == LOCAL:
            _expect_root_key(settings)
        restored = Restored(data.manifest, data.digest, keys.manifest)
        make = provider or (lambda: provider_of(settings))
        _tidy(settings, make, restored)
        _open(settings, make(), restored, drill=drill)
        if not drill:
            _certificate(settings)
    except BaseException:
        _empty(folder)
        raise
    restored.seconds = elapsed_seconds() - began
    return restored


def drill(settings: Settings, source: Source, scratch: Path | None) -> Restored:
    """Restore into a scratch folder, verify, look into a sample, and remove it again; raises as `restore`."""
    folder = Path(mkdtemp(prefix="salus-drill-", dir=scratch))
    try:
        return restore(folder, source, provider=lambda: provider_of(settings), drill=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _chosen(source: Source) -> tuple[Signed, Signed]:
    if source.number is None:
        data = newest(source.data, Stream.DATA, source.reader)
    else:
        data = load(source.data, source.number, Stream.DATA, source.reader)
    keys = newest(source.keys, Stream.KEYS, source.reader)
    if data is None or keys is None:
        raise Problem(Kind.NOT_FOUND, f"There is no backup of the {'data' if data is None else 'keys'}.")
    if keys.manifest.at < data.manifest.at:
        raise Problem(
            Kind.INVALID,
            "The newest backup of the keys is older than this backup of the data, so patients who came in between "
            "would be taken for erased. Choose an earlier backup of the data, or find the newer one of the keys.",
        )
    return data, keys


def _write(place: Place, manifest: Manifest, folder: Path, identity: Identity) -> None:
    names = {file.name for file in manifest.files}
    needed = {KEY_TABLE, PAGE_KEY} if manifest.stream is Stream.KEYS else {FILE_NAME, DATABASE}
    if not needed <= names or len(names) != len(manifest.files):
        raise Problem(Kind.INVALID, f"Backup {manifest.number} of the {manifest.stream} is not whole.")
    for file in sorted(manifest.files, key=lambda one: one.name == FILE_NAME):  # the settings last
        _write_file(place, file, folder / file.name, identity)


def _write_file(place: Place, file: File, path: Path, identity: Identity) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with path.open("xb") as out:
        path.chmod(0o600)
        for piece in pieces(place, file, identity):
            out.write(piece)


def _expect_root_key(settings: Settings) -> None:
    if not settings.path(settings.keys.root_key_file).is_file():
        raise Problem(
            Kind.UNAVAILABLE, "The root key is in no backup. Give its file with --root-key; you keep it elsewhere."
        )


def _tidy(settings: Settings, make: Callable[[], KeyProvider], restored: Restored) -> None:
    """What must be done before rooms are opened: bring file and log together, look at every page, drop the erased."""
    provider = make()
    keyring = open_keyring(settings.folder / KEYS_FOLDER, provider)
    try:
        with closing(opened(settings.folder / DATABASE, keyring, "records")) as db:
            if db.execute("pragma quick_check(1)").fetchall() != [("ok",)]:
                raise Problem(Kind.INVALID, "The restored database is damaged.")
            for journal in audit_store.journals(db):  # they stayed on the other machine
                audit_store.drop_journal(db, journal)
            seal = _opened(db, settings, keyring)
            for tenant in keyring.tenants():
                keys = keyring.tenant(tenant)
                restored.erased += remove_erased(db, keys, seal)
                if PATIENT in keys.rotations() and (lost := remove_replaced(db, keys, seal)):
                    restored.findings.append(f"{tenant}: {lost} versions {_REPLACED}")
            _renew_index(db, keyring, seal)
    finally:
        keyring.close()
        provider.close()
    published = Published(settings.folder / CHECKPOINTS)
    for log in restored.manifest.logs:  # so that the verification goes through the root that the manifest states
        published.publish(log.tenant, log.note, log.size)


def _opened(db: Connection, settings: Settings, keyring: Keyring) -> Callable[[Connection], None]:
    """Bring the tables to this version; gives what keeps the manifests true while rows are taken out."""
    if not freshness.present(db):  # an earlier version: the house makes its first manifests
        prepare_records(db)
        return lambda _: None
    manifest = freshness.Manifest(keyring.tenant)
    lock = FileLock(settings.folder / f"{DATABASE}.lock")
    try:
        open_tables(db, ROOMS, manifest, keyring.tenants, lock)
    finally:
        lock.close()
    return manifest.seal


def _renew_index(db: Connection, keyring: Keyring, seal: Callable[[Connection], None]) -> None:
    """Leave nothing of the copied index: it is made again under new keys, and the former ones are destroyed.

    Who holds an old copy of the database can compare nothing with it, and nothing of an erased patient is in it.
    """
    numbers: dict[str, int] = {}
    for tenant in keyring.tenants():
        keys = keyring.tenant(tenant)
        numbers[tenant] = max(*keys.index_numbers(), state(db, tenant).key, state(db, tenant).beside) + 1
        keys.make_index(numbers[tenant])
    with exclusive(db):
        start_over(db, numbers)
        seal(db)
    for tenant, number in numbers.items():
        keys = keyring.tenant(tenant)
        for former in keys.index_numbers():
            if former != number:
                keys.destroy_index(former)


def _open(settings: Settings, provider: KeyProvider, restored: Restored, *, drill: bool) -> None:
    house = House(settings, provider=provider)
    try:
        asyncio.run(_enter(house, restored, drill=drill))
    finally:
        house.close()


async def _enter(house: House, restored: Restored, *, drill: bool) -> None:
    """Write the entry in every log, end all tokens, verify."""
    unit = Unit()
    house.tokens.revoke_all(unit)
    house.oauth.grants.end_all(unit)
    house.people.end_all(unit)
    house.apps.registration.end_all(unit)
    reason = (
        f"restored from data {restored.manifest.number} sha256:{restored.digest} of {restored.manifest.at}, keys "
        f"{restored.keys.number}; {restored.erased} rows of erased patients left out; all tokens ended"
    )
    for tenant in house.keyring.tenants():
        await house.record(unit, house.operator(tenant), EventType.BACKUP_RESTORE, reason)
        restored.findings += [f"{tenant}: not indexed yet: {words}" for words in await bring_up_to_date(house, tenant)]
        unit = Unit()
        if drill:
            answer = json.decode(await search_system(operator(house, tenant), [("_count", str(_SAMPLE))]))
            restored.sample += len(answer.get("entry", ()))
    for tenant, verified in (await verify(house)).items():
        restored.logs[tenant] = verified.log.size
        restored.findings += [f"{tenant}: {words}" for words in verified.words()]


def _certificate(settings: Settings) -> None:
    """A new authority and certificate, where the former ones stayed on the other machine."""
    certificate, key = (settings.path(name) for name in (settings.server.tls_certificate, settings.server.tls_key))
    tls = settings.folder / TLS_FOLDER
    if not certificate.exists() and not key.exists() and certificate.parent == key.parent == tls.absolute():
        make_authority(tls)
        issue(tls, certificate, key, hosts_of(settings.server.host, settings.base_url))


def _empty(folder: Path) -> None:
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
