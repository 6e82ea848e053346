# SPDX-License-Identifier: Apache-2.0
"""Where the server listens and what it is called: which of these cannot be."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from contextlib import suppress
from urllib.parse import urlsplit

from salus.app.concern import Concern
from salus.kernel.settings import Server

_PORTS = range(1, 65_536)


def impossible(server: Server) -> Iterator[Concern]:
    """What of these settings nobody could listen on, or be reached by."""
    try:
        ipaddress.ip_address(server.host)
    except ValueError:
        yield Concern("host is not an IP address.", 'Set [server] host = "127.0.0.1", or "0.0.0.0" for all addresses.')
    for name, port, none in (("port", server.port, False), ("services_port", server.services_port, True)):
        if port not in _PORTS and not (none and port == 0):
            yield Concern(f"{name} is not from 1 to {_PORTS[-1]}.", f"Set [server] {name}.")
    if server.workers < 1:
        yield Concern("workers is less than 1.", "Set [server] workers = 2.")
    yield from _name(server.base_url)


def _name(base_url: str) -> Iterator[Concern]:
    mend = 'Set [server] base_url = "https://NAME", or "https://NAME:PORT", without /fhir.'
    if not base_url:
        return
    if not base_url.startswith("https://"):
        yield Concern("base_url does not start with https://.", mend)
        return
    parts, port = urlsplit(base_url), 0
    with suppress(ValueError):
        port = parts.port or _PORTS[-1]
    if not parts.hostname or not port or any(character in base_url for character in ' "\\@'):
        yield Concern("base_url is no address.", mend)
    elif parts.path not in {"", "/"} or parts.query or parts.fragment:
        yield Concern("base_url has something behind the name of the server.", mend)
