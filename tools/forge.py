# SPDX-License-Identifier: Apache-2.0
"""Forge an entry of the audit log, to show that `salus audit verify` notices.

Copies a data folder, then changes in the copy who did something, with the keys that lie in the copy: what an insider
could do who has the disk and the keys, but who is not the program. The folder that it is given is only read; there is
no way to make this tool write to it.

usage: .venv/bin/python tools/forge.py salus-demo --copy FOLDER [--entry N] [--account NAME] [--thorough]
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

import msgspec

from salus.app.house import DATABASE, KEYS_FOLDER, provider_of
from salus.audit import store
from salus.audit.entry import BODY, open_entry, seal_entry
from salus.audit.event import Event
from salus.audit.merkle import Frontier, leaf_hash
from salus.crypto.keyring import TenantKeys, open_keyring
from salus.kernel.db import Connection, open_database
from salus.kernel.errors import Problem
from salus.kernel.settings import load

TENANT = "default"
_DATABASES = "*.db*"  # copied page by page through SQLite, since the server may be writing


def main() -> int:
    """Copy, forge, say what was done."""
    arguments = _arguments()
    if not (arguments.source / "salus.toml").is_file():
        return _refuse(f"{arguments.source} is no data folder")
    if arguments.copy is None:
        return _refuse("say with --copy where the copy is to be made; the folder itself is never changed")
    if arguments.copy.exists():
        return _refuse(f"{arguments.copy} exists; name a folder that does not")
    if arguments.copy.absolute().is_relative_to(arguments.source.absolute()):
        return _refuse("the copy cannot lie inside the folder")
    try:
        copy(arguments.source, arguments.copy)
        print(forge(arguments.copy, arguments.entry, arguments.account, thorough=arguments.thorough))
    except Problem as problem:
        return _refuse(problem.public)
    return 0


def copy(source: Path, target: Path) -> None:
    """Copy a data folder, also of a running server. Checkpoints first: they must not be newer than the database."""
    shutil.copytree(source, target, ignore=shutil.ignore_patterns(_DATABASES))
    settings = load(source)
    provider = provider_of(settings)
    keyring = open_keyring(source / KEYS_FOLDER, provider)
    for name, key in ((f"{KEYS_FOLDER}/keys.db", "keys"), (DATABASE, "records")):
        reading = open_database(source / name, keyring.page_key(key))
        writing = open_database(target / name, keyring.page_key(key))
        with writing.backup("main", reading, "main") as backup:
            backup.step()
        writing.close()
        reading.close()
    keyring.close()


def forge(folder: Path, index: int | None, account: str, *, thorough: bool) -> str:
    """Change the account of one entry; `thorough` also makes MACs and tree anew, as only the keys allow.

    Args:
        folder: the copy.
        index: which entry; None for the last one that is about a record.
        account: who is to have done it.
    """
    settings = load(folder)
    keyring = open_keyring(folder / KEYS_FOLDER, provider_of(settings))
    keys = keyring.tenant(TENANT)
    db = open_database(folder / DATABASE, keyring.page_key("records"))
    batches = list(store.batches(db, TENANT))
    batch, position, event = _wanted(batches, keys, index)
    entries = store.unpack(batch.entries)
    changed = msgspec.structs.replace(event, actor=_as(event, account))
    entries[position] = seal_entry(changed, keys, keys.sealer(BODY))
    _write(db, batch, entries, keys if thorough else None)
    if thorough:
        tree = Frontier()
        for one in store.batches(db, TENANT):
            for entry in store.unpack(one.entries):
                tree.append(leaf_hash(entry))
        store.write_head(db, TENANT, tree, keys.derived(store.HEAD_KEY))
    db.close()
    keyring.close()
    number = batch.first + position
    return f"in {folder}, entry {number} ({event.type.value}) now says {account} instead of {event.actor.id}"


def _wanted(batches: list[store.Batch], keys: TenantKeys, index: int | None) -> tuple[store.Batch, int, Event]:
    for batch in reversed(batches):
        entries = store.unpack(batch.entries)
        for position in reversed(range(len(entries))):
            event = open_entry(entries[position], keys).event
            if index == batch.first + position or (index is None and event.type.value.startswith("record.")):
                return batch, position, event
    raise SystemExit("forge: the log has no such entry")


def _as(event: Event, account: str) -> object:
    actor = event.actor
    return type(actor)(
        actor.tenant, account, actor.kind, actor.roles, actor.purpose, actor.party, actor.session, actor.scopes
    )


def _write(db: Connection, batch: store.Batch, entries: list[bytes], keys: TenantKeys | None) -> None:
    mac = batch.mac
    if keys is not None:
        leaves = [leaf_hash(entry) for entry in entries]
        key = keys.derived(store.BATCH_KEY)
        mac = store.batch_mac(key, TENANT, batch.first, (batch.since, batch.until), leaves)
    db.execute(
        "update audit_batch set entries=?, mac=? where tenant=? and first=?",
        (store.pack(entries), mac, TENANT, batch.first),
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Forge an audit entry in a copy of a data folder.")
    parser.add_argument("source", type=Path, help="the data folder; only read")
    parser.add_argument("--copy", type=Path, help="where the copy is made; must not exist")
    parser.add_argument("--entry", type=int, help="which entry; the last one about a record when left out")
    parser.add_argument("--account", default="nurse-priya", help="who is to have done it")
    parser.add_argument("--thorough", action="store_true", help="make MACs and tree anew as well, with the keys")
    return parser.parse_args()


def _refuse(why: str) -> int:
    print(f"forge: {why}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
