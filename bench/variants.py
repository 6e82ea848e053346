# SPDX-License-Identifier: Apache-2.0
"""The same server with one part replaced by nothing, to see what that part costs. Never for records of real people.

Each factory is a target for granian. The data folder that a variant serves must have been made by the same variant.
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from salus.access.decide import Access
from salus.access.permissions import Permission
from salus.access.permit import _MAKER, Permit
from salus.app.house import House, Stand
from salus.app.server import FOLDER_VARIABLE, build_application
from salus.audit.event import Event
from salus.audit.log import AuditLog
from salus.crypto.keyring import Keyring, TenantKeys
from salus.freshness.manifest import Manifest
from salus.http.asgi import Application
from salus.kernel.actor import Actor
from salus.kernel.commit import Unit, Writer
from salus.kernel.settings import Settings, load
from salus.records.store.marks import Marking

_NOT_ENCRYPTED = ("audit-body", "page")  # sealers that are replaced; secrets of accounts stay sealed


# ── null cipher ──────────────────────────────────────────────────────────────────────────────────────────────────────


class NullSealingKey:
    """Seals nothing: what comes in goes out. Compression and padding stay, blind tokens stay."""

    def seal(self, plaintext: bytes, context: object) -> bytes:
        return plaintext

    def open(self, blob: bytes, context: object) -> bytes:
        return blob


class _NullTenantKeys:
    """A tenant whose records and audit entries lie in clear."""

    def __init__(self, real: TenantKeys) -> None:
        self._real = real
        self._null = NullSealingKey()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def record_key(self, owner: bytes | None, type: str, *, create: bool = False) -> NullSealingKey:  # noqa: A002
        return self._null

    def opening_key(self, owner: bytes | None, type: str, sealed: bytes) -> NullSealingKey:  # noqa: A002
        return self._null

    def audit_key(self, owner: bytes) -> NullSealingKey:
        return self._null

    def keys_of(self, owners: Iterable[bytes]) -> dict[bytes, NullSealingKey]:
        return dict.fromkeys(owners, self._null)

    def ensure_patients(self, owners: Iterable[bytes]) -> None:
        return

    def sealer(self, purpose: str) -> Any:
        return self._null if purpose in _NOT_ENCRYPTED else self._real.sealer(purpose)


class _NullKeyring:
    """A keyring without record keys and without page encryption."""

    def __init__(self, real: Keyring) -> None:
        self._real = real
        self._tenants: dict[str, _NullTenantKeys] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def page_key(self, database: str) -> bytes | None:
        return None if database == "records" else self._real.page_key(database)

    def tenant(self, name: str) -> _NullTenantKeys:
        if name not in self._tenants:
            self._tenants[name] = _NullTenantKeys(self._real.tenant(name))
        return self._tenants[name]


# ── null audit ───────────────────────────────────────────────────────────────────────────────────────────────────────


class _NullAudit:
    """Counts events; seals and writes none."""

    name = "audit"

    def __init__(self, real: AuditLog) -> None:
        self._real = real
        self.events = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def add(self, unit: Unit, event: Event) -> None:
        self.events += 1

    def begin(self, db: object) -> None: ...
    def check(self, db: object, part: object) -> None: ...
    def apply(self, db: object, parts: Sequence[object]) -> None: ...
    def committed(self) -> None: ...
    def rolled_back(self) -> None: ...

    def idle(self, db: object) -> bool:
        return False

    def kept(self) -> bool:
        return False

    def take_in(self, db: object, waiting: object) -> None: ...

    def close(self, db: object) -> None:
        print(f"bench: {self.events} events were counted and none was written", file=sys.stderr)


class _OnlyWrites:
    """The writer, but a unit with nothing in it is done at once: reads wait for nobody."""

    def __init__(self, real: Writer) -> None:
        self._real = real
        self.close = real.close
        self.settle = real.settle
        self.on_their_way = 0

    def keep_with(self, keeper: object) -> None:
        """There is nothing to keep."""

    def in_steps_over(self, other: object) -> None:
        """Nothing large is measured with it."""

    def submit(self, unit: Unit) -> asyncio.Future[None]:
        if unit.parts:
            return self._real.submit(unit)
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done


# ── allow all ────────────────────────────────────────────────────────────────────────────────────────────────────────


class _AllowAll:
    """Lets everyone do everything; judges no record."""

    def __init__(self, real: Access) -> None:
        self.assurance = real.assurance
        self._real = real
        self._permits: dict[tuple[Actor, Permission, str], Permit] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def decide(self, actor: Actor, permission: Permission, type: str = "", *, letters: str = "") -> Permit:  # noqa: A002
        key = (actor, permission, type)
        permit = self._permits.get(key)
        if permit is None:
            permit = self._permits[key] = Permit(
                maker=_MAKER,
                actor=actor,
                permission=permission,
                type=type,
                purpose=actor.purpose,
                grants=("bench",),
                reason="bench: allow all",
                masked=frozenset(),
                unrestricted=True,
                _test=lambda _: True,
                _fragment=("true", ()),
                _masks=(),
            )
        return permit


# ── null manifest ────────────────────────────────────────────────────────────────────────────────────────────────────


class _NullManifest:
    """Follows no row and vouches for everything."""

    def __init__(self, real: Manifest) -> None: ...
    def follow(self, db: object) -> None: ...
    def vouch(self, db: object, tenant: str, head: bytes) -> None: ...
    def seal(self, db: object) -> None: ...

    def missing(self, db: object) -> list[str]:
        return []

    def stated(self, db: object, tenant: str) -> None: ...


class _NullMarking:
    """Rows without marks of their tokens."""

    def __init__(self, real: Marking) -> None: ...

    def tenant(self, name: str) -> _NullMarking:
        return self

    def of(self, seq: int, terms: str) -> bytes:
        return b""


# ── factories ────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclasses.dataclass(frozen=True)
class Variant:
    """A way to build the house, and where granian finds it."""

    title: str
    target: str
    stand: Callable[[], Stand]
    reads_wait: bool = True


VARIANTS = {
    "everything": Variant("everything on", "salus.app.server:application", Stand),
    "null-cipher": Variant("null cipher", "bench.variants:null_cipher", lambda: Stand(keyring=_NullKeyring)),
    "null-audit": Variant("null audit", "bench.variants:null_audit", lambda: Stand(audit=_NullAudit), reads_wait=False),
    "null-manifest": Variant(
        "null manifest", "bench.variants:null_manifest", lambda: Stand(manifest=_NullManifest, marking=_NullMarking)
    ),
    "allow-all": Variant("allow all", "bench.variants:allow_all", lambda: Stand(access=_AllowAll)),
}


def house_of(variant: Variant, settings: Settings) -> House:
    """The house of a variant over a data folder."""
    house = House(settings, stand=variant.stand())
    if not variant.reads_wait:
        only_writes: Any = _OnlyWrites(house.writer)
        house.services = dataclasses.replace(house.services, writer=only_writes)
    return house


def null_cipher() -> Application:
    """Records, audit entries and pages lie in clear."""
    return _application("null-cipher")


def null_audit() -> Application:
    """Nothing is written to the audit log."""
    return _application("null-audit")


def null_manifest() -> Application:
    """Rows are counted by nobody."""
    return _application("null-manifest")


def allow_all() -> Application:
    """Everyone may do everything."""
    return _application("allow-all")


def _application(name: str) -> Application:
    variant = VARIANTS[name]
    print(f"\n*** BENCHMARK ONLY: {variant.title}. This server protects nothing. ***\n", file=sys.stderr)
    return build_application(house_of(variant, load(Path(os.environ[FOLDER_VARIABLE]))))
