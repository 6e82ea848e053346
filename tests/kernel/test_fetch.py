# SPDX-License-Identifier: Apache-2.0
"""Fetching from strangers: over real TLS, and never into the own network."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.strangers import Stranger, certificate, drips, pours, says

from salus.kernel.errors import Kind, Problem
from salus.kernel.fetch import Fetcher, may_reach

T = TypeVar("T")


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


def leads_to(*addresses: str) -> Callable[[str, int], Awaitable[list[str]]]:
    """A name service that gives one answer after the other, the last one for ever."""
    left = list(addresses)

    async def resolve(host: str, port: int) -> list[str]:
        return [left.pop(0) if len(left) > 1 else left[0]]

    return resolve


async def fetched(
    files: tuple[Path, Path], answer: Any, host: str = "localhost", **options: Any
) -> tuple[Any, Stranger]:
    """Fetch from a stranger whose host may be private; gives the answer or the problem."""
    async with Stranger(files, answer) as stranger:
        fetcher = Fetcher(frozenset({host}), files[0], leads_to("127.0.0.1"))
        try:
            return await fetcher.get(f"https://{host}:{stranger.port}/keys?a=1", **options), stranger
        except Problem as problem:
            return problem, stranger


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    return certificate(tmp_path, "localhost", "keys.example")


def test_a_document_comes_with_status_headers_and_body(files: tuple[Path, Path]) -> None:
    answer, stranger = run(fetched(files, says(b'{"keys":[]}', "Cache-Control: max-age=5")))
    assert (answer.status, answer.body, answer.headers["cache-control"]) == (200, b'{"keys":[]}', "max-age=5")
    head = stranger.heads[0].lower()
    assert head.startswith(b"get /keys?a=1 ")
    assert b"host: localhost:%d\r\n" % stranger.port in head
    assert b"authorization" not in head
    assert b"cookie" not in head


def test_the_certificate_has_to_be_for_the_name_and_not_for_the_address(files: tuple[Path, Path]) -> None:
    answer, _ = run(fetched(files, says(b"{}"), host="keys.example"))
    assert answer.body == b"{}"
    problem, stranger = run(fetched(files, says(b"{}"), host="another.example"))
    assert isinstance(problem, Problem)
    assert problem.kind is Kind.UNAVAILABLE
    assert stranger.heads == []


@pytest.mark.requirement("g10@AUT-SYS-4")
def test_a_certificate_of_an_unknown_authority_is_refused(files: tuple[Path, Path]) -> None:
    async def work() -> None:
        async with Stranger(files, says(b"{}")) as stranger:
            fetcher = Fetcher(frozenset({"localhost"}), None, leads_to("127.0.0.1"))
            await fetcher.get(f"https://localhost:{stranger.port}/")

    with pytest.raises(Problem, match="does not answer"):
        run(work())


def test_a_redirect_is_not_followed(files: tuple[Path, Path]) -> None:
    answer, stranger = run(fetched(files, says(b"", "Location: https://169.254.169.254/latest", status="302 Found")))
    assert answer.status == 302
    assert stranger.connections == 1


@pytest.mark.parametrize("endless", [pours(), says(b" " * 70_000), drips(0.05)])
def test_what_is_too_large_or_too_slow_is_left(files: tuple[Path, Path], endless: Any) -> None:
    problem, _ = run(fetched(files, endless, seconds=0.6))
    assert isinstance(problem, Problem)
    assert problem.kind is Kind.UNAVAILABLE
    assert problem.detail in {"too slow", "more than 65536 bytes"}


def test_compressed_bodies_are_left_unread(files: tuple[Path, Path]) -> None:
    problem, _ = run(fetched(files, says(b"\x1f\x8b" + b"0" * 100, "Content-Encoding: gzip")))
    assert isinstance(problem, Problem)


@pytest.mark.requirement("g10@AUT-SYS-4")
@pytest.mark.parametrize(
    "url",
    [
        "http://keys.example/",
        "file:///etc/passwd",
        "ftp://keys.example/",
        "gopher://keys.example/",
        "https://user@keys.example/",
        "https://keys.example\\@evil.example/",
        "https://keys.example/\r\nX: y",
        "https:///keys",
        "https://keys.example:99999/",
        "//keys.example/",
        "https://kéys.example/",
        "https://keys.example/" + "a" * 3000,
        "",
    ],
)
def test_other_addresses_than_plain_https_are_not_even_looked_up(url: str) -> None:
    async def resolve(host: str, port: int) -> list[str]:
        raise AssertionError("looked up")

    with pytest.raises(Problem) as refused:
        run(Fetcher(resolve=resolve).get(url))
    assert refused.value.kind is Kind.INVALID


CLOSED = [
    "127.0.0.1", "127.8.8.8", "0.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
    "168.63.129.16", "192.0.0.192", "224.0.0.1", "255.255.255.255", "198.18.0.1", "::1", "::", "fe80::1", "fc00::1",
    "fd00:ec2::254", "fec0::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::10.0.0.1",
    "64:ff9b::7f00:1", "2002:7f00:1::", "2002:a00:1::", "2001:db8::1",
]  # fmt: skip


@pytest.mark.parametrize("address", CLOSED)
def test_ssrf_into_the_own_network_is_refused_before_any_connection(address: str) -> None:
    """No connection is tried: the test network is closed, and would say so with another problem."""
    with pytest.raises(Problem) as refused:
        run(Fetcher(resolve=leads_to(address)).get("https://keys.example/"))
    assert refused.value.kind is Kind.INVALID


@pytest.mark.parametrize("address", ["169.254.169.254", "fd00:ec2::254", "168.63.129.16", "fe80::1", "0.0.0.1"])
def test_where_clouds_hand_out_credentials_stays_closed_for_named_hosts_too(address: str) -> None:
    with pytest.raises(Problem) as refused:
        run(Fetcher(frozenset({"keys.example"}), resolve=leads_to(address)).get("https://keys.example/"))
    assert refused.value.kind is Kind.INVALID


def test_private_addresses_are_open_for_the_named_host_and_port_alone(files: tuple[Path, Path]) -> None:
    async def work() -> None:
        async with Stranger(files, says(b"{}")) as stranger:
            named = Fetcher(frozenset({f"localhost:{stranger.port}"}), files[0], leads_to("127.0.0.1"))
            assert (await named.get(f"https://localhost:{stranger.port}/")).status == 200
            with pytest.raises(Problem):
                await named.get("https://localhost:1/")
            with pytest.raises(Problem):
                await named.get(f"https://keys.example:{stranger.port}/")

    run(work())


def test_an_address_of_version_6_is_reached_under_its_name(files: tuple[Path, Path]) -> None:
    async def work() -> None:
        async with Stranger(files, says(b"{}"), host="::1") as stranger:
            fetcher = Fetcher(frozenset({"localhost"}), files[0], leads_to("::1"))
            assert (await fetcher.get(f"https://localhost:{stranger.port}/")).body == b"{}"
            assert b"host: localhost:" in stranger.heads[0].lower()

    run(work())


def test_the_next_address_is_tried_when_one_is_not_there(files: tuple[Path, Path]) -> None:
    async def resolve(host: str, port: int) -> list[str]:
        return ["::1", "127.0.0.1"]

    async def work() -> None:
        async with Stranger(files, says(b"{}")) as stranger:
            fetcher = Fetcher(frozenset({"localhost"}), files[0], resolve)
            assert (await fetcher.get(f"https://localhost:{stranger.port}/")).status == 200

    run(work())


def test_the_name_service_of_the_system_is_asked(files: tuple[Path, Path]) -> None:
    async def work() -> None:
        async with Stranger(files, says(b"{}")) as stranger:
            assert (
                await Fetcher(frozenset({"localhost"}), files[0]).get(f"https://localhost:{stranger.port}/")
            ).body == b"{}"
            with pytest.raises(Problem):
                await Fetcher().get(f"https://localhost:{stranger.port}/")
            assert stranger.connections == 1

    run(work())


def test_one_private_address_among_public_ones_closes_the_name() -> None:
    async def resolve(host: str, port: int) -> list[str]:
        return ["93.184.216.34", "10.0.0.1"]

    with pytest.raises(Problem) as refused:
        run(Fetcher(resolve=resolve).get("https://keys.example/"))
    assert refused.value.kind is Kind.INVALID


def test_dns_rebinding_has_no_second_answer_to_give(files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """The name leads to a public address when it is judged, and to loopback ever after: loopback is never reached."""
    reached: list[str] = []

    async def connect(self: Any, factory: Any, host: Any = None, port: Any = None, **_: Any) -> Any:
        reached.append(str(host))
        raise OSError("no way out")

    async def work() -> None:
        async with Stranger(files, says(b"secret")) as stranger:
            fetcher = Fetcher(ca_file=files[0], resolve=leads_to("93.184.216.34", "127.0.0.1"))
            loop = asyncio.get_running_loop()
            monkeypatch.setattr(type(loop), "create_connection", connect)
            monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: pytest.fail("looked up a second time"))
            with pytest.raises(Problem) as refused:
                await fetcher.get(f"https://localhost:{stranger.port}/")
            assert refused.value.kind is Kind.UNAVAILABLE
            assert stranger.connections == 0

    run(work())
    assert set(reached) == {"93.184.216.34"}


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_is_judged_alike_in_each_of_its_ipv6_clothes(plain: ipaddress.IPv4Address) -> None:
    number = int(plain)
    mapped = ipaddress.IPv6Address((0xFFFF << 32) | number)
    nat64 = ipaddress.IPv6Address((0x64FF9B << 96) | number)
    six_to_four = ipaddress.IPv6Address((0x2002 << 112) | (number << 80))
    for private in (False, True):
        for dressed in (mapped, nat64, six_to_four):
            assert may_reach(dressed, private=private) == may_reach(plain, private=private)


@given(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)))
def test_what_is_not_global_is_never_reached_without_being_named(address: Any) -> None:
    if may_reach(address):
        assert not address.is_private
        assert not address.is_loopback
        assert not address.is_link_local
        assert not address.is_multicast
        assert may_reach(address, private=True)
