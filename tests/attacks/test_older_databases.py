# SPDX-License-Identifier: Apache-2.0
"""Databases of earlier versions: they get their first manifest once, and are brought to new tables only when whole."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from contextlib import closing, suppress
from typing import Any

import pytest

from salus.app.house import ROOMS
from salus.app.providers import provider_of
from salus.app.standing import open_tables
from salus.audit import store as audit_store
from salus.audit.event import EventType
from salus.audit.reading import Filter
from salus.crypto.keyring import Keyring, open_keyring
from salus.freshness.manifest import Manifest
from salus.freshness.report import FindingKind
from salus.freshness.scan import stands
from salus.kernel.db import Connection, FileLock, migrate, open_database
from salus.kernel.errors import Problem
from tests.support.clinic import Clinic, patient, put_all
from tests.support.forging import change, forge, kinds, taken_away, tokens_taken, verified


def closed(clinic: Clinic, how: Callable[[Connection, Keyring], Any]) -> Any:
    """Work on the database while the house is closed."""
    with suppress(Problem):
        clinic.close()
    keyring = open_keyring(clinic.folder / "keys", provider_of(clinic.settings))
    with closing(keyring), closing(open_database(clinic.folder / "records.db", keyring.page_key("records"))) as db:
        return how(db, keyring)


def made_older(db: Connection, keyring: Keyring) -> None:
    """As it was before there were manifests."""
    db.execute("drop table freshness")
    db.execute("delete from schema_version where room='freshness'")
    db.execute("update record set marks=x''")
    keys = keyring.tenant("default")
    head = audit_store.read_head(db, "default")
    assert head is not None
    mac = audit_store.head_mac(keys.derived(audit_store.FORMER_HEAD_KEY), "default", head.size, head.frontier)
    assert not hmac.compare_digest(mac, head.mac)
    db.execute("update audit_head set mac=?", (mac,))


def test_a_database_from_before_gets_its_first_manifest_with_an_entry(clinic: Clinic) -> None:
    change(clinic)
    closed(clinic, made_older)
    clinic.open()
    assert verified(clinic).ok
    page = clinic.log().page("default", Filter(types=frozenset({EventType.STORE_ACCEPT})), limit=5)
    assert len(page.entries) == 1
    put_all(clinic.as_("service"), patient("dora", "Dunn", "1990-01-01"))
    assert verified(clinic).ok
    forge(clinic, tokens_taken)
    assert FindingKind.INDEX in kinds(verified(clinic))
    clinic.close()
    clinic.open()
    assert len(clinic.log().page("default", Filter(types=frozenset({EventType.STORE_ACCEPT})), limit=5).entries) == 1


def _newer(db: Connection) -> None:
    migrate(
        db,
        "newer",
        (
            "create table newer(tenant text not null, what text not null) strict",
            "insert into newer values('default', 'x')",
            "alter table relation add column since integer not null default 0",
        ),
    )


@pytest.mark.parametrize("forged", [False, True])
def test_tables_are_changed_only_in_a_database_that_adds_up(clinic: Clinic, forged: bool) -> None:
    if forged:
        forge(clinic, taken_away)

    def how(db: Connection, keyring: Keyring) -> list[str]:
        manifest = Manifest(keyring.tenant)
        lock = FileLock(clinic.folder / "records.db.lock")
        with closing(lock):
            open_tables(db, (*ROOMS, _newer), manifest, keyring.tenants, lock)
        return stands(db, manifest, keyring.tenants())

    if forged:
        with pytest.raises(Problem, match="not brought to this version"):
            closed(clinic, how)
    else:
        assert closed(clinic, how) == []
    clinic.open()
    assert verified(clinic).ok is not forged
