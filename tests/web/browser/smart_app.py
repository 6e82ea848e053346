# SPDX-License-Identifier: Apache-2.0
"""An application of others' making: two pages over npm `fhirclient`, served from an origin of their own over TLS."""

from __future__ import annotations

import ssl
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from tests.support.served import free_port

LIBRARY = Path(__file__).parents[2] / "clients" / "node_modules" / "fhirclient" / "build" / "fhir-client.js"

_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Growth chart</title>
<h1>Growth chart</h1><p id="patient"></p><p id="vitals"></p><p id="problems"></p><p id="failed"></p>
<button id="again">Read again</button><script src="fhir-client.js"></script><script src="{script}"></script></html>"""

_LAUNCH = """FHIR.oauth2.authorize({{clientId: "growth", redirectUri: "{base}/index.html", pkceMode: "required",
  scope: "{scope}", iss: new URL(location).searchParams.get("iss") || "{iss}"}});"""

_APP = """const tell = (id, words) => { document.getElementById(id).textContent = words; };
const status = (error) => String(error.statusCode || error.status || error);
async function read(client) {
  try {
    const patient = await client.patient.read({cache: "no-store"});
    tell("patient", patient.name[0].family);
    const vitals = await client.request(`Observation?patient=${client.patient.id}&category=vital-signs`);
    tell("vitals", `${(vitals.entry || []).length} vital signs`);
  } catch (error) { tell("failed", status(error)); return; }
  try { await client.request(`Condition?patient=${client.patient.id}`); tell("problems", "read"); }
  catch (error) { tell("problems", status(error)); }
}
FHIR.oauth2.ready().then((client) => {
  document.getElementById("again").onclick = () => read(client);
  return read(client);
}).catch((error) => tell("failed", String(error)));"""


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing."""


class SmartApp:
    """The application's own server.

    Attributes:
        base: its origin.
    """

    def __init__(self, place: Path, tls: Path, iss: str, scope: str) -> None:
        place.mkdir()
        port = free_port()
        self.base = f"https://localhost:{port}"
        (place / "fhir-client.js").write_bytes(LIBRARY.read_bytes())
        for name, script in (("launch", _LAUNCH.format(base=self.base, scope=scope, iss=iss)), ("index", _APP)):
            (place / f"{name}.html").write_text(_PAGE.format(script=f"{name}.js"), "utf-8")
            (place / f"{name}.js").write_text(script, "utf-8")
        self._server = ThreadingHTTPServer(("127.0.0.1", port), partial(_Quiet, directory=str(place)))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls / "server.crt", tls / "server.key")
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
