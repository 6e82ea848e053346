# SPDX-License-Identifier: Apache-2.0
"""The arithmetic of delays, and which addresses are one network."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from salus.identity.accounts.lockout import LONGEST_WAIT_MS, network_of, wait_after


@given(st.integers(0, 10**6), st.integers(0, 200))
def test_a_wait_never_shrinks_with_failures_and_is_bounded(failures: int, free: int) -> None:
    wait = wait_after(failures, free)
    assert 0 <= wait <= LONGEST_WAIT_MS
    assert wait <= wait_after(failures + 1, free)
    assert (wait == 0) is (failures <= free)


def test_the_waits_are_those_of_the_documents() -> None:
    assert [wait_after(n) // 1000 for n in range(13)] == [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]


@given(st.ip_addresses(v=4), st.integers(0, 255))
def test_neighbours_of_ipv4_are_one_network(address: ipaddress.IPv4Address, host: int) -> None:
    neighbour = ipaddress.IPv4Address(int(address) & ~0xFF | host)
    assert network_of(str(address)) == network_of(str(neighbour)) == network_of(f"::ffff:{neighbour}")


@given(st.ip_addresses(v=6), st.integers(0, 2**80 - 1))
def test_neighbours_of_ipv6_are_one_network(address: ipaddress.IPv6Address, rest: int) -> None:
    neighbour = ipaddress.IPv6Address(int(address) >> 80 << 80 | rest)
    if address.ipv4_mapped is None and neighbour.ipv4_mapped is None:
        assert network_of(str(address)) == network_of(str(neighbour))


@pytest.mark.parametrize(("one", "other"), [("192.0.2.1", "192.0.3.1"), ("2001:db8:1::1", "2001:db8:2::1"), ("", "x")])
def test_strangers_are_not(one: str, other: str) -> None:
    assert network_of(one) != network_of(other)
