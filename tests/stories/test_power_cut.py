# SPDX-License-Identifier: Apache-2.0
"""The power goes out under load (kill -9), again and again: what was answered is kept, and in the audit log."""

from __future__ import annotations

from pathlib import Path

from tests.support.crash import Acknowledged, assert_audited, assert_nothing_lost, load_and_kill, prepare
from tests.support.served import Served, free_port


def test_kill_under_load_loses_no_answered_write_and_no_audit_entry(tmp_path: Path) -> None:
    folder, port = tmp_path / "data", free_port()
    token = prepare(str(folder), port)
    known = Acknowledged()
    server = Served(folder, port, workers=2)
    for number, answers in enumerate((30, 120, 60)):
        load_and_kill(server, token, answers, known, seed=number)
        server.start()
        assert_nothing_lost(server, token, known)
    server.stop()
    assert_audited(server, known)
    assert len(known.versions) > 20
    assert len(known.bundles) > 5
