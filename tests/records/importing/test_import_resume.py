# SPDX-License-Identifier: Apache-2.0
"""An import that was interrupted, repeated, or whose file was changed: nothing twice, nothing missing."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from tests.records.importing.import_desk import bring_in, bundle, ndjson, patients, total
from tests.support.clinic import Clinic, heart_rate


def _many(count: int) -> list[dict[str, object]]:
    return [{**patients("")[0], "identifier": [{"system": "urn:n", "value": str(n)}]} for n in range(count)]


@pytest.mark.parametrize("stop_after", [1, 2, 3])
@pytest.mark.parametrize("form", ["ndjson", "gz", "collection"])
def test_an_interrupted_import_goes_on_where_it_stopped(
    clinic: Clinic, tmp_path: Path, form: str, stop_after: int
) -> None:
    resources = _many(700)
    resources[300] = {"resourceType": "Patient", "birthDate": "never"}
    if form == "collection":
        file = tmp_path / "c.json"
        file.write_text(json.dumps(bundle("collection", *resources)))
    else:
        file = ndjson(tmp_path / "p.ndjson", *resources)
    if form == "gz":
        packed = tmp_path / "p.ndjson.gz"
        packed.write_bytes(gzip.compress(file.read_bytes()))
        file = packed
    assert bring_in(clinic, file, stop_after=stop_after).accepted < 699
    again = bring_in(clinic, file)
    assert again.skipped == 200 * stop_after
    assert total(clinic) == 699
    assert bring_in(clinic, file).accepted == 0
    assert total(clinic) == 699


def test_references_made_before_and_after_the_interruption_name_the_same_records(
    clinic: Clinic, tmp_path: Path
) -> None:
    """Entries without ids get theirs from the document: the second run must not invent others."""
    urns = [f"urn:uuid:0000000{n}-0000-4000-8000-000000000000" for n in range(3)]
    people = [{"fullUrl": urn, "resource": patients("")[0]} for urn in urns]
    pulses = [{"resource": {**heart_rate("x", n), "subject": {"reference": urns[n % 3]}}} for n in range(400)]
    for pulse in pulses:
        del pulse["resource"]["id"]
    file = tmp_path / "c.json"
    file.write_text(json.dumps({"resourceType": "Bundle", "type": "collection", "entry": [*people, *pulses]}))
    bring_in(clinic, file, stop_after=1)
    bring_in(clinic, file)
    ids = [resource["id"] for resource in clinic.as_("service").find("Patient?birthdate=2001-02-03")]
    counts = [
        clinic.as_("service").get(f"/fhir/Observation?patient={id_}&_summary=count").json()["total"] for id_ in ids
    ]
    assert sorted(counts) == [133, 133, 134]


def test_what_is_imported_again_makes_no_versions(clinic: Clinic, tmp_path: Path) -> None:
    (tmp_path / "t.json").write_text(json.dumps(bundle("transaction", *patients("", ""))))
    (tmp_path / "c.json").write_text(json.dumps(bundle("collection", *patients("a", "b"))))
    ndjson(tmp_path / "n.ndjson", *patients("c", ""))
    assert bring_in(clinic, tmp_path).accepted == 6
    again = bring_in(clinic, tmp_path)
    assert (again.accepted, again.refused) == (0, [])
    assert total(clinic) == 6
    for id_ in "abc":
        assert clinic.as_("service").get(f"/fhir/Patient/{id_}").headers["etag"] == 'W/"1"'


def test_lines_added_to_a_file_are_taken_and_the_old_ones_are_not_read_again(clinic: Clinic, tmp_path: Path) -> None:
    file = ndjson(tmp_path / "p.ndjson", *patients("a", "", "b"))
    file.write_bytes(file.read_bytes().rstrip(b"\n"))  # as some tools leave it
    bring_in(clinic, file)
    ndjson(file, *patients("a", "", "b", "c", ""))
    tally = bring_in(clinic, file)
    assert (tally.accepted, tally.skipped) == (2, 3)
    assert total(clinic) == 5
    assert clinic.as_("service").get("/fhir/Patient/a").headers["etag"] == 'W/"1"'


def test_a_file_of_the_same_name_with_other_content_is_read_from_its_beginning(clinic: Clinic, tmp_path: Path) -> None:
    file = ndjson(tmp_path / "p.ndjson", *patients("a", "b", "c"))
    bring_in(clinic, file)
    ndjson(file, *patients("x", "y"))
    assert bring_in(clinic, file).accepted == 2
    assert total(clinic) == 5


def test_a_refused_line_that_was_mended_is_taken_and_its_neighbours_make_no_doubles(
    clinic: Clinic, tmp_path: Path
) -> None:
    bad = '{"resourceType":"Patient","birthDate":"soon"}'
    same = patients("")[0]
    file = ndjson(tmp_path / "p.ndjson", *_many(5), bad, same, same)
    assert bring_in(clinic, file).accepted == 7  # the same line twice means two records
    ndjson(file, *_many(5), bad.replace("soon", "2001-02-03"), same, same)
    assert bring_in(clinic, file).accepted == 1
    assert total(clinic) == 8


def test_a_file_is_known_under_another_name(clinic: Clinic, tmp_path: Path) -> None:
    file = ndjson(tmp_path / "p.ndjson", *_many(5))
    bring_in(clinic, file)
    tally = bring_in(clinic, file.rename(tmp_path / "q.ndjson"))
    assert (tally.accepted, tally.skipped) == (0, 5)


def test_versions_of_one_record_in_one_file_are_kept_in_their_order(clinic: Clinic, tmp_path: Path) -> None:
    versions = [{**patients("a")[0], "birthDate": f"20{n:02}-01-01"} for n in range(5)]
    tally = bring_in(clinic, ndjson(tmp_path / "p.ndjson", *versions))
    assert (tally.accepted, tally.refused) == (5, [])
    newest = clinic.as_("service").get("/fhir/Patient/a")
    assert (newest.headers["etag"], newest.json()["birthDate"]) == ('W/"5"', "2004-01-01")
