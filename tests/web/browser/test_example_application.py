# SPDX-License-Identifier: Apache-2.0
"""The example of the tutorial, as its reader would run it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.support.served import free_port, salus
from tests.web.browser.records import fill
from tests.web.browser.stage import Stage, Visitor

EXAMPLE = Path(__file__).parents[3] / "examples" / "heart_rates.py"
SCOPES = ("launch/patient", "openid", "fhirUser", "patient/Patient.r", "patient/Observation.rs", "patient/Condition.rs")


def test_the_example_reads_what_was_allowed_and_is_refused_the_rest(stage: Stage) -> None:
    fill(stage)
    port = free_port()
    words = ("--name", "Heart rates", "--redirect", f"http://127.0.0.1:{port}/callback", "--data-dir", stage.folder)
    salus("client", "add", "heart-rates", *[part for scope in SCOPES for part in ("--scope", scope)], *words)
    ada, visitor = stage.person(), Visitor(stage)
    command = [sys.executable, EXAMPLE, "--ca", stage.folder / "tls" / "ca.crt", "--port", str(port)]
    with subprocess.Popen(
        [*command, "--server", f"{stage.base}/fhir"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "BROWSER": "true"},
    ) as example:
        assert example.stdout is not None
        try:
            address = next(line.strip() for line in example.stdout if line.startswith("https://"))
            visitor.page.goto(address)
            visitor.page.fill("#name", ada.name)
            visitor.page.fill("#password", "violet harbour 42 kites")
            visitor.press("Go on")
            visitor.page.fill("#code", ada.code())
            visitor.press("Go on")
            visitor.choose()
            visitor.page.fill("#name", "ång")
            visitor.press("Search")
            visitor.page.get_by_label("Ångström").check()
            visitor.press("Go on")
            visitor.page.get_by_label("Read name, birth date, address and contact details").check()
            visitor.page.locator("summary", has_text="Only a part of it").first.click()
            visitor.page.get_by_label("Vital signs", exact=True).check()
            visitor.press("Allow")
            assert "Thank you" in visitor.page.locator("body").inner_text()
            told = example.stdout.read()
        finally:
            example.kill()
            visitor.close()
    assert "Granted: launch/patient" in told
    assert "61 beats/minute" in told
    assert "Condition: 403" in told
