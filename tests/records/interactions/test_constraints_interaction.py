# SPDX-License-Identifier: Apache-2.0
"""A constraint of R4 that needs FHIRPath, asked from outside: through create, update and transaction."""

from __future__ import annotations

from copy import deepcopy

from tests.support.clinic import Clinic, heart_rate

KEPT = heart_rate("anna", 72)
BROKEN = {**deepcopy(KEPT), "component": [{"code": KEPT["code"], "valueString": "the same code again"}]}


def test_what_breaks_a_constraint_is_refused_with_key_and_place(clinic: Clinic) -> None:
    service = clinic.as_("service")
    refused = service.post("/fhir/Observation", BROKEN)
    assert refused.status_code == 422
    (issue,) = refused.json()["issue"]
    assert (issue["severity"], issue["code"], issue["expression"]) == ("error", "invariant", ["Observation"])
    assert "obs-7" in issue["diagnostics"]
    assert "again" not in refused.text
    assert service.put("/fhir/Observation/x", {**BROKEN, "id": "x"}).status_code == 422
    assert service.get("/fhir/Observation/x").status_code == 404
    entry = {"resource": BROKEN, "request": {"method": "POST", "url": "Observation"}}
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}
    assert service.post("/fhir", bundle).status_code == 422


def test_a_missing_narrative_is_advice_and_refuses_nothing(clinic: Clinic) -> None:
    assert clinic.as_("service").post("/fhir/Observation", KEPT).status_code == 201
