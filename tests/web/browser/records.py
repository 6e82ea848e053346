# SPDX-License-Identifier: Apache-2.0
"""Records for the people of browser tests to look at."""

from __future__ import annotations

from tests.support.clinic import condition, heart_rate, patient
from tests.support.served import salus
from tests.web.browser.stage import Stage

VITAL_SIGNS = {"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "vital-signs"}


def fill(stage: Stage) -> None:
    """One patient with a heart rate and a problem; once for all tests."""
    if stage.filled:
        return
    data = ("--data-dir", stage.folder)
    salus("user", "add", "feed", "--service", "--role", "service", *data)
    token = salus("token", "issue", "feed", "--purpose", "TREAT", *data).stdout.strip().splitlines()[-1]
    with stage.served.client(token) as client:
        pulse = heart_rate("anna", 61, "pulse") | {"category": [{"coding": [VITAL_SIGNS]}]}
        for resource in (patient("anna", "Ångström", "1980-02-29"), pulse, condition("anna")):
            done = client.put(f"/fhir/{resource['resourceType']}/{resource['id']}", json=resource)
            assert done.status_code == 201, done.text
    stage.filled = True
