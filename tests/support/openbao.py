# SPDX-License-Identifier: Apache-2.0
"""A real OpenBao server for tests, and the ways in which it can fail."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from salus.app.demo_openbao import OpenBao
from tests.support.served import free_port


class FailingBao(OpenBao):
    """Made once per module of tests; every failure can be undone."""

    def seal(self) -> None:
        """As an operator does who sees an attack."""
        self.root().sys.seal()

    def kill(self) -> None:
        """A power cut."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def freeze(self) -> None:
        """It accepts connections and never answers."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def revoke(self) -> None:
        """The policy of Salus allows nothing any more."""
        self.root().sys.create_or_update_policy("salus", 'path "none" { capabilities = ["read"] }')

    def allow(self) -> None:
        from salus.app.demo_openbao import POLICY

        self.root().sys.create_or_update_policy("salus", POLICY)

    def disable(self) -> None:
        """What was wrapped so far must not be unwrapped: a new version, and no decryption below it."""
        root = self.root()
        root.write_data("transit/keys/salus/rotate", data={})
        newest = root.read("transit/keys/salus")["data"]["latest_version"]
        root.write_data(
            "transit/keys/salus/config", data={"min_decryption_version": newest, "min_encryption_version": newest}
        )

    def enable(self) -> None:
        least = self.root().read("transit/keys/salus")["data"]["min_available_version"] or 1
        self.root().write_data("transit/keys/salus/config", data={"min_decryption_version": least})


@pytest.fixture(scope="module")
def bao(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FailingBao]:
    """OpenBao with TLS, policy, key and AppRole."""
    server = FailingBao(tmp_path_factory.mktemp("bao") / "openbao", free_port(), free_port())
    try:
        server.make()
        yield server
    finally:
        server.stop()
