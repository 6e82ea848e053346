# SPDX-License-Identifier: Apache-2.0
"""fhirclient and fhir-kit-client (npm) against a served Salus.

`install.sh` puts them into `tests/clients/node_modules`; where that could not be done, these tests are skipped.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.clients.conftest import PULSES, Ward
from tests.support.served import PATIENCE

HERE = Path(__file__).parent
NODE = shutil.which("node")
PAGES = [["pulse-0", "pulse-1", "pulse-2"], ["pulse-3", "pulse-4", "pulse-5"], ["pulse-6"]]


def _run(script: str, ward: Ward) -> dict[str, Any]:
    """Run a script of this folder, which gets the address and the token; what it prints."""
    if NODE is None or not (HERE / "node_modules").is_dir():
        pytest.skip("the clients from npm are not installed (tests/clients/install.sh says why)")
    done = subprocess.run(
        [NODE, HERE / script, ward.fhir, ward.token],
        env={**os.environ, "NODE_EXTRA_CA_CERTS": str(ward.authority)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    seen: dict[str, Any] = json.loads(done.stdout)
    return seen


def test_the_smart_client_reads_searches_pages_and_writes(ward: Ward) -> None:
    seen = _run("fhirclient.mjs", ward)
    assert seen["version"] == "4.0.1"
    assert seen["read"] == "1990-05-01"
    assert seen["paged"] == PAGES
    assert seen["flat"] == [f"pulse-{number}" for number in reversed(range(PULSES))]
    assert seen["resolved"] == "Patient"
    assert seen["versions"] == ["1", "2", "3"]
    assert seen["found"] == 1
    assert seen["gone"] == 410


def test_fhir_kit_client_reads_searches_pages_and_writes(ward: Ward) -> None:
    seen = _run("fhir-kit-client.mjs", ward)
    assert seen["version"] == "4.0.1"
    assert seen["read"] == "1990-05-01"
    assert seen["paged"] == PAGES
    assert (seen["compartment"], seen["form"]) == (PULSES, PULSES)
    assert seen["versions"] == ["1", "2", "3"]
    assert (seen["vread"], seen["history"]) == ("female", 3)
    assert seen["operation"] == "searchset"
    assert seen["transaction"].startswith("201")
    assert seen["gone"] == 410
