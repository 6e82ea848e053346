# SPDX-License-Identifier: Apache-2.0
"""A service whose keys lie behind an address, through the whole application: honest, moved, slow, and hostile hosts."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from joserfc import jwk, jwt
from tests.support.clinic import BASE, Clinic
from tests.support.signed_in import just_proved
from tests.support.strangers import Answer, Stranger, certificate, drips, pours, says

from salus.kernel.ids import uuid7
from salus.kernel.settings import Fetch

KEY = jwk.ECKey.generate_key("P-384", parameters={"kid": "one"})
NEW = jwk.ECKey.generate_key("P-384", parameters={"kid": "two"})
BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def published(*keys: Any) -> bytes:
    return json.dumps({"keys": [key.as_dict(private=False) for key in keys]}).encode()


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    return certificate(tmp_path, "localhost")


def register(clinic: Clinic, jwks_uri: str, name: str = "feed") -> None:
    service = {
        "client_id": name,
        "client_name": name,
        "grant_types": ["client_credentials"],
        "token_endpoint_auth_method": "private_key_jwt",
        "jwks_uri": jwks_uri,
        "scope": "system/Observation.rs",
        "account": "service",
        "purpose": "TREAT",
    }
    answer = just_proved(clinic, "administrator").post("/admin/clients", service)
    assert answer.status_code == 201, answer.text


def allow(clinic: Clinic, host: str, ca: Path) -> None:
    """Open the house again with this host allowed to be private, as a laboratory would set it."""
    clinic.close()
    clinic.settings = msgspec.structs.replace(clinic.settings, fetch=Fetch(host, str(ca)))
    clinic.open()


async def ask(clinic: Clinic, key: Any = KEY, name: str = "feed", **header: Any) -> int:
    said = {"iss": name, "sub": name, "aud": f"{BASE}/oauth2/token", "exp": int(time.time()) + 200, "jti": uuid7()}
    text = jwt.encode({"alg": "ES384", "kid": key.kid, **header}, said, key, algorithms=["ES384"])
    form = {"grant_type": "client_credentials", "scope": "system/*.rs", "client_assertion": text}
    answer = await clinic.http.post("/oauth2/token", data={**form, "client_assertion_type": BEARER})
    return answer.status_code


def test_keys_are_fetched_from_the_registered_address_and_followed_when_they_change(
    clinic: Clinic, files: tuple[Path, Path]
) -> None:
    body = [published(KEY)]

    async def answer(head: bytes, writer: asyncio.StreamWriter) -> None:
        await says(body[0], "Cache-Control: max-age=600")(head, writer)

    async def work(stranger: Stranger) -> None:
        assert await ask(clinic) == 200
        assert await ask(clinic) == 200
        assert stranger.connections == 1
        body[0] = published(NEW)
        assert await ask(clinic, NEW) == 200
        assert await ask(clinic, KEY) == 401
        assert stranger.connections == 2

    meet(clinic, files, answer, work)


@pytest.mark.parametrize(
    "hostile",
    [
        pytest.param(
            says(b"", "Location: https://169.254.169.254/latest/meta-data", status="302 Found"), id="redirect"
        ),
        pytest.param(says(published(KEY), status="500 Oops"), id="error"),
        pytest.param(says(b'{"keys":[' + b" " * 70_000 + b"]}"), id="large"),
        pytest.param(pours(), id="endless"),
        pytest.param(drips(0.2), id="slow drip"),
        pytest.param(says(published(KEY).replace(b'"keys"', b'"keys": [], "keys"')), id="doubled names"),
    ],
)
def test_ssrf_and_exhaustion_by_the_host_of_the_keys_let_nobody_in(
    clinic: Clinic, files: tuple[Path, Path], hostile: Answer
) -> None:
    async def work(stranger: Stranger) -> None:
        assert await ask(clinic) == 401  # those who pour and drip never end by themselves
        assert await ask(clinic) == 401
        assert stranger.connections == 1  # the failure is remembered

    meet(clinic, files, hostile, work)


def test_ssrf_by_a_header_or_a_private_address_reaches_nobody(clinic: Clinic, files: tuple[Path, Path]) -> None:
    stranger = clinic.run(Stranger(files, says(published(KEY))).__aenter__())
    at = f"https://localhost:{stranger.port}/keys"
    register(clinic, at)  # a loopback address, which no setting allows
    register(clinic, "https://keys.example/", "other")
    assert clinic.run(ask(clinic)) == 401
    assert clinic.run(ask(clinic, name="other", jku=at)) == 401
    assert stranger.connections == 0
    clinic.run(stranger.__aexit__())


def meet(clinic: Clinic, files: tuple[Path, Path], answer: Answer, work: Any) -> None:
    """Register a service whose keys lie at a stranger's, allow that host, and go on with both."""
    stranger = clinic.run(Stranger(files, answer).__aenter__())
    register(clinic, f"https://localhost:{stranger.port}/keys")
    allow(clinic, f"localhost:{stranger.port}", files[0])
    clinic.run(work(stranger))
    clinic.run(stranger.__aexit__())
