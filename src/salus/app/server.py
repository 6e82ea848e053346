# SPDX-License-Identifier: Apache-2.0
"""The server: one house per worker process behind granian."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from salus.app.background import Background
from salus.app.erasing import again
from salus.app.house import House, Stand
from salus.app.indexing import indexing
from salus.app.key_tending import key_tending
from salus.app.listening import PART, Listener, stop_listening
from salus.app.memory import calm_collector, seal_memory
from salus.app.renewing import renewing
from salus.app.services_port import ServicesPort
from salus.app.signing import Signing
from salus.app.watching import Watch, check_counts
from salus.app.web import web_of
from salus.audit.event import EventType, Outcome
from salus.audit.reader import AuditReader
from salus.http.applications import application_routes
from salus.http.asgi import Application
from salus.http.cors import Cors
from salus.http.federation_api import federation_routes
from salus.http.oauth_api.possession import Possession
from salus.http.oauth_api.table import routes_of
from salus.http.routes import Route
from salus.http.scim_api.table import scim_routes
from salus.http.table import routes
from salus.http.users_api import user_routes
from salus.kernel.commit import Unit
from salus.kernel.errors import Problem
from salus.kernel.settings import Settings, load
from salus.web.app_table import app_pages
from salus.web.elsewhere_table import elsewhere_pages
from salus.web.table import pages

_log = logging.getLogger(__name__)

FOLDER_VARIABLE = "SALUS_FOLDER"


def make_application(settings: Settings, stand: Stand | None = None) -> Application:
    """Open the house of one process and build the ASGI application over it."""
    return build_application(House(settings, stand=stand))


def build_application(house: House) -> Application:
    """The ASGI application over an open house, which it closes when the server stops."""
    house.share_time()
    tasks = (indexing(house), renewing(house), key_tending(house), Watch(house).task())
    web = web_of(house)
    reader = AuditReader(house.db, house.keyring.tenant, house.settled)
    oauth = house.settings.oauth
    shown = [
        *pages(web),
        *elsewhere_pages(web.reception, web.steps, house.directories.federation),
        *app_pages(web.reception, house.oauth, house.apps, oauth.access_minutes, oauth.grant_days),
    ]
    made = Application(
        house.services,
        house.tokens,
        routes(
            Signing(house),
            reader,
            partial(_ready, house),
            shown,
            _for_programs(house),
            user_routes(house.people),
        ),
        startup=lambda: _start(house, made, tasks),
        shutdown=lambda: _stop(house, tasks),
        pages=web.reception,
        possession=Possession(house.oauth, house.services),
        cors=Cors(partial(_origins, house)),
    )
    return made


def _for_programs(house: House) -> list[Route]:
    """The routes of applications and of directories."""
    directories = house.directories
    return [
        *routes_of(house.oauth),
        *application_routes(house.apps),
        *scim_routes(directories.provisioning),
        *federation_routes(directories.federation, house.people),
    ]


async def _origins(house: House, tenant: str) -> frozenset[str]:
    """Web origins of the applications of a tenant, when its keys are at hand."""
    warming = house.keyring.warming(tenant)
    if warming is not None:
        await asyncio.shield(asyncio.wrap_future(warming))
    return house.apps.clients.origins(tenant)


def application() -> Application:
    """What a worker process runs; the parent leaves the data folder in the environment."""
    seal_memory()
    return make_application(load(Path(os.environ[FOLDER_VARIABLE])))


def serve(settings: Settings, target: str = "salus.app.server:application") -> None:
    """Serve until stopped."""
    seal_memory()
    os.environ[FOLDER_VARIABLE] = str(settings.folder)
    services = ServicesPort(settings, application) if settings.server.services_port else None
    Listener(settings, target, services).run()


async def _start(house: House, made: Application, tasks: Sequence[Background]) -> None:
    for tenant in house.keyring.tenants():
        try:
            check_counts(house.db, house.manifest, tenant)
            await house.record(Unit(), house.operator(tenant), EventType.SERVER_START, f"worker {os.getpid()}")
            await again(house, tenant)
        except Problem as problem:  # all its requests are refused, and say why; other tenants are served
            _log.error("starting: %s", problem.detail)
    loop = asyncio.get_running_loop()
    noting = set[asyncio.Task[None]]()  # a task that nobody holds may vanish

    def told(away: str) -> None:
        note = loop.create_task(_note_keys(house, away))
        noting.add(note)
        note.add_done_callback(noting.discard)

    house.keyring.keep(loop.call_soon_threadsafe, told)
    calm_collector()
    for task in tasks:
        task.start()
    loop.add_signal_handler(PART, partial(_part, made, house.settings.server.port))


def _part(made: Application, port: int) -> None:
    stop_listening(port)
    made.part()


async def _note_keys(house: House, away: str) -> None:
    """Write down that the key provider went away (and why), or came back, as long as anything can be written."""
    type_, outcome = (EventType.KEYS_REFUSED, Outcome.FAILED) if away else (EventType.KEYS_UNLOCK, Outcome.GRANTED)
    for tenant in house.keyring.tenants():
        try:
            await house.record(Unit(), house.operator(tenant), type_, away or "the key provider answers again", outcome)
        except Problem as problem:
            _log.error("noting the state of the keys: %s", problem.detail)


async def _stop(house: House, tasks: Sequence[Background]) -> None:
    for task in tasks:
        await task.stop()
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
