# SPDX-License-Identifier: Apache-2.0
"""granian with our certificates: which TLS it speaks, whose clients it takes, and how new files come into use.

A worker reads certificate, key and client authority once, when it starts. So new files mean new workers: a new one
starts, then an old one finishes its requests and ends. The files are looked at every two seconds, and at SIGHUP. Files
that do not fit together are never put to use; the server goes on with what it has.

Before an old worker ends, it stops listening and asks its HTTP/1.1 clients to connect anew (`Application.part`), since
a request that meets the end of its connection would be lost (RFC 9112 section 9.3.1). HTTP/2 has GOAWAY for it.
"""

from __future__ import annotations

import errno
import logging
import os
import signal
import socket
import ssl
import stat
import threading
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from granian.constants import Interfaces, Loops, SSLProtocols
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server.mp import MPServer

from salus.app.services_port import ServicesPort
from salus.kernel.errors import Kind, Problem
from salus.kernel.settings import Server, Settings

_HEADER_READ_MS = 10_000
_BACKPRESSURE = 512  # requests in one worker at a time
_LOOK_SECONDS = 2.0
_HAND_OVER_SECONDS = 8.0  # an old worker ends this long after the start of the one in its place,
_PART_SECONDS = 2.0  # having parted from its clients this long before
PART = signal.SIGUSR1
"""Tells a worker that it is going to end."""

_DESCRIPTORS = Path("/proc/self/fd")
PROTOCOLS = {"1.2": SSLProtocols.tls12, "1.3": SSLProtocols.tls13}

_log = logging.getLogger(__name__)


def tls_files(settings: Settings) -> list[Path]:
    """The files that TLS is made of: certificate, key, and where set, client authority and revocation list."""
    server = settings.server
    names = (server.tls_certificate, server.tls_key, server.client_ca, server.client_crl)
    return [settings.path(name) for name in names if name]


def usable(settings: Settings) -> bool:
    """Whether all of them can be read and fit together, asked of the TLS library itself."""
    server = settings.server
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(settings.path(server.tls_certificate), settings.path(server.tls_key), password="")
        for extra in (server.client_ca, server.client_crl):
            if extra:
                context.load_verify_locations(settings.path(extra))
    except (OSError, ValueError):  # ssl.SSLError is an OSError
        return False
    return True


def check_free(server: Server) -> None:
    """Raise Problem(UNAVAILABLE) when somebody listens already, or when we may not.

    Workers share a port (SO_REUSEPORT), and so would another Salus without a word: each would get some of the requests.
    """
    for port in filter(None, (server.port, server.services_port)):
        family = socket.AF_INET6 if ":" in server.host else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections that just ended do no harm
            try:
                probe.bind((server.host, port))
            except OSError as error:
                raise Problem(Kind.UNAVAILABLE, _why(error, port)) from None


def _why(error: OSError, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"Another program listens on port {port}, perhaps another Salus. Set [server] port to another one."
    if error.errno == errno.EACCES:
        return f"This user may not listen on port {port}. Set [server] port to one from 1024."
    return "This machine has no such address. Set [server] host."


def stop_listening(port: int) -> None:
    """Take no new connections in this worker; the kernel gives them to those workers that still listen.

    granian cannot be asked to. Each worker has a socket of its own (SO_REUSEPORT); another file in its place closes it.
    """
    nothing = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    for entry in list(_DESCRIPTORS.iterdir()) if _DESCRIPTORS.is_dir() else []:
        if _listens(int(entry.name), port):
            os.dup2(nothing, int(entry.name), inheritable=False)
    os.close(nothing)


def _listens(descriptor: int, port: int) -> bool:
    try:
        if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
            return False
        with socket.socket(fileno=os.dup(descriptor)) as found:
            if found.family not in (socket.AF_INET, socket.AF_INET6) or found.getsockname()[1] != port:
                return False
            return bool(found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
    except OSError:  # no socket, or gone already
        return False


def _tell(worker: BaseProcess) -> None:
    if worker.is_alive() and worker.pid is not None:
        os.kill(worker.pid, PART)


class Listener(MPServer):
    """The parent of the workers."""

    def __init__(self, settings: Settings, target: str, services: ServicesPort | None = None) -> None:
        server = settings.server
        everyone = bool(server.client_ca) and not server.services_port  # else that port alone asks for certificates
        self._settings = settings
        self._services = services
        super().__init__(
            target,
            address=server.host,
            port=server.port,
            interface=Interfaces.ASGI,
            loop=Loops.uvloop,
            workers=server.workers,
            factory=True,
            websockets=False,
            backpressure=_BACKPRESSURE,
            http1_settings=HTTP1Settings(header_read_timeout=_HEADER_READ_MS),
            log_level=LogLevels.warning,
            respawn_failed_workers=True,
            respawn_interval=_HAND_OVER_SECONDS,
            workers_kill_timeout=10,
            ssl_cert=settings.path(server.tls_certificate),
            ssl_key=settings.path(server.tls_key),
            ssl_protocol_min=PROTOCOLS[server.tls_minimum],
            ssl_ca=settings.path(server.client_ca) if everyone else None,
            ssl_crl=[settings.path(server.client_crl)] if everyone and server.client_crl else None,
            ssl_client_verify=everyone,
        )
        self._stopped = threading.Event()
        self._served = self._state()

    def run(self) -> None:
        """Serve until stopped."""
        # Ignored until a worker is ready for it: left alone, the signal would end a worker that has just begun.
        signal.signal(PART, signal.SIG_IGN)
        threading.Thread(target=self._watch, name="certificates", daemon=True).start()
        if self._services is not None:
            self._services.start()
        try:
            self.serve()
        finally:
            self._stopped.set()
            if self._services is not None:
                self._services.stop()

    def signal_handler_reload(self, *args: object, **kwargs: object) -> None:
        """SIGHUP, or new files: start anew with them, unless they do not fit together."""
        if not usable(self._settings):
            _log.error("the new certificate is not put to use: it, its key or the client authority do not fit")
            return
        self._served = self._state()
        if self._services is not None:
            self._services.renew()
        super().signal_handler_reload()  # type: ignore[no-untyped-call]

    def _respawn_workers(self, workers: Any, spawn_target: Any, target_loader: Any, delay: float = 0) -> None:
        for index in workers:
            old = self.wrks[index].inner
            if delay and old.is_alive():  # without a delay it has failed and has nothing to part from
                threading.Timer(delay - _PART_SECONDS, _tell, (old,)).start()
            super()._respawn_workers([index], spawn_target, target_loader, delay)

    def _watch(self) -> None:
        refused: object = None
        while not self._stopped.wait(_LOOK_SECONDS):
            state = self._state()
            if state in (self._served, refused) or state != self._settled():
                continue
            refused = state
            self.signal_handler_reload()

    def _settled(self) -> object:
        """The state of the files a moment later: certificate and key are seldom written at once."""
        self._stopped.wait(_LOOK_SECONDS / 4)
        return self._state()

    def _state(self) -> object:
        """What tells new files from old ones; through links, which is how ACME clients switch."""
        found: list[tuple[int, int, int] | None] = []
        for path in tls_files(self._settings):
            try:
                seen = path.stat()
            except OSError:
                found.append(None)
            else:
                found.append((seen.st_ino, seen.st_size, seen.st_mtime_ns))
        return found
