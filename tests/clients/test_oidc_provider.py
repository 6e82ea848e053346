# SPDX-License-Identifier: Apache-2.0
"""oidc-provider (npm) as the identity provider of a clinic, over TLS, against a served Salus and its command line."""

from __future__ import annotations

import json
import os
import re
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from joserfc.jwk import ECKey, RSAKey

from tests.support.served import PATIENCE, Served, free_port, salus

HERE = Path(__file__).parent
NODE = shutil.which("node")
METHODS = {
    "basic": ("a secret with + and %", ()),
    "post": ("s3cret", ("--auth-method", "client_secret_post")),
    "curve": ("s3cret", ("--algorithm", "ES256")),
    "key": ("", ("--auth-method", "private_key_jwt")),
}


@dataclass
class Hospital:
    """A served Salus beside somebody's identity provider.

    Attributes:
        server: Salus.
        issuer: of the identity provider.
        trust: certificates of both.
    """

    server: Served
    issuer: str
    trust: ssl.SSLContext

    def browser(self, person: str) -> httpx.Client:
        """A browser of somebody who has an account at the identity provider; it keeps cookies and follows redirects."""
        headers = {"x-person": person, "accept": "text/html"}
        return httpx.Client(verify=self.trust, headers=headers, follow_redirects=True, timeout=PATIENCE)


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    if NODE is None or not (HERE / "node_modules" / "oidc-provider").is_dir():
        pytest.skip("the clients from npm are not installed (tests/clients/install.sh says why)")
    folder, port, theirs = tmp_path_factory.mktemp("hospital") / "data", free_port(), free_port()
    issuer = f"https://localhost:{theirs}"
    salus("init", "--data-dir", folder, "--port", str(port))
    salus("user", "add", "dr.amara", "--role", "physician", "--generate-password", "--data-dir", folder)
    keys = ""
    for name, (secret, more) in METHODS.items():
        trusted = ("--acr", "urn:example:two", "--trust-acr", "urn:example:two")
        told = salus(
            *("identity-provider", "add", name, "--issuer", issuer, "--client-id", name, "--title", f"Hospital {name}"),
            *(*more, *trusted, "--data-dir", folder),
            stdin=secret + "\n",
        ).stdout
        assert f"https://localhost:{port}/sign-in/callback/{name}" in told
        salus("identity-provider", "link", name, "dr.amara", f"amara-{name}", "--data-dir", folder)
        found = re.search(r"\{\"keys\".*", told)
        keys = found[0] if found else keys
    env = {"SALUS_FETCH_PRIVATE_HOSTS": "localhost", "SALUS_FETCH_CA_FILE": "tls/ca.crt"}
    server = Served(folder, port, env=env)
    provider = _provider(folder, theirs, server.base, keys)
    yield Hospital(server, issuer, ssl.create_default_context(cafile=str(folder / "tls" / "ca.crt")))
    provider.kill()
    provider.wait()
    assert provider.stdout is not None
    provider.stdout.close()
    server.stop()


def _provider(folder: Path, port: int, base: str, keys: str) -> subprocess.Popen[str]:
    made = [
        RSAKey.generate_key(2048, {"use": "sig", "kid": "r", "alg": "RS256"}),
        ECKey.generate_key("P-256", {"use": "sig", "kid": "e", "alg": "ES256"}),
    ]
    env = {
        **os.environ,
        "PROVIDER_JWKS": json.dumps({"keys": [key.as_dict(private=True) for key in made]}),
        "CLIENT_JWKS": keys,
        "NODE_EXTRA_CA_CERTS": str(folder / "tls" / "ca.crt"),
    }
    tls = folder / "tls"
    arguments = [
        str(NODE),
        str(HERE / "oidc-provider.mjs"),
        str(port),
        str(tls / "server.crt"),
        str(tls / "server.key"),
    ]
    started = subprocess.Popen(
        [*arguments, base], env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert started.stdout is not None
    assert any(line.strip() == "ready" for line in started.stdout), "oidc-provider did not start"
    return started


@pytest.mark.parametrize("method", METHODS)
def test_somebody_with_two_factors_there_is_signed_in(hospital: Hospital, method: str) -> None:
    with hospital.browser(f"amara-{method}:mfa") as browser:
        page = browser.get(f"{hospital.server.base}/sign-in/with/{method}")
        assert "__Host-salus.default" in browser.cookies or "/sign-in/finish" in page.text, page.text


def test_somebody_with_one_factor_there_is_asked_for_ours(hospital: Hospital) -> None:
    with hospital.browser("amara-basic") as browser:
        page = browser.get(f"{hospital.server.base}/sign-in/with/basic")
        assert urlsplit(str(page.url)).path == "/sign-in/step"
        assert "/sign-in/code" in page.text
        assert "__Host-salus.default" not in browser.cookies


def test_somebody_who_is_not_linked_is_not_let_in(hospital: Hospital) -> None:
    with hospital.browser("dr.amara:mfa") as browser:
        page = browser.get(f"{hospital.server.base}/sign-in/with/basic")
        assert page.status_code == 401
        assert "no account here is linked to you" in page.text


def test_what_the_provider_answered_works_once_and_in_one_browser(hospital: Hospital) -> None:
    with hospital.browser("amara-basic:mfa") as browser, hospital.browser("eve:mfa") as other:
        page = browser.get(f"{hospital.server.base}/sign-in/with/basic")
        back = next(str(each.url) for each in page.history if "/sign-in/callback/" in str(each.url))
        assert browser.get(back).status_code == 401
        assert other.get(back).status_code == 401


def test_signing_out_there_signs_out_here(hospital: Hospital) -> None:
    base = hospital.server.base
    with hospital.browser("amara-post:mfa") as browser:
        browser.get(f"{base}/sign-in/with/post")
        assert browser.get(f"{base}/account").status_code == 200
        page = browser.get(f"{hospital.issuer}/session/end")
        token = re.search(r'name="xsrf" value="([^"]+)"', page.text)
        assert token is not None, page.text
        browser.post(f"{hospital.issuer}/session/end/confirm", data={"xsrf": token[1], "logout": "yes"})
        assert urlsplit(str(browser.get(f"{base}/account").url)).path == "/sign-in"
