# SPDX-License-Identifier: Apache-2.0
"""The manifest itself: taken, forged or put back it closes the house; through all that Salus does it stays true."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from salus.app import verifying
from salus.app.house import CHECKPOINTS
from salus.audit.event import EventType
from salus.audit.reading import Filter
from salus.freshness.report import FindingKind
from salus.freshness.rows import covered
from salus.kernel.db import Connection, open_database
from salus.kernel.errors import Problem
from tests.support.clinic import Client, Clinic, heart_rate, put_all
from tests.support.forging import (
    PULSE,
    change,
    copy_of,
    forge,
    kinds,
    no_nurse_of_anna,
    put_back,
    taken_away,
    tokens_taken,
    trigger_set,
    verified,
)

# ── the manifest itself ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("damage", ["taken", "forged", "put back", "put back with rows"])
def test_a_manifest_that_is_not_the_last_one_closes_the_house(clinic: Clinic, damage: str) -> None:
    token = clinic.token("service")
    former = {table: copy_of(clinic, table) for table in ("freshness", "record")}
    change(clinic)
    clinic.log()
    if damage == "taken":
        put_back(clinic, "freshness", [])
    elif damage == "forged":
        put_back(clinic, "freshness", [(tenant, sealed[:-1] + b"x") for tenant, sealed in former["freshness"]])
    else:
        put_back(clinic, "freshness", former["freshness"])
    if damage == "put back with rows":
        put_back(clinic, "record", former["record"])
    for _ in range(2):  # at the first group that comes, and after a start
        service = Client(clinic, {"authorization": f"Bearer {token}"})
        answer = service.put("/fhir/Patient/dora", {"resourceType": "Patient", "id": "dora"})
        assert answer.status_code == 503
        assert service.get("/fhir/Patient/anna").status_code == 503
        found = verified(clinic)
        assert FindingKind.MANIFEST in kinds(found)
        assert (FindingKind.OLDER in kinds(found)) is (damage == "put back with rows")
        reopen(clinic)
    clinic.run(verifying.accept(clinic.house, "default", "end of the test"))


def reopen(clinic: Clinic) -> None:
    """Stop and start; a house that is closed to everybody cannot sign its last checkpoint."""
    clinic.run(clinic.http.aclose())
    with suppress(Problem):
        clinic.house.close()
    clinic.open()


def test_a_whole_old_database_is_found_by_what_was_published(clinic: Clinic, tmp_path: Path) -> None:
    clinic.close()
    kept = tmp_path / "kept"
    shutil.copytree(clinic.folder, kept)
    clinic.open()
    change(clinic)
    clinic.close()
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(clinic.folder / CHECKPOINTS, elsewhere)
    for file in ("records.db", "records.db-wal"):
        (clinic.folder / file).unlink(missing_ok=True)
        if (kept / file).exists():
            shutil.copy(kept / file, clinic.folder / file)
    clinic.open()
    found = verified(clinic)
    assert not found.ok
    assert any("an old copy of the database" in text for text in found.words())
    # With the checkpoints beside it put back as well, only those that lie elsewhere tell.
    shutil.rmtree(clinic.folder / CHECKPOINTS)
    shutil.copytree(kept / CHECKPOINTS, clinic.folder / CHECKPOINTS)
    reopen(clinic)
    assert verified(clinic).ok
    assert not verified(clinic, checkpoints=elsewhere).ok


def test_an_older_database_is_not_brought_to_a_newer_version_when_it_was_forged(clinic: Clinic) -> None:
    def how(db: Connection, clinic: Clinic) -> None:
        taken_away(db, clinic)
        db.execute("update schema_version set step=step-1 where room='access'")

    forge(clinic, how)
    clinic.close()
    with pytest.raises(Problem, match="not brought to this version"):
        clinic.open()
    forge_closed(clinic, lambda db: db.execute("update schema_version set step=step+1 where room='access'"))
    clinic.open()


def forge_closed(clinic: Clinic, how: Callable[[Connection], object]) -> None:
    """Edit the database of a house that is closed."""
    from salus.app.providers import provider_of
    from salus.crypto.keyring import open_keyring

    keyring = open_keyring(clinic.folder / "keys", provider_of(clinic.settings))
    db = open_database(clinic.folder / "records.db", keyring.page_key("records"))
    how(db)
    db.close()
    keyring.close()


# ── what the manifest stays true through ─────────────────────────────────────────────────────────────────────────────


def test_every_kind_of_change_keeps_the_manifest_true(clinic: Clinic) -> None:
    service = clinic.as_("service")
    change(clinic)
    assert service.delete(f"/fhir/{PULSE}").status_code == 204
    put_all(service, heart_rate("anna", 60))
    parameter = {
        "resourceType": "SearchParameter",
        "id": "colour",
        "url": "http://clinic.example/colour",
        "name": "colour",
        "status": "active",
        "description": "x",
        "code": "colour",
        "base": ["Patient"],
        "type": "string",
        "expression": "Patient.name.text",
    }
    put_all(service, parameter)
    from salus.app.indexing import bring_up_to_date

    assert clinic.run(bring_up_to_date(clinic.house, "default")) == []
    put_all(service, {**parameter, "status": "draft"})
    service.put(
        "/fhir/CareTeam/team-anna",
        {
            "resourceType": "CareTeam",
            "id": "team-anna",
            "status": "inactive",
            "subject": {"reference": "Patient/anna"},
            "participant": [{"member": {"reference": "Practitioner/nurse"}}],
        },
    )
    blob = service.request(
        "POST", "/fhir/Binary", content=b"x" * 200_000, headers={"content-type": "application/octet-stream"}
    )
    assert blob.status_code == 201
    assert verified(clinic).ok
    clinic.close()
    clinic.open()
    assert verified(clinic).ok


def test_a_lost_chunk_of_a_content_is_found(clinic: Clinic) -> None:
    clinic.as_("service").request(
        "POST", "/fhir/Binary", content=b"x" * 200_000, headers={"content-type": "application/octet-stream"}
    )
    forge(
        clinic,
        lambda db, _: db.execute("delete from content_chunk where number=(select max(number) from content_chunk)"),
    )
    found = verified(clinic)
    assert [each.kind for each in found.findings] == [FindingKind.CONTENT]
    assert "4 of 5 chunks" in found.findings[0].text


def test_a_write_beside_the_manifest_does_not_commit(clinic: Clinic) -> None:
    """Even the program itself cannot change a covered row without it."""
    import apsw

    db = clinic.house.db
    with pytest.raises(apsw.Error):
        db.execute("update record set updated=updated+1")
    assert verified(clinic).ok


def test_every_table_is_covered_or_says_why_not(clinic: Clinic) -> None:
    from salus.freshness.rows import EXEMPT

    tables = {
        name
        for (name,) in clinic.house.db.execute("select name from sqlite_schema where type='table'")
        if not name.startswith(("sqlite_", "blind_token_"))
    }
    assert tables - covered(clinic.house.db).keys() == EXEMPT.keys()


def test_what_was_found_can_be_accepted_and_the_index_comes_back(clinic: Clinic) -> None:
    service = clinic.as_("service")
    forge(clinic, tokens_taken)
    forge(clinic, no_nurse_of_anna)
    assert not service.find("Observation?code=8867-4&subject=Patient/anna")
    clinic.run(verifying.accept(clinic.house, "default", "looked into, ticket 7"))
    assert verified(clinic).ok
    from salus.app.indexing import bring_up_to_date

    assert clinic.run(bring_up_to_date(clinic.house, "default")) == []
    assert [found["id"] for found in service.find("Observation?code=8867-4&subject=Patient/anna")] == ["pulse-anna"]
    assert verified(clinic).ok
    page = clinic.log().page("default", Filter(types=frozenset({EventType.STORE_ACCEPT})), limit=1)
    assert "ticket 7" in page.entries[0][1].event.reason


def test_a_missing_manifest_can_be_accepted_too(clinic: Clinic) -> None:
    put_back(clinic, "freshness", [])
    reopen(clinic)
    clinic.run(verifying.accept(clinic.house, "default", "restored by hand"))
    assert verified(clinic).ok
    assert clinic.as_("service").get("/fhir/Patient/anna").status_code == 200


def test_a_trigger_is_not_accepted(clinic: Clinic) -> None:
    forge(clinic, trigger_set)
    with pytest.raises(Problem, match="trigger"):
        clinic.run(verifying.accept(clinic.house, "default", "whatever"))
