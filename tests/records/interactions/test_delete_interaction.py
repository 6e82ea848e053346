# SPDX-License-Identifier: Apache-2.0
"""Delete (https://hl7.org/fhir/R4/http.html#delete)."""

from __future__ import annotations

from tests.support.clinic import Clinic


def test_delete_empties_reads_and_searches(clinic: Clinic) -> None:
    service = clinic.as_("service")
    answer = service.delete("/fhir/Condition/asthma-anna")
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["etag"] == 'W/"2"'
    assert service.get("/fhir/Condition/asthma-anna").status_code == 410
    assert [r["id"] for r in service.find("Condition")] == ["asthma-bert"]
    assert service.find("Condition?_id=asthma-anna") == []
    assert service.find("Condition?code=195967001&patient=anna") == []


def test_deleting_twice_is_no_error_and_makes_no_version(clinic: Clinic) -> None:
    service = clinic.as_("service")
    service.delete("/fhir/Condition/asthma-anna")
    assert service.delete("/fhir/Condition/asthma-anna").status_code == 204
    history = service.get("/fhir/Condition/asthma-anna/_history").json()["entry"]
    assert [entry["request"]["method"] for entry in history] == ["DELETE", "PUT"]


def test_delete_with_a_stale_version_is_refused(clinic: Clinic) -> None:
    service = clinic.as_("service")
    assert service.delete("/fhir/Condition/asthma-anna", headers={"if-match": 'W/"9"'}).status_code == 412
    assert service.delete("/fhir/Condition/asthma-anna", headers={"if-match": 'W/"1"'}).status_code == 204


def test_what_never_was_cannot_be_deleted(clinic: Clinic) -> None:
    assert clinic.as_("service").delete("/fhir/Condition/nothing").status_code == 404
