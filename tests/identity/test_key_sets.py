# SPDX-License-Identifier: Apache-2.0
"""Keys behind an address: used for as long as their server says and never longer, and asked for as rarely as can be."""

from __future__ import annotations

import json
from typing import Any

import pytest
from client_desk import EC384, KEYS_AT, RSA, STRANGE, ClientDesk, key_set, signed, signer
from identity_desk import Desk
from joserfc import jwk

from salus.identity.clients.client import Client
from salus.identity.clients.keys import read
from salus.kernel.errors import Problem

NEW = jwk.RSAKey.generate_key(2048, parameters={"kid": "new"})


@pytest.fixture
def clients(desk: Desk) -> ClientDesk:
    made = ClientDesk(desk)
    made.register(signer(jwks_uri=KEYS_AT))
    return made


def accepted(clients: ClientDesk, key: Any = RSA, alg: str = "RS384") -> bool:
    return isinstance(clients.present(signed(clients.assertion("signer", alg, key=key))), Client)


@pytest.mark.requirement("smart@296", "smart@339", "smart@341", "g10@AUT-SYS-5")
def test_keys_rotated_behind_a_short_cache_work_at_once_and_former_ones_end(clients: ClientDesk) -> None:
    clients.net.publish(key_set(RSA), {"cache-control": "max-age=1"})
    assert accepted(clients)
    clients.net.publish(key_set(NEW), {"cache-control": "max-age=1"})
    clients.desk.clock.later(1)
    assert accepted(clients, NEW)
    assert not accepted(clients, RSA)


@pytest.mark.requirement("smart@342")
@pytest.mark.parametrize(
    ("headers", "kept_seconds"),
    [
        ({}, 300),
        ({"cache-control": "max-age=60"}, 60),
        ({"cache-control": "public, max-age=60, s-maxage=900"}, 60),
        ({"cache-control": "max-age=60, max-age=900"}, 60),
        ({"cache-control": "max-age=60", "age": "50"}, 10),
        ({"cache-control": "max-age=86400"}, 3600),
        ({"cache-control": 'MAX-AGE="30"'}, 30),
        ({"expires": "Thu, 01 Jan 1970 00:00:00 GMT"}, 0),
        ({"expires": "0"}, 0),
        ({"cache-control": "no-store"}, 0),
        ({"cache-control": "no-cache, max-age=600"}, 0),
    ],
)
def test_what_was_fetched_is_used_as_long_as_was_said(
    clients: ClientDesk, headers: dict[str, str], kept_seconds: int
) -> None:
    clients.net.publish(key_set(RSA), headers)
    assert accepted(clients)
    if kept_seconds:
        clients.desk.clock.later(kept_seconds - 0.001)
        assert accepted(clients)
        assert len(clients.net.fetched) == 1
        clients.desk.clock.later(0.001)
    assert accepted(clients)
    assert len(clients.net.fetched) == 2


def test_a_failure_is_remembered_for_half_a_minute(clients: ClientDesk) -> None:
    assert not accepted(clients)
    clients.net.publish(key_set(RSA))
    clients.desk.clock.later(29)
    assert not accepted(clients)
    assert len(clients.net.fetched) == 1
    clients.desk.clock.later(1)
    assert accepted(clients)


def test_keys_are_not_used_beyond_their_time_when_their_server_is_away(clients: ClientDesk) -> None:
    clients.net.publish(key_set(RSA), {"cache-control": "max-age=10"})
    assert accepted(clients)
    clients.net.answers.clear()
    clients.desk.clock.later(10)
    assert not accepted(clients)


def test_an_unknown_key_has_the_set_fetched_anew_once_a_minute(clients: ClientDesk) -> None:
    clients.net.publish(key_set(RSA), {"cache-control": "max-age=3600"})
    assert accepted(clients)
    clients.net.publish(key_set(RSA, NEW), {"cache-control": "max-age=3600"})
    assert accepted(clients, NEW)
    flood = [jwk.RSAKey.import_key(STRANGE.as_dict(private=True) | {"kid": f"guess-{n}"}) for n in range(5)]
    assert not any(accepted(clients, key) for key in flood)
    assert len(clients.net.fetched) == 2
    clients.desk.clock.later(60)
    assert not any(accepted(clients, key) for key in flood)
    assert len(clients.net.fetched) == 3


def test_many_who_ask_at_once_share_one_fetch(clients: ClientDesk) -> None:
    clients.net.publish(key_set(RSA))
    outcomes = clients.together(*(signed(clients.assertion("signer")) for _ in range(6)))
    assert all(isinstance(each, Client) for each in outcomes)
    assert len(clients.net.fetched) == 1


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, key_set(RSA)),
        (302, key_set(RSA)),
        (200, "<html>"),
        (200, "[]"),
        (200, '{"keys": {}}'),
        (200, '{"keys": [7]}'),
        (200, json.dumps({"keys": [RSA.as_dict(private=True)]})),
        (200, '{"keys": [], "keys": []}'),
    ],
)
def test_an_answer_that_is_no_set_of_public_keys_gives_none(clients: ClientDesk, status: int, body: str) -> None:
    clients.net.publish(body, status=status)
    assert not accepted(clients)


@pytest.mark.parametrize(
    "change",
    [
        {"use": "enc"},
        {"key_ops": ["sign"]},
        {"key_ops": "verify"},
        {"alg": "RSA-OAEP"},
        {"kid": None},
        {"kid": 7},
        {"kty": "oct"},
        {"e": "A" * 4000},
        {"n": "AQAB"},
        {"n": RSA.as_dict(private=False)["n"] * 5},
        {"n": "ä"},
        {"kty": "EC"},
        {"crv": 1, "kty": "OKP"},
    ],
)
def test_keys_that_could_not_have_signed_are_left_out(clients: ClientDesk, change: dict[str, Any]) -> None:
    raw = {**RSA.as_dict(private=False), **change}
    raw = {name: value for name, value in raw.items() if value is not None}
    clients.net.publish(json.dumps({"keys": [raw, EC384.as_dict(private=False)]}))
    assert not accepted(clients)


def test_a_point_that_is_not_on_its_curve_is_left_out() -> None:
    raw = EC384.as_dict(private=False)
    assert read(json.dumps({"keys": [raw | {"x": raw["y"]}]})) == []
    assert len(read(json.dumps({"keys": [raw]}))) == 1


def test_short_keys_are_left_out() -> None:
    modulus = RSA.as_dict(private=False)["n"]
    assert isinstance(modulus, str)
    raw = {"kty": "RSA", "kid": "a", "e": "AQAB", "n": modulus[: len(modulus) // 2 - 1] + "w"}
    assert read(json.dumps({"keys": [raw]})) == []


def test_a_set_with_a_private_key_is_refused_whole() -> None:
    with pytest.raises(Problem, match="private"):
        read(json.dumps({"keys": [RSA.as_dict(private=False), EC384.as_dict(private=True)]}))
