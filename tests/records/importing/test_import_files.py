# SPDX-License-Identifier: Apache-2.0
"""What can be imported, and what is said of what cannot."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import zipfile
from pathlib import Path

import pytest

from salus.records.importing.run import Import, Refused
from salus.records.importing.sources import Documents
from tests.records.importing.import_desk import PowerCut, bring_in, bundle, ndjson, patients, total
from tests.support.clinic import Clinic, heart_rate


def test_a_transaction_is_taken_whole(clinic: Clinic, tmp_path: Path) -> None:
    entries = [
        {
            "fullUrl": "urn:uuid:00000001-0000-4000-8000-000000000000",
            "resource": patients("")[0],
            "request": {"method": "POST", "url": "Patient"},
        },
        {
            "resource": {
                **heart_rate("x", 70),
                "subject": {"reference": "urn:uuid:00000001-0000-4000-8000-000000000000"},
            },
            "request": {"method": "POST", "url": "Observation"},
        },
    ]
    file = tmp_path / "one.json"
    file.write_text(json.dumps({"resourceType": "Bundle", "type": "transaction", "entry": entries}))
    tally = bring_in(clinic, file)
    assert (tally.accepted, tally.refused) == (2, [])
    (found,) = clinic.as_("service").find("Patient?birthdate=2001-02-03")
    assert len(clinic.as_("service").find(f"Observation?patient={found['id']}")) == 1


def test_a_transaction_with_one_bad_entry_is_refused_whole_with_its_place(clinic: Clinic, tmp_path: Path) -> None:
    file = tmp_path / "bad.json"
    file.write_text(json.dumps(bundle("transaction", *patients("", ""), {"resourceType": "Observation"})))
    tally = bring_in(clinic, file)
    assert tally.accepted == 0
    assert {refused.file for refused in tally.refused} == {str(file)}
    assert all(refused.place.startswith("Bundle.entry[2].resource") for refused in tally.refused)
    assert all("quired" in refused.reason or refused.reason for refused in tally.refused)
    assert total(clinic) == 0


@pytest.mark.parametrize("kind", ["collection", "batch", "searchset", "document"])
def test_other_bundles_are_taken_resource_by_resource(clinic: Clinic, tmp_path: Path, kind: str) -> None:
    file = tmp_path / "some.json"
    file.write_text(json.dumps(bundle(kind, *patients("a", ""), {"resourceType": "Observation"}, {"id": "no-type"})))
    tally = bring_in(clinic, file)
    assert tally.accepted == total(clinic) == 2
    places = {refused.place.partition(",")[0] for refused in tally.refused}
    assert places == {"Bundle.entry[2]", "Bundle.entry[3]"}


def test_references_between_entries_of_a_collection_hold_without_ids(clinic: Clinic, tmp_path: Path) -> None:
    urn = "urn:uuid:00000001-0000-4000-8000-000000000000"
    sent = bundle("collection", {**heart_rate("x", 1), "subject": {"reference": urn}}, patients("")[0])
    del sent["entry"][0]["resource"]["id"]
    sent["entry"][1]["fullUrl"] = urn
    (tmp_path / "c.json").write_text(json.dumps(sent))
    bring_in(clinic, tmp_path / "c.json")
    (found,) = clinic.as_("service").find("Patient?birthdate=2001-02-03")
    assert len(clinic.as_("service").find(f"Observation?patient={found['id']}")) == 1


def test_ndjson_lines_are_refused_one_by_one_with_their_numbers(clinic: Clinic, tmp_path: Path) -> None:
    file = ndjson(
        tmp_path / "p.ndjson",
        *patients("a"),
        "{broken",
        "",
        *patients("b"),
        '{"resourceType":"Patient","birthDate":"soon","id":"c"}',
        '{"resourceType":"Unknown","id":"d"}',
        '{"resourceType":"Patient","id":7}',
        '{"resourceType":"Patient","id":"e","id":"f"}',
        *patients(""),
    )
    tally = bring_in(clinic, file)
    assert tally.accepted == total(clinic) == 3
    assert {refused.place.partition(",")[0] for refused in tally.refused} == {f"line {n}" for n in (2, 5, 6, 7, 8)}
    assert {refused.file for refused in tally.refused} == {str(file)}
    assert "line 5, Patient.birthDate" in {refused.place for refused in tally.refused}
    assert not any("soon" in refused.reason for refused in tally.refused)


def test_a_single_resource_is_a_document_too(clinic: Clinic, tmp_path: Path) -> None:
    (tmp_path / "one.json").write_text(json.dumps(patients("a")[0]))
    assert bring_in(clinic, tmp_path / "one.json").accepted == 1
    assert clinic.as_("service").get("/fhir/Patient/a").status_code == 200


def _tar(path: Path, mode: str, **files: bytes) -> Path:
    with tarfile.open(path, mode) as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name.replace("_", "."))
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def test_gzip_tar_and_folders_are_unpacked_on_the_way(clinic: Clinic, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    (folder / "deep").mkdir(parents=True)
    people = {name: patients(f"{name}-1", f"{name}-2") for name in "abcdefgh"}
    lines = {name: "".join(json.dumps(p) + "\n" for p in both).encode() for name, both in people.items()}
    (folder / "a.ndjson").write_bytes(lines["a"])
    (folder / "deep" / "b.ndjson.gz").write_bytes(gzip.compress(lines["b"]))
    (folder / "c.json.gz").write_bytes(gzip.compress(json.dumps(bundle("collection", *people["c"])).encode()))
    _tar(folder / "d.tar", "w", d_ndjson=lines["d"], readme_txt=b"no record")
    _tar(folder / "e.tar.xz", "w:xz", e_ndjson=lines["e"])
    _tar(folder / "deep" / "f.tgz", "w:gz", f_ndjson_gz=gzip.compress(lines["f"]))
    (folder / "notes.txt").write_text("no record")
    with zipfile.ZipFile(folder / "g.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("deep/g.ndjson", lines["g"])
        packed.writestr("h.json.gz", gzip.compress(json.dumps(bundle("collection", *people["h"])).encode()))
        packed.writestr("../../readme.txt", b"no record")
    tally = bring_in(clinic, folder)
    assert (tally.accepted, tally.refused) == (16, [])
    assert bring_in(clinic, folder).skipped == 16
    assert total(clinic) == 16


@pytest.mark.parametrize(
    "kind", ["cut tar", "cut tar between members", "garbled tar", "cut xz", "cut gz", "no gz", "cut json"]
)
def test_a_damaged_file_is_reported_and_the_next_has_its_turn(clinic: Clinic, tmp_path: Path, kind: str) -> None:
    lines = "".join(json.dumps(p) + "\n" for p in patients(*(f"p{n}" for n in range(40)))).encode()
    bad = tmp_path / {"cut xz": "a.tar.xz", "cut gz": "a.ndjson.gz", "no gz": "a.ndjson.gz", "cut json": "a.json"}.get(
        kind, "a.tar"
    )
    match kind:
        case "cut gz":
            bad.write_bytes(gzip.compress(lines)[:-60])
        case "no gz":
            bad.write_bytes(lines)
        case "cut json":
            bad.write_bytes(json.dumps(bundle("transaction", *patients("x"))).encode()[:-9])
        case _:
            whole = _tar(bad, "w:xz" if kind == "cut xz" else "w", a_ndjson=lines, b_ndjson=lines).read_bytes()
            second = whole.find(b"b.ndjson")
            cut = {
                "cut tar": whole[: second + 800],
                "cut tar between members": whole[:second],
                "garbled tar": whole[:second] + b"\xff" * 200 + whole[second + 200 :],
                "cut xz": whole[:-40],
            }[kind]
            bad.write_bytes(cut)
    good = ndjson(tmp_path / "z.ndjson", *patients("last"))
    tally = bring_in(clinic, bad, good)
    assert str(bad) in {refused.file.partition(":")[0] for refused in tally.refused}, tally.refused
    assert clinic.as_("service").get("/fhir/Patient/last").status_code == 200


@pytest.mark.parametrize("fault", ["no zip", "cut", "a member garbled"])
def test_a_zip_archive_that_cannot_be_read_is_reported(clinic: Clinic, tmp_path: Path, fault: str) -> None:
    file = tmp_path / "a.zip"
    with zipfile.ZipFile(file, "w") as packed:
        packed.writestr("p.ndjson", json.dumps(patients("inside")[0]))
    content = file.read_bytes()
    kept = {"no zip": b"PK", "cut": content[:-30], "a member garbled": content.replace(b"2001", b"2002", 1)}
    file.write_bytes(kept[fault])
    tally = bring_in(clinic, file, ndjson(tmp_path / "next.ndjson", *patients("next")))
    assert [one.file.partition(":")[0] for one in tally.refused] == [str(file)]
    assert clinic.as_("service").get("/fhir/Patient/next").status_code == 200


def test_a_few_bytes_that_unpack_to_an_endless_line_are_told(
    clinic: Clinic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("salus.records.importing.items.MAX_LINE", 1_000)
    file = tmp_path / "p.ndjson.gz"
    first = json.dumps(patients("first")[0]).encode()
    file.write_bytes(gzip.compress(first + b"\n" + b" " * 5_000 + b"\n" + json.dumps(patients("third")[0]).encode()))
    tally = bring_in(clinic, file)
    assert tally.accepted == 1
    assert ["Line 2 has more than" in one.reason for one in tally.refused] == [True]


def test_empty_lines_are_no_work_and_no_entries_of_the_log(clinic: Clinic, tmp_path: Path) -> None:
    def newest() -> int:
        entries = clinic.as_("auditor").get("/fhir/AuditEvent?_count=1").json()["entry"]
        return int(entries[0]["resource"]["id"])

    before = newest()
    assert bring_in(clinic, ndjson(tmp_path / "p.ndjson", *[""] * 2_000)).refused == []
    assert newest() - before == 1  # that the auditor looked before


def test_what_is_refused_is_told_before_the_import_passes_over_it(clinic: Clinic, tmp_path: Path) -> None:
    told: list[Refused] = []
    run = Import(clinic.context(), on_refused=told.extend)
    file = ndjson(tmp_path / "p.ndjson", "{broken", *patients("a"))

    async def work() -> None:
        for document in Documents([file]):
            with pytest.raises(PowerCut):
                await run.document(document)

    def cut(*_: object) -> None:
        raise PowerCut

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("salus.records.importing.run.unit_of", cut)
        clinic.run(work())
    assert [one.place for one in told] == ["line 1"]
    assert total(clinic) == 0
