# SPDX-License-Identifier: Apache-2.0
"""What it costs to find out who asks: the check of a token, which is on the path of every request.

`python -m bench.credentials`, and a part of `python -m bench.micro`. The aim for a token that is known: under 20 us.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from joserfc import jwk, jws

from bench.serving import make_folder
from bench.stages import stage
from bench.variants import VARIANTS, house_of
from salus.app.house import House
from salus.identity.accounts.profile import make_profile
from salus.identity.accounts.users import User
from salus.identity.clients.client import Client
from salus.identity.factors.assurance import AAL2
from salus.identity.factors.assurance import Proof as SignedIn
from salus.identity.oauth.dpop import hash_of, verify
from salus.identity.oauth.grants import Allowed
from salus.identity.sessions import Session
from salus.kernel.commit import Unit
from salus.kernel.ids import uuid7
from salus.kernel.settings import load

T = TypeVar("T")
Stage = Callable[[str, Callable[[Any], object], Sequence[Any]], None]
_TIMES = 2_000
_ADDRESS = "https://localhost:8443/fhir/Patient/1"


def credentials(house: House, stage: Stage) -> None:
    """Measure the checks of tokens, known and not yet known, and of a proof of possession."""
    user, session = _person(house)
    own = _committed(house, lambda unit: house.tokens.issue(unit, user, "TREAT")[0])
    offline, online = (_of_an_application(house, user, session, scope) for scope in ("offline_access", "online_access"))
    look = house.tokens.lookup
    times = range(_TIMES)
    print("who asks, CPU us")
    stage("token of an account, known", lambda _: look("default", own), times)
    stage("token of an application, known", lambda _: look("default", offline), times)
    stage("the same, ending with a session", lambda _: look("default", online), times)

    def unknown(token: str) -> None:
        house.tokens._known.clear()
        look("default", token)

    stage("token of an application, unknown", unknown, [offline] * _TIMES)
    key = jwk.ECKey.generate_key("P-256")
    proofs = [_proof(key, offline) for _ in range(200)]
    stage("proof of possession, ES256", lambda proof: _verified(proof, offline), proofs)


def _person(house: House) -> tuple[User, Session]:
    unit = Unit()
    profile = make_profile("measured", "user", ("physician",), "Measured", "")
    house.users._insert(unit, house.keyring.tenant("default"), profile, (None, None))
    _commit(house, unit)
    user = house.users.find("default", "measured")
    assert user is not None
    proof = SignedIn(("hwk", "user", "mfa"), AAL2, house.clock.now_ms())
    return user, _committed(house, lambda unit: house.sessions.begin(unit, user, proof, purpose="TREAT")[1])


def _of_an_application(house: House, user: User, session: Session, scope: str) -> str:
    client = Client(
        id=f"app-{scope.partition('_')[0]}",
        name="Measured",
        tenant="default",
        kind="public",
        profile="user-app",
        auth_method="none",
        redirect_uris=("https://app.example/cb",),
        scopes=("user/*.rs", scope),
        grant_types=("authorization_code", "refresh_token"),
    )
    now = house.clock.now_ms()
    allowed = Allowed(
        user=user.id,
        client=client.id,
        session=session.id,
        purpose="TREAT",
        scopes=client.scopes,
        patient="",
        encounter="",
        launch=None,
        audience="https://localhost:8443/fhir",
        acr=session.acr,
        amr=session.amr,
        proved=now,
        signed_in=now,
        created=now,
    )

    def make(unit: Unit) -> str:
        house.apps.clients.add(unit, client)
        grant = house.oauth.grants.add(unit, "default", uuid7(), allowed, now + 3_600_000)
        token: str = house.oauth.issuance.access(unit, user, grant, client.scopes, "")["access_token"]
        return token

    return _committed(house, make)


def _proof(key: jwk.ECKey, token: str) -> str:
    claims = {"jti": secrets.token_urlsafe(12), "htm": "GET", "htu": _ADDRESS, "iat": 1, "nonce": "n"}
    header = {"typ": "dpop+jwt", "alg": "ES256", "jwk": key.as_dict(private=False)}
    return jws.serialize_compact(header, json.dumps({**claims, "ath": hash_of(token)}), key)


def _verified(proof: str, token: str) -> None:
    verify(proof, method="GET", address=_ADDRESS, now=1, nonce_fits=lambda _: True, token=token)


def _committed(house: House, change: Callable[[Unit], T]) -> T:
    unit = Unit()
    made = change(unit)
    _commit(house, unit)
    return made


def _commit(house: House, unit: Unit) -> None:
    async def work() -> None:
        await house.writer.submit(unit)

    asyncio.run(work())


def main() -> None:
    """Measure in a folder that is thrown away."""

    with tempfile.TemporaryDirectory(prefix="salus-credentials-") as temporary:
        folder = Path(temporary) / "data"
        make_folder(folder, VARIANTS["everything"], 8443)
        house = house_of(VARIANTS["everything"], load(folder))
        try:
            credentials(house, stage)
        finally:
            house.close()


if __name__ == "__main__":
    main()
