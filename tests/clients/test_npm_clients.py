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
ALL = [f"pulse-{number}" for number in range(PULSES)]
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
    assert (seen["version"], seen["release"]) == ("4.0.1", 4)
    assert seen["read"] == "1990-05-01"
    assert seen["paged"] == PAGES
    assert seen["one_by_one"] == ALL[:5]
    assert seen["flat"] == ALL[::-1]
    assert (seen["two_pages"], seen["on_page"]) == ([3, 3], [3, 3, 1])
    assert (seen["resolved"], seen["mounted"]) == ("Patient", "ada")
    assert seen["beside"] == [["Patient/ada"], 3]
    assert seen["gathered"] == ["Patient/ada"]
    assert (seen["patient"], seen["of_patient"], seen["allergies"]) == ("ada", PULSES, 0)
    assert seen["versions"] == ["1", "2", "3"]
    assert (seen["found"], seen["etag"], seen["batch"]) == (1, 'W/"3"', True)
    assert seen["gone"] == 410
    assert seen["everything"] == PULSES + 1


def test_fhir_kit_client_reads_searches_pages_and_writes(ward: Ward) -> None:
    seen = _run("fhir-kit-client.mjs", ward)
    assert seen["version"] == "4.0.1"
    assert seen["smart"] == ["/oauth2/authorize", "/oauth2/token"]
    assert seen["read"] == "1990-05-01"
    assert (seen["paged"], seen["back"]) == (PAGES, PAGES[1::-1])
    assert seen["compartment"] == [PULSES, PULSES]
    assert seen["system"] == [["ada", "pulse-1"]] * 2
    assert seen["between"] == [["pulse-1", "pulse-2"]] * 2
    assert seen["resolved"] == ["ada", "ada", "ada", "pulse-0", "inner"]
    assert (seen["same"], seen["raw"]) == (True, True)
    assert seen["versions"] == ["1", "2", "3", "4"]
    assert (seen["etag"], seen["late"]) == ('W/"4"', 412)
    assert (seen["vread"], seen["history"]) == ("female", [4, 4, 4])
    assert seen["operation"] == [PULSES + 1] * 2
    assert seen["lastn"] == ["pulse-6", "pulse-5"]
    assert seen["judged"] == "error"
    assert seen["transaction"].startswith("201")
    assert seen["batch"] == ["200", "422"]
    assert seen["gone"] == 410
