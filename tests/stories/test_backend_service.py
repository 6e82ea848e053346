# SPDX-License-Identifier: Apache-2.0
"""A service connects as the how-to says, word for word; its assertion is replayed to processes and after a restart."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
from joserfc import jwk, jwt
from tests.docs.pages import blocks, text_of
from tests.support.served import PATIENCE, SALUS, Served, free_port, salus, until

from salus.kernel.ids import uuid7

BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


class Place(NamedTuple):
    """The folder in which people work, and the server over `my-clinic` in it."""

    folder: Path
    server: Served


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder, port = tmp_path_factory.mktemp("service"), free_port()
    salus("init", "--data-dir", folder / "my-clinic", "--port", str(port))
    server = Served(folder / "my-clinic", port, workers=2)
    yield Place(folder, server)
    server.stop()


def in_shell(place: Place, script: str) -> str:
    """Run commands of a page, with the programs and the port of this run."""
    port = place.server.base.rpartition(":")[2]
    script = re.sub(r"^salus ", f"{SALUS} ", script.replace("8443", port), flags=re.MULTILINE)
    done = subprocess.run(
        ["bash", "-euo", "pipefail"],
        input=script,
        cwd=place.folder,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_how_to_works_word_for_word_and_its_assertion_counts_once(place: Place) -> None:
    found = [
        block
        for block in blocks(text_of("docs/howto/backend-service.md"))
        if block.info in {"sh service", "sh operator"}
    ]
    key, operator, token, use = (block.text for block in found)
    in_shell(place, key + operator)
    bundle = in_shell(place, token + use)
    said = json.loads((place.folder / "answer.json").read_text())
    assert (said["token_type"], said["expires_in"], said["scope"]) == ("Bearer", 300, "system/Observation.rs")
    assert '"resourceType":"Bundle"' in bundle


def test_a_replayed_assertion_has_one_winner_among_processes_and_none_after_a_restart(place: Place) -> None:
    secret = jwk.ECKey.generate_key("P-384", parameters={"kid": "one"})
    (place.folder / "keys.json").write_text(json.dumps({"keys": [secret.as_dict(private=False)]}))
    data = ("--data-dir", place.folder / "my-clinic")
    salus("user", "add", "feed", "--service", "--role", "service", *data)
    salus("client", "add", "feed", "--backend", "--account", "feed", "--jwks", place.folder / "keys.json",
          "--scope", "system/Observation.rs", *data)  # fmt: skip
    said = {
        "iss": "feed",
        "sub": "feed",
        "aud": f"{place.server.base}/oauth2/token",
        "exp": int(time.time()) + 250,
        "jti": uuid7(),
    }
    form = {
        "grant_type": "client_credentials",
        "scope": "system/*.rs",
        "client_assertion_type": BEARER,
        "client_assertion": jwt.encode({"alg": "ES384", "kid": "one"}, said, secret, algorithms=["ES384"]),
    }

    def shown(_: int = 0) -> httpx.Response:
        with place.server.client() as client:  # a connection of its own, so that both processes answer
            return client.post("/oauth2/token", data=form)

    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(shown, range(12)))
    assert sorted(answer.status_code for answer in answers) == [200] + [401] * 11
    place.server.kill()
    place.server.start()
    again = shown()
    assert (again.status_code, again.json()["error"]) == (401, "invalid_client")
    token = next(answer.json()["access_token"] for answer in answers if answer.status_code == 200)
    salus("client", "disable", "feed", *data)
    with place.server.client(token) as client:
        until(lambda: client.get("/fhir/Observation").status_code == 401, lambda: "the token outlived its application")
