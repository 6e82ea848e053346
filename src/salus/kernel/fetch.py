# SPDX-License-Identifier: Apache-2.0
"""Fetches small documents from addresses that strangers chose, without being turned against its own network.

Only `https`. A name is resolved once, every address that comes back is judged, and the connection goes to the address
that was judged: nobody can answer differently the second time (DNS rebinding). The certificate is checked against the
name all the same. Redirects are not followed, proxies of the environment are not used, a document is read up to its
limit, and all of it together has to be over in a few seconds, however slowly the other side drips.

Private addresses can be allowed for single hosts by a setting; those where clouds hand out credentials, never.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from salus.kernel.errors import Kind, Problem

LIMIT_BYTES = 64 * 1024
SECONDS = 3.0
_AT_ONCE = 16
_ASKING = 4  # threads
_TRIED = 3  # addresses of one host
_LONGEST_URL = 2_000
_LONGEST_WAIT = 30.0

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], Awaitable[list[str]]]
"""(host, port): the addresses that the host has."""

_NEVER = tuple(
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/8",
        "169.254.0.0/16",  # link-local: metadata services of clouds
        "168.63.129.16/32",  # the same of Azure, at a public address
        "100.100.100.200/32",  # of Alibaba
        "192.0.0.0/24",  # of Oracle
        "224.0.0.0/4",
        "240.0.0.0/4",
        "::/128",
        "fe80::/10",
        "fd00:ec2::/32",  # of Amazon
        "ff00::/8",
    )
)
_PRIVATE = (ipaddress.ip_network("fec0::/10"),)  # site-local: deprecated, and some libraries call it global
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


@dataclass(frozen=True, slots=True)
class Fetched:
    """An answer, whatever its status.

    Attributes:
        headers: names in lower case.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


class Fetcher:
    """Fetches documents over `https`.

    Args:
        private_hosts: hosts (`host` or `host:port`) that may have private or loopback addresses.
        ca_file: certificates (PEM) of further authorities beside the public ones, for such hosts.
        resolve: for tests.
    """

    def __init__(
        self, private_hosts: frozenset[str] = frozenset(), ca_file: Path | None = None, resolve: Resolve | None = None
    ) -> None:
        self._private = private_hosts
        self._ca_file = ca_file
        self._resolve = resolve or self._look_up
        self._names: ThreadPoolExecutor | None = None
        self._trust: ssl.SSLContext | None = None
        self._turn = asyncio.Semaphore(_AT_ONCE)

    async def get(
        self, url: str, *, accept: str = "application/json", limit: int = LIMIT_BYTES, seconds: float = SECONDS
    ) -> Fetched:
        """Fetch a document.

        Args:
            url: `https` address.
            accept: media types that are wanted.
            limit: most bytes of the document.
            seconds: for everything together.

        Raises:
            Problem: INVALID for an address that is not fetched at all; UNAVAILABLE when it does not answer, is not
                who it should be, is too slow or sends too much. `detail` says which.
        """
        return await self._send("GET", url, {"accept": accept}, None, limit, seconds)

    async def post(
        self,
        url: str,
        form: Mapping[str, str],
        *,
        headers: Mapping[str, str] | None = None,
        limit: int = LIMIT_BYTES,
        seconds: float = SECONDS,
    ) -> Fetched:
        """Send a form; everything else as `get`."""
        sent = {"accept": "application/json", **(headers or {})}
        return await self._send("POST", url, sent, dict(form), limit, seconds)

    async def _send(
        self, method: str, url: str, headers: dict[str, str], form: dict[str, str] | None, limit: int, seconds: float
    ) -> Fetched:
        host, port = _place(url)
        try:
            async with asyncio.timeout(seconds), self._turn:
                *others, last = (await self._judged(host, port))[:_TRIED]
                for address in others:
                    try:
                        return await self._exchange(method, url, (host, port, address), headers, form, limit)
                    except httpx.ConnectError:
                        continue  # often only one of a host's addresses can be reached
                return await self._exchange(method, url, (host, port, last), headers, form, limit)
        except TimeoutError:
            raise _away("too slow") from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ssl.SSLError, UnicodeError) as error:
            raise _away(type(error).__name__) from None

    async def _look_up(self, host: str, port: int) -> list[str]:
        """Ask the system; in threads of its own, since a name service that does not answer keeps them for long."""
        if self._names is None:
            self._names = ThreadPoolExecutor(_ASKING, thread_name_prefix="names")
        asked = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        found = await asyncio.get_running_loop().run_in_executor(self._names, asked)
        return list(dict.fromkeys(str(entry[4][0]) for entry in found))

    async def _judged(self, host: str, port: int) -> list[str]:
        """The addresses of the host; none is used unless all of them may be."""
        found = await self._resolve(host, port)
        allowed = bool({host, f"{host}:{port}"} & self._private)
        if not found or not all(may_reach(ipaddress.ip_address(each), private=allowed) for each in found):
            raise Problem(
                Kind.INVALID, "This address is not fetched from.", "address of a network that is closed to it"
            )
        return found

    async def _exchange(
        self,
        method: str,
        url: str,
        to: tuple[str, int, str],
        headers: dict[str, str],
        form: dict[str, str] | None,
        limit: int,
    ) -> Fetched:
        host, port, address = to
        written = f"[{address}]" if ":" in address else address
        target = httpx.URL(url).copy_with(host=written, port=port)
        headers |= {"host": host if port == 443 else f"{host}:{port}", "accept-encoding": "identity"}
        if self._trust is None:
            self._trust = ssl.create_default_context()
            if self._ca_file is not None:
                self._trust.load_verify_locations(self._ca_file)
        limits = httpx.Timeout(_LONGEST_WAIT)  # the limit for everything together is that of the caller
        named = {"sni_hostname": host.strip("[]")}  # what the certificate is checked against
        async with httpx.AsyncClient(verify=self._trust, trust_env=False, timeout=limits) as client:
            request = client.build_request(method, target, headers=headers, data=form, extensions=named)
            answer = await client.send(request, stream=True)
            try:
                body = await _read(answer, limit)
            finally:
                await answer.aclose()
        return Fetched(answer.status_code, {name.lower(): value for name, value in answer.headers.items()}, body)


def may_reach(address: Address, *, private: bool = False) -> bool:
    """Whether a document may be fetched from this address.

    Args:
        address: where a name leads; one that wraps an IPv4 address counts as that.
        private: also private and loopback addresses.
    """
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None:
            return False
        wrapped = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
        if address in _NAT64:
            wrapped = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if wrapped is not None:
            return may_reach(wrapped, private=private)
    if any(address in network for network in _NEVER if network.version == address.version):
        return False
    if private:
        return True
    known_private = any(address in network for network in _PRIVATE if network.version == address.version)
    return address.is_global and not address.is_multicast and not known_private


def _place(url: str) -> tuple[str, int]:
    """Host and port; what two programs could read differently is not fetched."""
    try:
        parts = urlsplit(url)
        port = parts.port or 443
    except ValueError:
        raise _closed("not an address") from None
    host = parts.hostname or ""
    plain = url.isascii() and url.isprintable() and not {" ", "\\"} & set(url)
    if parts.scheme != "https" or not host or "@" in parts.netloc or not plain or len(url) > _LONGEST_URL:
        raise _closed("not a plain https address")
    return host, port


async def _read(answer: httpx.Response, limit: int) -> bytes:
    if answer.headers.get("content-encoding", "identity") != "identity":
        raise _away("compressed, which was not asked for")
    body = bytearray()
    async for piece in answer.aiter_raw():
        body += piece
        if len(body) > limit:
            raise _away(f"more than {limit} bytes")
    return bytes(body)


def _closed(detail: str) -> Problem:
    return Problem(Kind.INVALID, "Only plain https addresses are fetched.", detail)


def _away(detail: str) -> Problem:
    return Problem(Kind.UNAVAILABLE, "The other server does not answer as it should.", detail)
