# SPDX-License-Identifier: Apache-2.0
"""Installing packages: what is found afterwards, what is refused, and the tricks that a file from outside may play."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.packages import about, archive, code_system, package, value_set

from salus.kernel.errors import Kind, Problem
from salus.knowledge import archive as reading
from salus.knowledge.library import Library
from salus.knowledge.packages import Report, installed, installing, removing

URL = "http://example.org/colours"


def key() -> bytearray:
    return bytearray(b"k" * 32)


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    opened = Library(tmp_path / "knowledge.db", key)
    yield opened
    opened.close()


def install(library: Library, path: Path) -> Report:
    with installing(library, path, 1_700_000_000_000) as report:
        pass
    return report


def test_what_a_package_defines_is_found_by_url_and_version(library: Library, tmp_path: Path) -> None:
    report = install(library, package(tmp_path / "p.tgz", code_system(text={"status": "generated", "div": "<p/>"})))
    assert (report.name, report.version, report.installed) == ("example.colours", "1.0.0", {"CodeSystem": 1})
    found = library.find("CodeSystem", URL)
    assert found is not None
    assert [concept["code"] for concept in found["concept"]] == ["red", "blue"]
    assert "text" not in found
    assert library.find("CodeSystem", f"{URL}|1.0.0") == found
    assert library.find("CodeSystem", URL, "2.0.0") is None
    assert library.find("ValueSet", URL) is None
    assert (URL, "1.0.0") in set(library.all("CodeSystem"))


def test_the_newest_version_is_meant_where_none_is_named(library: Library, tmp_path: Path) -> None:
    for number, version in enumerate(("1.9.0", "1.10.0", "1.10.0-ballot")):
        described = about(version=version)
        install(library, package(tmp_path / f"{number}.tgz", code_system(version=version), described=described))
    assert (library.find("CodeSystem", URL) or {})["version"] == "1.10.0"
    assert (library.find("CodeSystem", URL, "1.9.0") or {})["version"] == "1.9.0"


def test_what_is_installed_goes_before_what_is_shipped(library: Library, tmp_path: Path) -> None:
    url = "http://hl7.org/fhir/us/core/CodeSystem/us-core-category"
    assert (library.find("CodeSystem", url) or {})["version"] == "6.1.0"
    install(library, package(tmp_path / "p.tgz", code_system(url, "5.0.1")))
    assert (library.find("CodeSystem", url) or {})["version"] == "5.0.1"
    assert (library.find("CodeSystem", url, "6.1.0") or {})["version"] == "6.1.0"


def test_the_same_package_again_changes_nothing_and_another_of_its_name_replaces_it(
    library: Library, tmp_path: Path
) -> None:
    first = package(tmp_path / "p.tgz", code_system())
    install(library, first)
    before = library.generation
    assert install(library, first).unchanged
    assert library.generation == before
    install(
        library,
        package(tmp_path / "q.tgz", code_system(title="New"), value_set("http://example.org/vs", {"system": URL})),
    )
    assert (library.find("CodeSystem", URL) or {})["title"] == "New"
    assert [(p.name, p.version, p.resources) for p in installed(library)] == [("example.colours", "1.0.0", 2)]
    assert library.generation > before


def test_what_is_removed_is_gone_and_another_process_notices(library: Library, tmp_path: Path) -> None:
    install(library, package(tmp_path / "p.tgz", code_system()))
    other = Library(tmp_path / "knowledge.db", key)
    assert other.find("CodeSystem", URL) is not None
    before = other.generation
    with removing(library, "example.colours") as versions:
        assert versions == ["1.0.0"]
    assert library.find("CodeSystem", URL) is None
    assert other.generation != before
    assert other.find("CodeSystem", URL) is None
    other.close()


def test_another_process_notices_the_first_installation(tmp_path: Path) -> None:
    early = Library(tmp_path / "knowledge.db", key)
    later = Library(tmp_path / "knowledge.db", key)
    install(later, package(tmp_path / "p.tgz", code_system()))
    assert early.find("CodeSystem", URL) is None
    early.refresh()
    assert early.find("CodeSystem", URL) is not None
    early.close()
    later.close()


def test_an_interrupted_installation_leaves_nothing(library: Library, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), installing(library, package(tmp_path / "p.tgz", code_system()), 1):
        raise RuntimeError
    assert installed(library) == []
    assert library.find("CodeSystem", URL) is None


def test_a_folder_is_a_package_too(library: Library, tmp_path: Path) -> None:
    with tarfile.open(package(tmp_path / "p.tgz", code_system())) as made:
        made.extractall(tmp_path / "unpacked", filter="data")
    assert install(library, tmp_path / "unpacked").installed == {"CodeSystem": 1}
    assert install(library, tmp_path / "unpacked" / "package").unchanged


def test_the_rows_are_encrypted_on_the_disk(library: Library, tmp_path: Path) -> None:
    install(library, package(tmp_path / "p.tgz", code_system()))
    library.close()
    assert b"example.org" not in (tmp_path / "knowledge.db").read_bytes()
    with pytest.raises(Problem) as refused:
        Library(tmp_path / "knowledge.db", lambda: bytearray(b"x" * 32))
    assert refused.value.kind is Kind.UNAVAILABLE


@pytest.mark.parametrize(
    ("resource", "why"),
    [
        (b"{", "JSON"),
        (b"\xff\xfe", "JSON"),
        ({"resourceType": "Nonsense"}, "resourceType"),
        (code_system() | {"url": None}, "url"),
        (code_system() | {"url": "http://example.org/a|1"}, "`|`"),
        (code_system() | {"concept": "red"}, "concept"),
        (code_system() | {"version": 3}, "version"),
    ],
)
def test_a_resource_that_is_none_is_refused_and_the_others_stay(
    library: Library, tmp_path: Path, resource: object, why: str
) -> None:
    files = {"package/package.json": about(), "package/bad.json": resource, "package/good.json": code_system()}
    report = install(library, archive(tmp_path / "p.tgz", files))
    assert [refused.file for refused in report.refused] == ["bad.json"]
    assert why in report.refused[0].reason
    assert library.find("CodeSystem", URL) is not None


def test_examples_and_other_folders_are_passed_over(library: Library, tmp_path: Path) -> None:
    files = {
        "package/package.json": about(),
        "package/Patient-x.json": {"resourceType": "Patient"},
        "package/example/CodeSystem-x.json": code_system(),
        "package/.index.json": {"index-version": 1},
    }
    report = install(library, archive(tmp_path / "p.tgz", files))
    assert (report.installed, report.refused) == ({}, [])


def test_what_it_builds_on_is_told_when_it_is_missing(library: Library, tmp_path: Path) -> None:
    wants = {"hl7.fhir.r4.core": "4.0.1", "hl7.terminology.r4": "5.0.0"}
    report = install(library, package(tmp_path / "p.tgz", described=about(dependencies=wants)))
    assert report.missing == ["hl7.terminology.r4#5.0.0"]


# ── tricks ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "name", ["../evil.json", "package/../../evil.json", "/etc/evil.json", "package\\..\\evil.json"]
)
def test_attack_a_name_that_climbs_out(library: Library, tmp_path: Path, name: str) -> None:
    path = archive(tmp_path / "p.tgz", {"package/package.json": about(), name: code_system()})
    with pytest.raises(Problem) as refused:
        install(library, path)
    assert refused.value.kind is Kind.INCORRECT
    assert not list(tmp_path.parent.glob("evil*"))


def test_attack_a_link_in_an_archive(library: Library, tmp_path: Path) -> None:
    files = {"package/package.json": about()}
    path = archive(tmp_path / "p.tgz", files, links={"package/x.json": "/etc/passwd"})
    with pytest.raises(Problem, match="link"):
        install(library, path)


def test_attack_a_link_in_a_folder(library: Library, tmp_path: Path) -> None:
    folder = tmp_path / "package"
    folder.mkdir()
    (folder / "package.json").write_text('{"name": "a", "version": "1"}')
    (folder / "x.json").symlink_to("/etc/passwd")
    with pytest.raises(Problem, match="link"):
        install(library, folder)


def test_attack_a_bomb(library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MAX_TOTAL", 8 * 1024 * 1024)
    path = archive(tmp_path / "p.tgz", {"package/package.json": about(), "package/other.bin": bytes(9 * 1024 * 1024)})
    assert path.stat().st_size < 100_000
    with pytest.raises(Problem) as refused:
        install(library, path)
    assert refused.value.kind is Kind.TOO_LARGE


def test_attack_a_bomb_in_a_header(library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long name is read into memory before anybody can look at the member."""
    monkeypatch.setattr(reading, "MAX_TOTAL", 8 * 1024 * 1024)
    path = archive(tmp_path / "p.tgz", {"package/" + "a" * (2 * 1024 * 1024): b"{}"})
    with pytest.raises(Problem) as refused:
        install(library, path)
    assert refused.value.kind is Kind.TOO_LARGE


def test_a_huge_file_is_refused_and_the_others_stay(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "MAX_FILE", 10_000)
    files = {"package/package.json": about(), "package/a.json": b" " * 20_000, "package/b.json": code_system()}
    report = install(library, archive(tmp_path / "p.tgz", files))
    assert [refused.file for refused in report.refused] == ["a.json"]
    assert report.installed == {"CodeSystem": 1}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no archive",
        gzip.compress(b"no archive"),
        gzip.compress(bytes(5000))[:-4],
        gzip.compress(io.BytesIO(b"x" * 1024).getvalue()),
    ],
    ids=["empty", "no-archive", "compressed-nonsense", "cut-off", "no-header"],
)
def test_a_file_that_is_no_package_is_refused_in_words(library: Library, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "p.tgz"
    path.write_bytes(content)
    with pytest.raises(Problem) as refused:
        install(library, path)
    assert refused.value.kind is Kind.INCORRECT
    assert installed(library) == []


@pytest.mark.parametrize(
    "described",
    [
        {"name": "a", "version": "1", "fhirVersions": ["5.0.0"]},
        {"name": "a"},
        {"name": "../a\n", "version": "1"},
        {"version": "1"},
        {"name": 3, "version": "1"},
    ],
)
def test_a_package_that_is_not_for_r4_or_has_no_name_is_refused(
    library: Library, tmp_path: Path, described: dict[str, object]
) -> None:
    with pytest.raises(Problem):
        install(library, package(tmp_path / "p.tgz", code_system(), described=described))
    assert library.find("CodeSystem", URL) is None


# ── large code systems ───────────────────────────────────────────────────────────────────────────────────────────────


def large(number: int = 6_000, **more: object) -> dict[str, object]:
    concepts = [
        {
            "code": f"C{n}",
            "display": f"Colour {n}",
            "property": [{"code": "parent", "valueCode": f"C{n // 10}"}]
            if n
            else [{"code": "root", "valueBoolean": True}],
        }
        for n in range(number)
    ]
    return code_system(concept=concepts, caseSensitive=False, hierarchyMeaning="is-a", **more)


def test_a_large_code_system_of_a_package_goes_into_tables_and_answers_alike(library: Library, tmp_path: Path) -> None:
    install(library, package(tmp_path / "p.tgz", large()))
    found = library.source(URL)
    assert found is not None
    assert found.effort == 0  # an index finds its concepts
    assert found.count((), "", 10_000) == 6_000
    assert found.below("C4242", "C42")
    concept = found.find("c42")
    assert concept is not None
    assert (concept.code, concept.display) == ("C42", "Colour 42")
    assert library.engine().descendants(URL, "C42") == {
        "C42",
        *(f"C42{n}" for n in range(10)),
        *(f"C42{n:02}" for n in range(100)),
    }
    assert "concept" not in (library.find("CodeSystem", URL) or {"concept": 1})
    with removing(library, "example.colours"):
        pass
    assert library.source(URL) is None
    assert library.writable().execute("select count(*) from concept").fetchall() == [(0,)]


def test_a_large_code_system_is_replaced_with_its_package(library: Library, tmp_path: Path) -> None:
    install(library, package(tmp_path / "p.tgz", large()))
    install(library, package(tmp_path / "q.tgz", large(5_500)))
    found = library.source(URL)
    assert found is not None
    assert found.count((), "", 10_000) == 5_500
    assert library.writable().execute("select count(*) from concept").fetchall() == [(5_500,)]


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"expression": "((("}, ["expression"]),
        ({"expression": None}, ["expression"]),
        ({"code": "a b"}, ["code"]),
        ({"type": "special"}, ["special"]),
        ({"code": "gender", "expression": "Patient.gender"}, []),  # R4 has it
        ({}, []),
    ],
)
def test_a_search_parameter_that_is_of_no_use_is_told(
    library: Library, tmp_path: Path, more: dict[str, object], told: list[str]
) -> None:
    parameter = {
        "resourceType": "SearchParameter",
        "url": "http://example.org/eye",
        "name": "eye",
        "status": "active",
        "description": "The colour of the eyes.",
        "code": "eye",
        "base": ["Patient"],
        "type": "token",
        "expression": "Patient.extension('http://example.org/eye').value",
        **more,
    }
    report = install(library, package(tmp_path / "p.tgz", {k: v for k, v in parameter.items() if v is not None}))
    assert (report.refused, report.installed) == ([], {"SearchParameter": 1})
    assert len(report.unusable) == len(told)
    assert all(word in one.reason for word, one in zip(told, report.unusable, strict=True))
