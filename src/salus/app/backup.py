# SPDX-License-Identifier: Apache-2.0
"""Backups of this installation: which files, in which order, to which places.

Two streams that never meet. The data: settings, policy, published checkpoints, both databases. The keys: the table of
wrapped keys and the wrapped page key, in a place of their own and for a short time only, so that erasure reaches what
is kept long. The root key is in neither.

The order makes any two copies fit: checkpoints before the records that they speak of, records before the keys that they
need.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from salus import __version__
from salus.app.databases import opened
from salus.app.house import CHECKPOINTS, DATABASE, KEYS_FOLDER, KNOWLEDGE, House
from salus.audit import store as audit_store
from salus.audit.checkpoint import NoteReader, Signer
from salus.audit.event import EventType, Outcome
from salus.audit.signers import LogReader
from salus.backup.manifest import ORIGIN, File, Log, Manifest, Signed, Stream, new
from salus.backup.places import Bucket, Folder, Place
from salus.backup.sealing import Recipients
from salus.backup.writing import CHUNK_BYTES, BackupWriter, Known, Written, load, numbers, prune
from salus.crypto.keyfile import read_private
from salus.crypto.kms.provider import library
from salus.crypto.wiping import wipe
from salus.kernel.clock import instant
from salus.kernel.commit import Unit
from salus.kernel.db import Connection, FileLock
from salus.kernel.errors import Kind, Problem
from salus.kernel.settings import FILE_NAME, Backup, Settings
from salus.kernel.snapshot import held, raw_pieces

POLICY = "policy.toml"
KEY_TABLE = "keys.db"
PAGE_KEY = "page.key"

_LOCK = "backup.lock"
_MEMORY = "backups.json"  # what this server wrote last, and where
_SIGNATURE = "backup-signature"  # purposes of keys derived from the page key
_CHUNKS = "backup-chunks"
_DAY_MS = 86_400_000
_BUCKET = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,62})(?:/(.*))?")


@dataclass(frozen=True, slots=True)
class Created:
    """The two backups that were made together, and how many old ones of the keys were removed."""

    data: Written
    keys: Written
    removed: int


class _Last(msgspec.Struct, frozen=True):
    place: str
    number: int
    digest: str
    at: str = ""  # of its manifest; of a drill: when it was


_DRILL = "drill"  # beside the streams: which backup was restored on trial, and when


# ── places and keys ─────────────────────────────────────────────────────────────────────────────────────────


def place_of(settings: Settings, stream: Stream) -> Place:
    """The place that the settings name for a stream.

    Raises:
        Problem: INCORRECT when it is not set, or both streams would meet.
    """
    backup = settings.backup
    if not backup.place or not backup.keys_place:
        raise Problem(Kind.INCORRECT, "[backup] place and keys_place say where backups go; both are needed.")
    data, keys = (_address(settings, each).rstrip("/") + "/" for each in (backup.place, backup.keys_place))
    if data.startswith(keys) or keys.startswith(data):
        raise Problem(
            Kind.INCORRECT, "[backup] keys_place must lie apart from place: erased keys would stay with the data."
        )
    return place_at(settings, backup.place if stream is Stream.DATA else backup.keys_place)


def place_at(settings: Settings, address: str) -> Place:
    """A place by its address: a folder, or `s3://bucket/prefix`."""
    if not address.startswith("s3://"):
        return Folder(settings.path(address))
    match = _BUCKET.fullmatch(address)
    if match is None:
        raise Problem(Kind.INCORRECT, "A bucket is written s3://bucket/prefix.")
    prefix = (match[2] or "").strip("/")
    return Bucket(_client(settings, settings.backup), match[1], f"{prefix}/" if prefix else "")


def signer_of(house: House) -> Signer:
    """Signs manifests of this installation."""
    seed = house.keyring.page_key(_SIGNATURE)
    signer = Signer(ORIGIN, seed)
    wipe(seed)
    return signer


def remembered(settings: Settings, stream: Stream) -> Known | None:
    """The last backup that this server wrote to the place of a stream."""
    backup = settings.backup
    last = _memory(settings.folder).get(stream)
    place = backup.place if stream is Stream.DATA else backup.keys_place
    return Known(last.number, last.digest) if last and last.place == _address(settings, place) else None


def last_made(settings: Settings) -> str:
    """When the newest backup of the data was made, as an instant; "" when it is not known that there is one."""
    last = _memory(settings.folder).get(Stream.DATA)
    return last.at if last and last.place == _address(settings, settings.backup.place) else ""


def last_drill(settings: Settings) -> str:
    """When a backup was last restored on trial without findings; "" for never."""
    last = _memory(settings.folder).get(_DRILL)
    return last.at if last else ""


def drilled(settings: Settings, signed: Manifest, digest: str, at: str) -> None:
    """Remember a drill that found nothing."""
    _keep(settings, _DRILL, _Last(_address(settings, settings.backup.place), signed.number, digest, at))


def _address(settings: Settings, place: str) -> str:
    return place if place.startswith("s3://") else str(settings.path(place).resolve())


def _client(settings: Settings, backup: Backup) -> object:
    session = library("botocore.session", "aws").Session()
    if backup.credential_file:
        path = settings.path(backup.credential_file)
        wipe(read_private(path))  # refuses a file that others can read
        session.set_config_variable("credentials_file", str(path))
    made = library("boto3", "aws").Session(botocore_session=session)
    verify = str(settings.path(backup.ca_file)) if backup.ca_file else None
    return made.client("s3", region_name=backup.region or None, endpoint_url=backup.endpoint or None, verify=verify)


# ── create ──────────────────────────────────────────────────────────────────────────────────────────────────


async def create(house: House, *, whole: bool = False) -> Created:
    """Make a backup of data and keys while others write, and log it.

    Args:
        house: of the installation.
        whole: write every chunk again, also those that are there.

    Raises:
        Problem: INCORRECT when settings are missing; CONFLICT when another backup is being made, or backups were
            removed or exchanged; UNAVAILABLE when a place cannot be written.
    """
    with _alone(house.settings.folder):
        try:
            made = _create(house, whole=whole)
        except Problem as problem:
            await house.record(
                Unit(), house.operator(), EventType.BACKUP_CREATE, f"no backup: {problem.kind}", Outcome.FAILED
            )
            raise
        data, keys = made.data.signed, made.keys.signed
        reason = (
            f"data {data.manifest.number} sha256:{data.digest}; keys {keys.manifest.number} sha256:{keys.digest}"
            f"; {made.removed} old backups of keys removed"
        )
        await house.record(Unit(), house.operator(), EventType.BACKUP_CREATE, reason)
        return made


def _create(house: House, *, whole: bool) -> Created:
    settings = house.settings
    recipients = Recipients(settings.backup.recipient)
    writers = {stream: _writer(house, stream, recipients, whole=whole) for stream in Stream}
    data = _data(house, writers[Stream.DATA])
    _remember(settings, Stream.DATA, data.signed)
    keys = _keys(house, writers[Stream.KEYS])
    _remember(settings, Stream.KEYS, keys.signed)
    return Created(data, keys, _prune(house, keys.signed))


def _writer(house: House, stream: Stream, recipients: Recipients, *, whole: bool) -> BackupWriter:
    signer = signer_of(house)
    place, known = place_of(house.settings, stream), remembered(house.settings, stream)
    chunk_key = house.keyring.page_key(_CHUNKS)
    try:
        # Keys are written anew each time: nothing of an old backup is needed when that one is removed.
        anew = whole or stream is Stream.KEYS
        return BackupWriter(place, stream, signer, NoteReader(signer.public), recipients, chunk_key, known, whole=anew)
    finally:
        wipe(chunk_key)


def _data(house: House, writer: BackupWriter) -> Written:
    settings, folder = house.settings, house.settings.folder
    files = [writer.file(source) for source in _plain_files(settings)]
    if (folder / KNOWLEDGE).exists():
        with _held(house, folder / KNOWLEDGE, "knowledge"):
            files += _database(writer, folder, KNOWLEDGE)
    with _held(house, folder / DATABASE, "records") as db:
        logs = [log for tenant in house.keyring.tenants() if (log := _log(house, db, tenant)) is not None]
        at = instant(house.clock.now_ms())
        files += _database(writer, folder, DATABASE)
    return writer.finish(lambda last: new(Stream.DATA, last, at, __version__, files, logs))


def _keys(house: House, writer: BackupWriter) -> Written:
    folder = house.settings.folder / KEYS_FOLDER
    at = instant(house.clock.now_ms())
    # A copy without free pages: what was erased from the table is not in it.
    with TemporaryDirectory(dir=house.settings.folder, prefix=".backup-") as scratch:
        copy = Path(scratch) / KEY_TABLE
        with closing(opened(folder / KEY_TABLE, house.keyring, "keys")) as db:
            db.execute("vacuum into ?", (str(copy),))
        files = [writer.file((KEY_TABLE, _read(copy))), writer.file((PAGE_KEY, [read_private(folder / PAGE_KEY)]))]

    def manifest(last: Signed | None) -> Manifest:
        return new(Stream.KEYS, last, at, __version__, files, [])

    return writer.finish(manifest)


def _plain_files(settings: Settings) -> Iterator[tuple[str, Iterable[bytes]]]:
    """Settings hold no secrets by design; certificates, root keys and credentials are left out."""
    yield FILE_NAME, _read(settings.folder / FILE_NAME)
    yield POLICY, _read(settings.path(settings.access.policy))
    for path in sorted((settings.folder / CHECKPOINTS).glob("*")):
        if path.suffix in {".log", ".latest", ".keys"}:
            yield f"{CHECKPOINTS}/{path.name}", _read(path)


def _database(writer: BackupWriter, folder: Path, name: str) -> list[File]:
    """The file first, then its log: see `salus.kernel.snapshot`."""
    return [
        writer.file((each, raw_pieces(folder / each, CHUNK_BYTES)))
        for each in (name, f"{name}-wal")
        if (folder / each).exists()
    ]


def _log(house: House, db: Connection, tenant: str) -> Log | None:
    note = audit_store.newest_note(db, tenant)
    if note is None:
        return None
    point = LogReader.of(db, house.keyring.tenant(tenant)).open(note)
    return Log(tenant, point.size, point.root.hex(), note)


def _prune(house: House, newest: Signed) -> int:
    """Remove backups of keys that are older than the settings allow; the newest stays."""
    place, reader = place_of(house.settings, Stream.KEYS), NoteReader(signer_of(house).public)
    oldest = instant(house.clock.now_ms() - house.settings.backup.keys_days * _DAY_MS)
    all_ = [load(place, number, Stream.KEYS, reader) for number in numbers(place)]
    kept = [each for each in all_ if each.manifest.at >= oldest or each.digest == newest.digest]
    return prune(place, [each for each in all_ if each not in kept], kept)


@contextmanager
def _held(house: House, path: Path, purpose: str) -> Iterator[Connection]:
    with closing(opened(path, house.keyring, purpose)) as db, held(db):
        yield db


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    lock = FileLock(folder / _LOCK)
    try:
        if not lock.try_enter():
            raise Problem(Kind.CONFLICT, "Another backup is being made.")
        yield
    finally:
        lock.close()


def _read(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(CHUNK_BYTES):
            yield piece


def _memory(folder: Path) -> dict[str, _Last]:
    try:
        return msgspec.json.decode((folder / _MEMORY).read_bytes(), type=dict[str, _Last])
    except FileNotFoundError:
        return {}
    except (OSError, msgspec.DecodeError, msgspec.ValidationError):
        raise Problem(Kind.UNAVAILABLE, f"{_MEMORY} cannot be read; remove it to accept what lies there.") from None


def _remember(settings: Settings, stream: Stream, signed: Signed) -> None:
    backup = settings.backup
    address = _address(settings, backup.place if stream is Stream.DATA else backup.keys_place)
    _keep(settings, stream, _Last(address, signed.manifest.number, signed.digest, signed.manifest.at))


def _keep(settings: Settings, name: str, last: _Last) -> None:
    memory = _memory(settings.folder) | {str(name): last}
    draft = settings.folder / f"{_MEMORY}.new"
    draft.write_bytes(msgspec.json.encode(memory))
    draft.chmod(0o600)
    draft.replace(settings.folder / _MEMORY)
