# SPDX-License-Identifier: Apache-2.0
"""A tenant that was made after a server began: its first requests wait for its key, and ask once for all."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from contextlib import closing
from typing import Any

from salus.app.providers import provider_of
from salus.audit.reading import size
from salus.crypto.keyring import open_keyring
from tests.support.clinic import Clinic


def test_first_requests_of_a_new_tenant(clinic: Clinic, monkeypatch: Any) -> None:
    house = clinic.house
    with closing(open_keyring(clinic.folder / "keys", provider_of(clinic.settings))) as another_process:
        another_process.create_tenant("north")
    asked: list[str] = []
    real = house._provider.unwrap

    def unwrap(blob: bytes, context: Mapping[str, str]) -> bytearray:
        asked.append(threading.current_thread().name)
        return real(blob, context)

    monkeypatch.setattr(house._provider, "unwrap", unwrap)
    house.keyring.keep(clinic.loop.call_soon_threadsafe)

    async def strangers() -> list[int]:
        paths = [f"/t/north/fhir/Patient/{number}" for number in range(8)]
        return [answer.status_code for answer in await asyncio.gather(*(clinic.http.get(path) for path in paths))]

    assert set(clinic.run(strangers())) == {401}  # and not 503: the keys were waited for
    assert asked == ["key-keeper"] * 2  # root key and wrapping key
    journal = house.audit._journal
    assert journal is not None
    written = size(house.db, "north") + len(journal.waiting.get("north", ()))
    assert written == 8  # each refusal stands in the new tenant's log, or waits for it on the disk
    unknown = clinic.stranger.get("/t/nowhere/fhir/Patient/1")
    assert unknown.status_code == 401
    assert asked == ["key-keeper"] * 2  # root key and wrapping key
