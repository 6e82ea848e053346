# SPDX-License-Identifier: Apache-2.0
"""Every bit of what is stored sealed, flipped, and every length, cut: nothing of it opens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from salus.access.permissions import Permission
from salus.crypto.key_table import Purpose
from salus.crypto.keyring import Keyring, create_keyring
from salus.crypto.kms.local import LocalKeyProvider
from salus.kernel.errors import Kind, Problem
from tests.support.clinic import Clinic

OWNER = b"A" * 16


def altered(blob: bytes) -> Iterator[bytes]:
    """Every flipped bit, every shorter one, one longer, and every other version and algorithm."""
    for place in range(len(blob)):
        for bit in range(8):
            changed = bytearray(blob)
            changed[place] ^= 1 << bit
            yield bytes(changed)
        yield blob[:place]
        yield blob[place + 1 :]
    yield blob + b"\0"
    for place in (0, 1):  # version and algorithm of the envelope
        for value in set(range(256)) - {blob[place]}:
            yield blob[:place] + bytes([value]) + blob[place + 1 :]


def nothing_opens(blob: bytes, opens: Callable[[bytes], object], kind: Kind) -> None:
    opens(blob)  # as it is, it does
    count = 0
    for other in altered(blob):
        count += 1
        with pytest.raises(Problem) as caught:
            opens(other)
        assert caught.value.kind is kind
    assert count > 8 * len(blob)


def test_a_record(clinic: Clinic) -> None:
    ctx = clinic.context("physician")
    permit = ctx.decide(Permission.RECORD_READ, "Observation")
    row = ctx.store.newest(permit, "pulse-anna")
    assert row is not None
    nothing_opens(row.body, lambda body: ctx.store.open(permit, msgspec.structs.replace(row, body=body)), Kind.FAULT)


def test_a_record_under_other_facts(clinic: Clinic) -> None:
    """What stands in clear beside a body is bound to it, whichever column is changed."""
    ctx = clinic.context("physician")
    permit = ctx.decide(Permission.RECORD_READ, "Observation")
    row = ctx.store.newest(permit, "pulse-anna")
    other = ctx.store.newest(permit, "pulse-bert")
    assert row is not None
    assert other is not None
    changes: dict[str, object] = {
        "rid": other.rid,
        "type": "Condition",
        "version": row.version + 1,
        "deleted": 1,
        "owners": other.owners,
        "author": b"x" * 16,
        "labels": b"x" * 16,
        "sensitivity": b"x" * 16,
        "rank": row.rank + 1,
        "body": other.body,
    }
    for column, value in changes.items():
        with pytest.raises(Problem) as caught:
            ctx.store.open(permit, msgspec.structs.replace(row, **{column: value}))
        assert caught.value.kind in {Kind.FAULT, Kind.GONE}, column


@pytest.fixture
def keyring(tmp_path: Path) -> Iterator[Keyring]:
    provider = LocalKeyProvider(bytes(range(32)))
    with closing(create_keyring(tmp_path / "keys", provider)) as made:
        made.create_tenant("default").ensure_patients([OWNER])
        made.tenant("default").record_key(None, "Organization", create=True)
        yield made


@pytest.mark.parametrize(
    ("purpose", "subject"), [(Purpose.PATIENT, OWNER), (Purpose.AUDIT, OWNER), (Purpose.TYPE, "Organization")]
)
def test_a_wrapped_key_of_a_patient_or_type(keyring: Keyring, purpose: Purpose, subject: bytes | str) -> None:
    keys = keyring.tenant("default")
    row = keyring.table.get("default", purpose, subject)
    assert row is not None
    epoch, wrapped = row
    nothing_opens(wrapped, lambda blob: keys._open(purpose, subject, epoch, blob), Kind.FAULT)


def test_the_wrapped_root_key_of_a_tenant_and_the_page_key(keyring: Keyring) -> None:
    provider = keyring.provider
    row = keyring.table.root("default")
    assert row is not None
    context = {"tenant": "default", "purpose": "tenant-root", "epoch": str(row[0])}
    nothing_opens(row[1], lambda blob: provider.unwrap(blob, context), Kind.UNAVAILABLE)
    page = keyring.page_file.read_bytes()
    nothing_opens(page, lambda blob: provider.unwrap(blob, {"purpose": "page-key"}), Kind.UNAVAILABLE)
    with pytest.raises(Problem):
        provider.unwrap(page, context)
    with pytest.raises(Problem):
        provider.unwrap(row[1], {**context, "tenant": "north"})
