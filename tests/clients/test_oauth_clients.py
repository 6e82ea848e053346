# SPDX-License-Identifier: Apache-2.0
"""oauth4webapi and openid-client (npm) against a served Salus: they know nothing of it but the standards.

The script names addresses for the browser; the test opens them, agrees in the place of the person, and says where the
browser was sent.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwk

from salus.app.house import House
from salus.identity.accounts.profile import make_profile
from salus.identity.clients.client import Client
from salus.identity.factors.assurance import AAL2, Proof
from salus.kernel.commit import Unit
from salus.kernel.settings import load
from tests.clients.conftest import PULSES, Ward
from tests.support.served import PATIENCE

HERE = Path(__file__).parent
NODE = shutil.which("node")
CALLBACK = "https://app.example/callback"
SCOPES = ("openid", "fhirUser", "launch/patient", "patient/*.rs", "offline_access")
JSON = dict[str, Any]


class Desk:
    """A second process over the data folder: registers applications, and agrees in the place of a person."""

    def __init__(self, ward: Ward) -> None:
        self.house = House(load(ward.authority.parents[1]))
        self.secret = ""
        self.key = jwk.ECKey.generate_key("P-384", {"kid": "one", "alg": "ES384", "use": "sig"})

    def register(self) -> None:
        """The applications, and the person: a physician."""
        unit, house = Unit(), self.house
        profile = make_profile("dr-web", "user", ("physician",), "Dr Web", "Practitioner/web")
        house.users._insert(unit, house.keyring.tenant("default"), profile, (None, None))
        common: JSON = {
            "tenant": "default",
            "profile": "user-app",
            "redirect_uris": (CALLBACK,),
            "scopes": SCOPES,
            "grant_types": ("authorization_code", "refresh_token"),
        }
        clients = house.apps.clients
        clients.add(unit, Client(id="app", name="App", kind="public", auth_method="none", dpop=True, **common))
        basic: JSON = {"kind": "confidential", "auth_method": "client_secret_basic"}
        portal = clients.add(unit, Client(id="portal", name="Portal", require_par=True, **basic, **common))
        self.secret = house.apps.secrets.issue(unit, portal)[0]
        asyncio.run(self._commit(unit))
        unit = Unit()
        signed: JSON = {"kind": "confidential", "auth_method": "private_key_jwt", "algorithms": ("ES384",)}
        keys = json.dumps({"keys": [self.key.as_dict(private=False)]})
        clients.add(
            unit,
            Client(
                id="nightly",
                name="Nightly",
                tenant="default",
                profile="backend",
                scopes=("system/Observation.rs",),
                grant_types=("client_credentials",),
                account="feed",
                purpose="TREAT",
                jwks=keys,
                **signed,
            ),
        )
        asyncio.run(self._commit(unit))

    def agree(self, interaction_id: str) -> str:
        """Sign in, choose the patient, agree to everything; where the browser is sent then."""
        house = self.house
        user = house.users.find("default", "dr-web")
        assert user is not None
        unit = Unit()
        proof = Proof(("hwk", "user", "mfa"), AAL2, house.clock.now_ms())
        _, session = house.sessions.begin(unit, user, proof, purpose="TREAT")
        asyncio.run(self._commit(unit))
        waiting = house.oauth.interactions.find("default", interaction_id)
        unit = Unit()
        address = house.oauth.interactions.approve(unit, waiting, session, waiting.scopes, patient="ada")
        asyncio.run(self._commit(unit))
        return address

    async def _commit(self, unit: Unit) -> None:
        await self.house.writer.submit(unit)


@pytest.fixture(scope="module")
def desk(ward: Ward) -> Iterator[Desk]:
    made = Desk(ward)
    made.register()
    yield made
    made.house.close()


@pytest.fixture
def run(ward: Ward, desk: Desk) -> Callable[[str], JSON]:
    """Run a script of this folder; what it prints at the end."""
    if NODE is None or not (HERE / "node_modules" / "openid-client").is_dir():
        pytest.skip("the clients from npm are not installed (tests/clients/install.sh says why)")
    issuer = ward.fhir.removesuffix("/fhir")
    told = {
        "issuer": issuer,
        "fhir": ward.fhir,
        "app": {"id": "app", "callback": CALLBACK},
        "portal": {"id": "portal", "secret": desk.secret, "callback": CALLBACK},
        "backend": {"id": "nightly", "key": desk.key.as_dict(private=True)},
    }

    def work(script: str) -> JSON:
        process = subprocess.Popen(
            [NODE or "node", HERE / script, json.dumps(told)],
            env={**os.environ, "NODE_EXTRA_CA_CERTS": str(ward.authority)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        line = ""
        try:
            with ward.browser() as browser:
                for line in process.stdout:
                    if not line.startswith("https://"):
                        break
                    answer = browser.get(line.strip())
                    assert answer.status_code == 303, answer.text
                    interaction_id = answer.headers["location"].removeprefix(f"{issuer}/authorize/")
                    process.stdin.write(desk.agree(interaction_id) + "\n")
                    process.stdin.flush()
            _, errors = process.communicate(timeout=PATIENCE)
        finally:
            process.kill()
        assert process.returncode == 0, errors
        seen: JSON = json.loads(line)
        return seen

    return work


def test_oauth4webapi_launches_proves_its_key_refreshes_and_revokes(run: Callable[[str], JSON], ward: Ward) -> None:
    seen = run("oauth4webapi.mjs")
    assert seen["openid"] is True
    assert (seen["type"], seen["patient"], seen["kept"]) == ("dpop", "ada", "ada")
    assert seen["fhirUser"] == seen["userinfo"] == f"{ward.fhir}/Practitioner/web"
    assert seen["birthDate"] == "1990-05-01"
    assert seen["rotated"] is True
    assert seen["nonces"] >= 1
    assert seen["afterwards"] == 401
    assert seen["system"] == ["system/Observation.rs", True, True]
    assert seen["count"] == PULSES


def test_openid_client_pushes_launches_refreshes_and_introspects(run: Callable[[str], JSON], ward: Ward) -> None:
    seen = run("openid-client.mjs")
    assert seen["pushed"] is True
    assert (seen["type"], seen["patient"]) == ("bearer", "ada")
    assert seen["userinfo"] == f"{ward.fhir}/Practitioner/web"
    assert (seen["found"], seen["boundFound"]) == (PULSES, PULSES)
    assert seen["rotated"] is True
    assert seen["introspection"] == [True, "portal", "ada"]
    assert seen["afterwards"] is False
    assert (seen["boundType"], seen["boundRefreshed"], seen["stolen"]) == ("dpop", "dpop", 401)
    assert seen["system"] == "system/Observation.rs"
