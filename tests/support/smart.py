# SPDX-License-Identifier: Apache-2.0
"""An application that is launched, asks a person, and gets tokens; every step through the ASGI application.

The person's part (signing in, agreeing) goes through the services, unless a test brings a browser.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx
from joserfc import jwk, jws

from salus.identity.accounts.profile import make_profile
from salus.identity.accounts.users import User
from salus.identity.clients.client import Client
from salus.identity.factors.assurance import AAL2, AAL3, Proof
from salus.identity.oauth.interaction import Interaction
from salus.identity.sessions import Session
from salus.kernel.commit import Unit
from tests.support.clinic import BASE, PEOPLE, Clinic

JSON = dict[str, Any]
CALLBACK = "https://app.example/callback"
AUDIENCE = f"{BASE}/fhir"
SCOPES = (
    "openid",
    "fhirUser",
    "launch",
    "launch/patient",
    "launch/encounter",
    "offline_access",
    "online_access",
    "patient/*.cruds",
)
FORM = {"content-type": "application/x-www-form-urlencoded"}


def challenge_of(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


class App:
    """A registered application.

    Attributes:
        client: as it is registered.
        secret: of a confidential one.
        verifier: of the last authorization request.
    """

    def __init__(self, clinic: Clinic, client_id: str = "app", *, secret: bool = False, **registered: Any) -> None:
        self.clinic = clinic
        self.verifier = ""
        self.secret = ""
        self.key: ProofKey | None = None
        made = Client(
            **{
                "id": client_id,
                "name": "Growth chart",
                "tenant": "default",
                "kind": "confidential" if secret else "public",
                "profile": "user-app",
                "auth_method": "client_secret_post" if secret else "none",
                "redirect_uris": (CALLBACK,),
                "scopes": (*SCOPES, "user/*.cruds"),
                "grant_types": ("authorization_code", "refresh_token"),
                **registered,
            }
        )
        unit = Unit()
        self.client = clinic.house.apps.clients.add(unit, made)
        if secret:
            self.secret = clinic.house.apps.secrets.issue(unit, self.client)[0]
        clinic.run(clinic._commit(unit))

    def parameters(
        self, scope: str = "launch/patient patient/Observation.rs offline_access openid", **more: str
    ) -> JSON:
        """Of an authorization request; a value of "" leaves one out."""
        self.verifier = secrets.token_urlsafe(32)
        asked = {
            "response_type": "code",
            "client_id": self.client.id,
            "redirect_uri": CALLBACK,
            "scope": scope,
            "state": "s-" + secrets.token_urlsafe(8),
            "aud": AUDIENCE,
            "code_challenge": challenge_of(self.verifier),
            "code_challenge_method": "S256",
            **more,
        }
        return {name: value for name, value in asked.items() if value}

    def authorize(self, parameters: JSON | list[tuple[str, str]], *, post: bool = False) -> httpx.Response:
        """Bring a request to the authorization endpoint, as a browser would."""
        client = self.clinic.stranger
        if post:
            return client.post("/oauth2/authorize", content=urlencode(parameters), headers=FORM)
        return client.get("/oauth2/authorize?" + urlencode(parameters))

    def waiting(self, answer: httpx.Response) -> Interaction:
        """The request that waits for a person."""
        assert answer.status_code == 303, answer.text
        id_ = answer.headers["location"].removeprefix(f"{BASE}/authorize/")
        return self.clinic.house.oauth.interactions.find("default", id_)

    def approve(
        self,
        waiting: Interaction,
        session: Session,
        scopes: tuple[str, ...] | None = None,
        patient: str = "anna",
        encounter: str = "",
    ) -> JSON:
        """What comes back to the application when a person agrees."""
        unit = Unit()
        granted = waiting.scopes if scopes is None else scopes
        address = self.clinic.house.oauth.interactions.approve(unit, waiting, session, granted, patient, encounter)
        self.clinic.run(self.clinic._commit(unit))
        return returned(address)

    def code(self, session: Session, scope: str = "", **more: str) -> str:
        """An authorization code."""
        asked = self.parameters(scope, **more) if scope else self.parameters(**more)
        return self.approve(self.waiting(self.authorize(asked)), session)["code"]

    def redeem(self, code: str, **more: str) -> httpx.Response:
        """Exchange a code."""
        return self.token(
            {
                "grant_type": "authorization_code",
                "code": code,
                "redirect_uri": CALLBACK,
                "code_verifier": self.verifier,
                **more,
            }
        )

    def refresh(self, token: str, **more: str) -> httpx.Response:
        """Exchange a refresh token."""
        return self.token({"grant_type": "refresh_token", "refresh_token": token, **more})

    def token(self, form: JSON, path: str = "/oauth2/token", headers: JSON | None = None) -> httpx.Response:
        """Call an endpoint as this application; a value of "" leaves a parameter out."""
        sent = {**self.proof_of_itself(), **form}
        body = urlencode({name: value for name, value in sent.items() if value})
        head = {**FORM, **(headers or {})}
        if self.key is not None:
            head["dpop"] = self.key.proof("POST", BASE + path)
        answer = self.clinic.stranger.post(path, content=body, headers=head)
        if self.key is not None and answer.status_code in {400, 401} and answer.json()["error"] == "use_dpop_nonce":
            self.key.nonce = answer.headers["dpop-nonce"]
            return self.token(form, path, headers)
        return answer

    def proof_of_itself(self) -> JSON:
        """Client authentication in a form."""
        return {"client_id": self.client.id} | ({"client_secret": self.secret} if self.secret else {})

    def tokens(self, session: Session, scope: str = "", **more: str) -> JSON:
        """A token response."""
        answer = self.redeem(self.code(session, scope, **more))
        assert answer.status_code == 200, answer.text
        body: JSON = answer.json()
        return body

    def get(self, path: str, token: str) -> httpx.Response:
        """Ask for records with a token."""
        return self.clinic.stranger.get(path, headers={"authorization": f"Bearer {token}"})


class ProofKey:
    """A key that an application proves to have (RFC 9449)."""

    def __init__(self, clinic: Clinic, key: jwk.Key | None = None, algorithm: str = "ES256") -> None:
        self._clinic = clinic
        self._algorithm = algorithm
        self.key = key or jwk.ECKey.generate_key("P-256")
        self.nonce = ""

    @property
    def jkt(self) -> str:
        return self.key.thumbprint()

    def proof(self, method: str, address: str, token: str = "", header: JSON | None = None, **claims: Any) -> str:
        """A proof; a claim of None leaves it out."""
        said: JSON = {
            "jti": secrets.token_urlsafe(12),
            "htm": method,
            "htu": address,
            "iat": self._clinic.house.clock.now_ms() // 1000,
        }
        if self.nonce:
            said["nonce"] = self.nonce
        if token:
            said["ath"] = challenge_of(token)
        said = {name: value for name, value in {**said, **claims}.items() if value is not None}
        head = {"typ": "dpop+jwt", "alg": self._algorithm, "jwk": self.key.as_dict(private=False), **(header or {})}
        registry = jws.JWSRegistry(algorithms=[self._algorithm])
        registry.max_header_length = 4_096  # an RSA key is in it
        return jws.serialize_compact(head, json.dumps(said), self.key, registry=registry)


def person(clinic: Clinic, name: str) -> User:
    """The account of a person with roles and party of a service of `PEOPLE`: `a-NAME`."""
    users = clinic.house.users
    own = f"a-{name}"
    if (found := users.find("default", own)) is None:
        like, unit = users.find("default", name), Unit()
        assert like is not None
        profile = make_profile(own, "user", like.roles, like.display, like.party)
        users._insert(unit, clinic.house.keyring.tenant("default"), profile, (None, None))
        clinic.run(clinic._commit(unit))
        found = users.find("default", own)
    assert found is not None
    return found


def signed_in(clinic: Clinic, name: str, *, acr: str = AAL2, purpose: str = "", ago_s: int = 0) -> Session:
    """A person at a browser: `a-NAME` for a NAME of `PEOPLE` and other services."""
    user = clinic.house.users.find("default", name)
    if user is not None and user.kind == "service":
        user = person(clinic, name)
    assert user is not None
    unit = Unit()
    amr = ("hwk", "user", "mfa") if acr == AAL3 else ("pwd", "otp", "mfa")
    at = clinic.house.clock.now_ms() - ago_s * 1000
    purpose = purpose or PEOPLE[name][1]
    _, session = clinic.house.sessions.begin(unit, user, Proof(amr, acr, at), purpose=purpose)
    clinic.run(clinic._commit(unit))
    return session


def noted(clinic: Clinic, count: int = 10) -> list[str]:
    """Codes of the newest entries of the audit log."""
    clinic._tokens.clear()  # the clock may have been turned by years
    answer = clinic.as_("auditor").get(f"/fhir/AuditEvent?_count={count}")
    assert answer.status_code == 200, answer.text
    return [coding["code"] for entry in answer.json()["entry"] for coding in entry["resource"]["subtype"]]


def returned(address: str) -> JSON:
    """The parameters with which a browser is sent back to the application."""
    assert address.startswith(CALLBACK), address
    return dict(parse_qsl(urlsplit(address).query, keep_blank_values=True))
