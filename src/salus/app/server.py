# SPDX-License-Identifier: Apache-2.0
"""The server: one house per worker process behind granian, TLS 1.3 only."""

from __future__ import annotations

import asyncio
import logging
import os
from functools import partial
from pathlib import Path

from granian import Granian
from granian.constants import Interfaces, Loops, SSLProtocols
from granian.http import HTTP1Settings
from granian.log import LogLevels

from salus.app.erasing import again
from salus.app.house import House, Stand
from salus.app.indexing import Indexer
from salus.app.memory import calm_collector, seal_memory
from salus.app.signing import Signing
from salus.audit.event import EventType, Outcome
from salus.audit.reader import AuditReader
from salus.http.asgi import Application
from salus.http.table import routes
from salus.kernel.commit import Unit
from salus.kernel.errors import Problem
from salus.kernel.settings import Settings, load

_log = logging.getLogger(__name__)

FOLDER_VARIABLE = "SALUS_FOLDER"
_HEADER_READ_MS = 10_000
_BACKPRESSURE = 512  # requests in one worker at a time


def make_application(settings: Settings, stand: Stand | None = None) -> Application:
    """Open the house of one process and build the ASGI application over it."""
    return build_application(House(settings, stand=stand))


def build_application(house: House) -> Application:
    """The ASGI application over an open house, which it closes when the server stops."""
    house.keep_reads()
    indexer = Indexer(house)
    return Application(
        house.services,
        house.tokens,
        routes(Signing(house), AuditReader(house.db, house.keyring.tenant, house.settled), partial(_ready, house)),
        startup=partial(_start, house, indexer),
        shutdown=partial(_stop, house, indexer),
    )


def application() -> Application:
    """What a worker process runs; the parent leaves the data folder in the environment."""
    seal_memory()
    return make_application(load(Path(os.environ[FOLDER_VARIABLE])))


def serve(settings: Settings, target: str = "salus.app.server:application") -> None:
    """Serve until stopped."""
    seal_memory()
    os.environ[FOLDER_VARIABLE] = str(settings.folder)
    Granian(
        target,
        address=settings.server.host,
        port=settings.server.port,
        interface=Interfaces.ASGI,
        loop=Loops.uvloop,
        workers=settings.server.workers,
        factory=True,
        websockets=False,
        backpressure=_BACKPRESSURE,
        http1_settings=HTTP1Settings(header_read_timeout=_HEADER_READ_MS),
        log_level=LogLevels.warning,
        respawn_failed_workers=True,
        workers_kill_timeout=10,
        ssl_cert=settings.path(settings.server.tls_certificate),
        ssl_key=settings.path(settings.server.tls_key),
        ssl_protocol_min=SSLProtocols.tls13,
    ).serve()


async def _start(house: House, indexer: Indexer) -> None:
    for tenant in house.keyring.tenants():
        await house.record(Unit(), house.operator(tenant), EventType.SERVER_START, f"worker {os.getpid()}")
        await again(house, tenant)
    loop = asyncio.get_running_loop()
    noting = set[asyncio.Task[None]]()  # a task that nobody holds may vanish

    def told(away: str) -> None:
        task = loop.create_task(_note_keys(house, away))
        noting.add(task)
        task.add_done_callback(noting.discard)

    house.keyring.keep(loop.call_soon_threadsafe, told)
    calm_collector()
    indexer.start()


async def _note_keys(house: House, away: str) -> None:
    """Write down that the key provider went away (and why), or came back, as long as anything can be written."""
    type_, outcome = (EventType.KEYS_REFUSED, Outcome.FAILED) if away else (EventType.KEYS_UNLOCK, Outcome.GRANTED)
    for tenant in house.keyring.tenants():
        try:
            await house.record(Unit(), house.operator(tenant), type_, away or "the key provider answers again", outcome)
        except Problem as problem:
            _log.error("noting the state of the keys: %s", problem.detail)


async def _stop(house: House, indexer: Indexer) -> None:
    await indexer.stop()
    try:
        for tenant in house.keyring.tenants():
            await house.record(Unit(), house.operator(tenant), EventType.SERVER_STOP, f"worker {os.getpid()}")
    except Problem as problem:  # keys or audit are away; there is nothing left to refuse
        _log.error("stopping: %s", problem.detail)
    try:
        house.close()
    except Problem as problem:
        _log.error("stopping: %s", problem.detail)


def _ready(house: House) -> None:
    house.keyring.tenant("default")
    house.services.store.reader.last_seq()
