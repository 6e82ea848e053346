# SPDX-License-Identifier: Apache-2.0
"""fhirpy (PyPI) against a served Salus.

`count()` sends a parameter of one vendor (`_totalMethod`), so it needs `Prefer: handling=lenient`. `patch()` is not
tried: it sends a merge patch, which is not FHIR.
"""

from __future__ import annotations

from typing import Any

import pytest
from fhirpy import SyncFHIRClient
from fhirpy.base.exceptions import OperationOutcome, ResourceNotFound

from tests.clients.conftest import PULSES, Ward


def _client(ward: Ward, **headers: str) -> SyncFHIRClient:
    return SyncFHIRClient(
        ward.fhir,
        authorization=f"Bearer {ward.token}",
        extra_headers=headers or None,
        requests_config={"verify": str(ward.authority)},
    )


def test_it_reads_searches_and_pages(ward: Ward) -> None:
    client = _client(ward)
    assert client.get("Patient", "ada")["birthDate"] == "1990-05-01"
    pulses = client.resources("Observation").search(patient="ada", code="http://loinc.org|8867-4")
    assert len(pulses.limit(2).fetch()) == 2
    paged = pulses.sort("-date").limit(2).fetch_all()
    assert [pulse.id for pulse in paged] == [f"pulse-{number}" for number in reversed(range(PULSES))]
    assert {pulse.id for pulse in pulses.search(value_quantity__gt=64).fetch()} == {"pulse-5", "pulse-6"}
    with_patient = client.resources("Observation").search(_id="pulse-0").include("Observation", "subject").fetch_raw()
    assert [entry.resource.resourceType for entry in with_patient.entry] == ["Observation", "Patient"]
    followed = pulses.first().subject.to_resource()
    assert followed["id"] == "ada"


def test_it_writes(ward: Ward) -> None:
    client = _client(ward)
    made = client.resource("Patient", name=[{"family": "Fhirpy"}], active=True).create()
    assert made.id
    made["gender"] = "other"
    made.save()
    assert client.get("Patient", made.id)["gender"] == "other"
    named = client.resources("Patient").search(name="Fhirpy")
    same, created = named.get_or_create(client.resource("Patient", name=[{"family": "Fhirpy"}]))
    assert (same.id, created) == (made.id, False)
    changed, created = named.update(client.resource("Patient", name=[{"family": "Fhirpy"}], active=False))
    assert (changed.id, created, changed.active) == (made.id, False, False)
    assert client.execute(f"Patient/{made.id}/$meta", method="get")["resourceType"] == "Parameters"
    made.delete()
    with pytest.raises(ResourceNotFound):
        client.get("Patient", made.id)


def test_it_understands_why_it_is_refused(ward: Ward) -> None:
    client = _client(ward)
    with pytest.raises(OperationOutcome) as refused:
        client.resource("Observation", status="final", code={"text": 5}).create()
    issues: list[dict[str, Any]] = refused.value.resource["issue"]
    assert issues[0]["expression"] == ["Observation.code.text"]
    with pytest.raises(OperationOutcome):
        client.resources("Patient").count()
    assert _client(ward, Prefer="handling=lenient").resources("Observation").search(patient="ada").count() == PULSES
