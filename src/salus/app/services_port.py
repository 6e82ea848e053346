# SPDX-License-Identifier: Apache-2.0
"""A second port, for services that show who they are by a certificate (in the manner of RFC 8705 section 2.2).

granian verifies client certificates and does not hand them on, so this port is served by uvicorn: the same application,
in one process of its own beside granian's workers. Python's TLS verifies the certificate (authority, validity, purpose,
revocation list); what reaches the application is its SHA-256, which an account of the kind service was given.

New files mean a new process, as with granian: it starts beside the old one, which then finishes its requests and ends.
"""

from __future__ import annotations

import hashlib
import logging
import os
import signal
import socket
import ssl
import threading
import time
from asyncio import BaseTransport
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any, cast

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from salus.app.memory import seal_memory
from salus.http.message import CLIENT_CERTIFICATE
from salus.kernel.settings import Settings, load

_AT_ONCE = 512  # requests at a time
_KEEP_SECONDS = 30
_LONGEST_HEADER = 64 * 1024
_GRACE_SECONDS = 10
_LOOK_SECONDS = 1.0
_LONGEST_START_SECONDS = 60.0
_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}

_log = logging.getLogger(__name__)

Made = Callable[[], Any]
"""Gives the application."""


class ServicesPort:
    """The process behind the port, kept alive by the parent of all workers.

    Args:
        settings: with `services_port` and `client_ca`.
        made: gives the application, in the new process.
    """

    def __init__(self, settings: Settings, made: Made) -> None:
        self._settings = settings
        self._made = made
        self._stopped = threading.Event()
        self._process: BaseProcess | None = None
        self._listens: Event | None = None  # kept: whoever lets go of it takes it from the process too
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._tend, name="services", daemon=True)

    def start(self) -> None:
        """Begin to serve."""
        self._process, self._listens = self._begun()
        self._thread.start()

    def renew(self) -> None:
        """Put new files to use: a new process, and when that one listens, the end of the old one."""
        threading.Thread(target=self._hand_over, name="services", daemon=True).start()

    def _hand_over(self) -> None:
        process, listens = self._begun()
        if not listens.wait(_LONGEST_START_SECONDS):
            _log.error("the port for services could not be opened with the new files; it goes on with the old ones")
            process.kill()
            return
        with self._lock:
            former = None if self._stopped.is_set() else self._process
            if former is not None:
                self._process, self._listens = process, listens
        _end(process if former is None else former)

    def stop(self) -> None:
        """End."""
        self._stopped.set()
        with self._lock:
            process, self._process = self._process, None
        if process is not None:
            _end(process)
            process.join(_GRACE_SECONDS)
            if process.is_alive():
                process.kill()

    def _begun(self) -> tuple[BaseProcess, Event]:
        """A process, and what tells that it listens."""
        context = get_context("spawn")
        listens = context.Event()
        process = context.Process(target=_serve, args=(str(self._settings.folder), self._made, listens), daemon=True)
        process.start()
        return process, listens

    def _tend(self) -> None:
        while not self._stopped.wait(_LOOK_SECONDS):
            with self._lock:
                if self._process is not None and not self._process.is_alive() and not self._stopped.is_set():
                    _log.error("the port for services has ended; it is started again")
                    self._process, self._listens = self._begun()


def tls_of(settings: Settings) -> ssl.SSLContext:
    """TLS that takes nobody without a certificate of the authority that is in force and meant for clients.

    Raises:
        OSError: a file cannot be read or does not fit.
    """
    server = settings.server
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _VERSIONS[server.tls_minimum]
    context.load_cert_chain(settings.path(server.tls_certificate), settings.path(server.tls_key), password="")
    context.load_verify_locations(settings.path(server.client_ca))
    if server.client_crl:
        context.load_verify_locations(settings.path(server.client_crl))
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    context.verify_mode = ssl.CERT_REQUIRED
    context.num_tickets = 0  # a resumed session would not look at the revocation list again
    return context


class _Protocol(H11Protocol):
    """Tells the application whose connection it is."""

    def connection_made(self, transport: BaseTransport) -> None:
        super().connection_made(cast("Any", transport))
        shown: bytes = transport.get_extra_info("ssl_object").getpeercert(binary_form=True)
        digest, application = hashlib.sha256(shown).hexdigest(), self.app

        async def told(scope: Any, receive: Any, send: Any) -> None:
            scope.setdefault("extensions", {})[CLIENT_CERTIFICATE] = digest
            await application(scope, receive, send)

        self.app = told


class _Server(uvicorn.Server):
    """Tells when it listens."""

    def __init__(self, config: uvicorn.Config, listens: Event) -> None:
        super().__init__(config)
        self._listens = listens

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._listens.set()


def _serve(folder: str, made: Made, listens: Event) -> None:
    """What the process does until it is told to end."""
    seal_memory()
    threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
    settings = load(Path(folder))
    listening = socket.socket(socket.AF_INET6 if ":" in settings.server.host else socket.AF_INET)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)  # two generations side by side
    listening.bind((settings.server.host, settings.server.services_port))
    config = uvicorn.Config(
        made(),
        http=_Protocol,
        ws="none",
        lifespan="on",
        log_level="warning",
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        limit_concurrency=_AT_ONCE,
        timeout_keep_alive=_KEEP_SECONDS,
        timeout_graceful_shutdown=_GRACE_SECONDS,
        h11_max_incomplete_event_size=_LONGEST_HEADER,
        ssl_certfile=settings.path(settings.server.tls_certificate),
        ssl_context_factory=lambda _config, _default: tls_of(settings),
    )
    _Server(config, listens).run(sockets=[listening])


def _end_with_parent(parent: int) -> None:
    """A parent that was killed leaves nobody behind who holds keys."""
    while os.getppid() == parent:
        time.sleep(_LOOK_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)


def _end(process: BaseProcess) -> None:
    if process.is_alive() and process.pid is not None:
        os.kill(process.pid, signal.SIGTERM)
