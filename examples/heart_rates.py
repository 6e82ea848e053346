#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A SMART on FHIR application in one file, with Python's standard library only.

It asks a person for the vital signs of one patient, prints the heart rates that it finds, tries something that it was
not allowed, and says what Salus answers. It runs on the person's own machine: the browser comes back to a port on the
loopback address (RFC 8252). Nothing secret is kept: PKCE binds the code to this run.

    python examples/heart_rates.py --ca salus-demo/tls/ca.crt
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import secrets
import ssl
import sys
import webbrowser
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.error import HTTPError
from urllib.parse import parse_qs, urlencode, urlsplit
from urllib.request import Request, urlopen

SCOPE = "launch/patient openid fhirUser patient/Patient.r patient/Observation.rs patient/Condition.rs"
HEART_RATE = "http://loinc.org|8867-4"


class Server:
    """A FHIR server with SMART, found by its base address alone.

    Args:
        base: such as `https://localhost:8443/fhir`.
        ca: file with the certificate of the authority to trust; None for those of the system.
    """

    def __init__(self, base: str, ca: str | None) -> None:
        self.base = base
        self._trust = ssl.create_default_context(cafile=ca)
        self.smart = self.call(f"{base}/.well-known/smart-configuration")

    def call(self, address: str, form: dict[str, str] | None = None, token: str = "") -> Any:
        """Send a form or ask for JSON; raises HTTPError for an answer that is no success."""
        headers = {"accept": "application/json"} | ({"authorization": f"Bearer {token}"} if token else {})
        request = Request(address, urlencode(form).encode() if form else None, headers)  # noqa: S310  https below
        if not address.startswith("https://"):
            raise SystemExit(f"not over TLS: {address}")
        with urlopen(request, context=self._trust) as answer:  # noqa: S310
            return json.load(answer)


class Callback(HTTPServer):
    """Waits on the loopback address for the browser to come back."""

    answer: dict[str, str]

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", port), _Returned)
        self.answer = {}

    def wait(self) -> dict[str, str]:
        """The parameters that the browser brought."""
        while not self.answer:
            self.handle_request()
        return self.answer


class _Returned(BaseHTTPRequestHandler):
    server: Callback

    def do_GET(self) -> None:
        """Take the answer, and tell the person that they can go on."""
        parts = urlsplit(self.path)
        if parts.path == "/callback":
            self.server.answer = {name: values[0] for name, values in parse_qs(parts.query).items()}
        words = b"Thank you. Go back to the terminal; this page can be closed."
        self.send_response(200 if parts.path == "/callback" else 404)
        self.send_header("content-type", "text/plain")
        self.send_header("content-length", str(len(words)))
        self.end_headers()
        self.wfile.write(words)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the name of the base class
        """Say nothing: the address holds the code."""


def main() -> None:
    """Ask, read, and tell."""
    parser = argparse.ArgumentParser(description="Prints the heart rates of one patient, if a person allows it.")
    parser.add_argument("--server", default="https://localhost:8443/fhir", help="FHIR base address")
    parser.add_argument("--client-id", default="heart-rates", help="as it is registered")
    parser.add_argument("--ca", help="certificate of the authority that signed the server's")
    parser.add_argument("--port", type=int, default=8765, help="port that the browser comes back to")
    given = parser.parse_args()

    server = Server(given.server, given.ca)
    callback = f"http://127.0.0.1:{given.port}/callback"
    verifier, state = secrets.token_urlsafe(48), secrets.token_urlsafe(16)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    with Callback(given.port) as waiting:
        asked = {
            "response_type": "code",
            "client_id": given.client_id,
            "redirect_uri": callback,
            "scope": SCOPE,
            "state": state,
            "aud": given.server,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        address = f"{server.smart['authorization_endpoint']}?{urlencode(asked)}"
        print(f"Open this address, if your browser does not do it by itself:\n\n{address}\n", flush=True)
        webbrowser.open(address)
        answer = waiting.wait()
    if answer.get("state") != state or answer.get("iss") != server.smart["issuer"]:
        sys.exit("That was not the answer to our question.")  # RFC 9207: an answer of another server
    if "code" not in answer:
        sys.exit(f"Not allowed: {answer.get('error_description', answer.get('error', 'no code'))}")

    form = {"grant_type": "authorization_code", "client_id": given.client_id, "redirect_uri": callback}
    tokens = server.call(server.smart["token_endpoint"], {**form, "code": answer["code"], "code_verifier": verifier})
    patient, token = tokens["patient"], tokens["access_token"]
    print(f"Granted: {tokens['scope']}\n")
    latest = f"Observation?patient={patient}&code={HEART_RATE}&_sort=-date&_count=5"
    for what in (latest, f"Condition?patient={patient}"):
        try:
            page = server.call(f"{server.base}/{what}", token=token)
        except HTTPError as error:
            print(f"{what.partition('?')[0]}: {error.code} {error.reason}")
            continue
        print(f"{what.partition('?')[0]}: {len(page.get('entry', []))} entries")
        for entry in page.get("entry", []):
            found = entry["resource"]
            if "valueQuantity" in found:
                print(f"  {found.get('effectiveDateTime', '?')[:10]}  {found['valueQuantity']['value']} beats/minute")


if __name__ == "__main__":
    main()
