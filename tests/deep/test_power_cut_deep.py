# SPDX-License-Identifier: Apache-2.0
"""A long loop of power cuts."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
from tests.support.crash import Acknowledged, assert_audited, assert_nothing_lost, load_and_kill, prepare
from tests.support.served import Served, free_port


@pytest.mark.deep
def test_forty_power_cuts_lose_nothing(tmp_path: Path) -> None:
    folder, port = tmp_path / "data", free_port()
    token = prepare(str(folder), port)
    known = Acknowledged()
    random = Random(40)
    server = Served(folder, port, workers=2)
    for number in range(40):
        load_and_kill(server, token, random.randint(1, 300), known, seed=number)
        server.start()
        if number % 8 == 7:
            assert_nothing_lost(server, token, known)
    server.stop()
    assert_audited(server, known)
