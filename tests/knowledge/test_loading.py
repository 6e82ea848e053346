# SPDX-License-Identifier: Apache-2.0
"""Loading LOINC, SNOMED CT and RxNorm from releases with invented content, and asking the tables."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support import releases
from tests.support.definitions import ANIMALS, animals

from salus.fhir.terminology.code_system import ResourceSystem
from salus.fhir.terminology.protocol import Cause, Coding, Subsumption
from salus.fhir.terminology.source import CodeSource, Filter
from salus.kernel.db import FileLock
from salus.kernel.errors import Kind, Problem
from salus.knowledge.library import Library
from salus.knowledge.loading import loinc, rxnorm, snomed
from salus.knowledge.loading.files import release
from salus.knowledge.loading.loading import About, loading, unload


def key() -> bytearray:
    return bytearray(b"k" * 32)


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    opened = Library(tmp_path / "knowledge.db", key)
    yield opened
    opened.close()


def load(library: Library, tmp_path: Path, reader: ModuleType, path: Path, version: str = "") -> About:
    with release(path) as files:
        about: About = reader.about(files, version)
        with loading(library, about, 1_700_000_000_000, lambda *_: None) as into:
            reader.load(files, into)
            into.finish()
    return about


def source(library: Library, url: str) -> CodeSource:
    found = library.source(url)
    assert found is not None
    return found


def codes(found: CodeSource, *conditions: tuple[str, str, str], text: str = "") -> list[str]:
    filters = [Filter(*condition) for condition in conditions]
    listed = [concept.code for concept in found.select(filters, text)]
    assert found.count(filters, text, 1_000) == len(listed)
    assert [each.code for each in found.select(filters, text, 1)] == listed[1:]
    return listed


@pytest.mark.parametrize("packed", [False, True])
def test_loinc(library: Library, tmp_path: Path, packed: bool) -> None:
    path = releases.loinc(tmp_path / "release")
    path = releases.zipped(path, tmp_path / "Loinc_9.99.zip") if packed else path
    assert load(library, tmp_path, loinc, path) == About("http://loinc.org", "9.99", "LOINC", True)
    found = source(library, "http://loinc.org")
    sparkle = found.find("90001-1")
    assert sparkle is not None
    assert sparkle.display == 'Sparkle, "total" in dust'
    assert [name.value for name in sparkle.designations] == ["Sparkle Qn"]
    assert {(each.code, each.value) for each in sparkle.properties} >= {("SCALE_TYP", "Qn"), ("CLASSTYPE", "1")}
    deprecated = found.find("90002-9")
    assert deprecated is not None
    assert not deprecated.active
    assert found.below("90001-1", "LP90000-3")
    assert found.ancestors("90001-1") == {"LP90001-1", "LP90000-3"}
    assert codes(found, ("SCALE_TYP", "=", "Qn")) == ["90001-1"]
    assert set(codes(found, ("ancestor", "=", "LP90000-3"))) == {"LP90001-1", "90001-1", "90002-9"}
    assert codes(found, ("ancestor", "=", "LP90000-3"), ("inactive", "=", "false"), text="spark dust") == ["90001-1"]
    assert codes(found, text="a lot") == ["LA9002-9"]
    answer = found.find("LA9001-1")
    assert answer is not None
    assert answer.display == "A little"


def test_snomed(library: Library, tmp_path: Path) -> None:
    about = load(library, tmp_path, snomed, releases.snomed(tmp_path / "release"))
    assert about.version == "http://snomed.info/sct/900000000000207008/version/20250101"
    found = source(library, "http://snomed.info/sct")
    ball = found.find("103")
    assert ball is not None
    assert ball.display == "Shiny ball"
    assert "Shiny ball (thing)" in [name.value for name in ball.designations]
    retired = found.find("104")
    assert retired is not None
    assert not retired.active
    assert set(codes(found, ("concept", "is-a", "100"))) == {"100", "101", "102", "103"}
    assert codes(found, ("concept", "in", "900")) == ["103"]
    assert codes(found, ("363698007", "=", "900")) == ["103"]
    engine = library.engine()
    assert engine.subsumes("http://snomed.info/sct", "102", "103") is Subsumption.SUBSUMES
    assert engine.validate_in_system(Coding("http://snomed.info/sct", "103", "Shiny bally")).result is True
    assert engine.validate_in_system(Coding("http://snomed.info/sct", "999")).cause is Cause.UNKNOWN_CODE
    assert found.fits(ball, Filter("concept", "in", "900"))
    assert not found.fits(retired, Filter("concept", "in", "900"))


def test_rxnorm(library: Library, tmp_path: Path) -> None:
    assert load(library, tmp_path, rxnorm, releases.rxnorm(tmp_path / "release")).version == "01062025"
    found = source(library, "http://www.nlm.nih.gov/research/umls/rxnorm")
    tablet = found.find("2")
    assert tablet is not None
    assert tablet.display == "glimmerol 5 MG Oral Tablet"
    assert "glim 5 tablets" in [name.value for name in tablet.designations]
    assert codes(found, ("TTY", "in", "IN,BN")) == ["1"]
    assert codes(found, ("has_ingredient", "=", "1")) == ["2"]
    assert codes(found, ("STY", "=", "T200")) == ["2"]
    assert found.find("4") is None
    assert [concept.code for concept in found.select((), "") if not concept.active] == ["3"]
    assert library.engine().subsumes(found.url, "1", "2") is Subsumption.UNKNOWN


def test_the_small_release_inside_the_large_one_is_not_taken(library: Library, tmp_path: Path) -> None:
    path = releases.rxnorm(tmp_path / "release")
    inner = path / "prescribe" / "rrf"
    inner.mkdir(parents=True)
    (inner / "RXNCONSO.RRF").write_text("", "utf-8")
    load(library, tmp_path, rxnorm, path)
    assert source(library, rxnorm.URL).find("2") is not None


def test_another_process_sees_it_when_it_is_whole(library: Library, tmp_path: Path) -> None:
    other = Library(tmp_path / "knowledge.db", key)
    with release(releases.snomed(tmp_path / "release")) as files:
        about = snomed.about(files)
        with loading(library, about, 1, lambda *_: None) as into:
            snomed.load(files, into)
            other.refresh()
            assert other.source(about.url, about.version) is None
            into.finish()
    other.refresh()
    assert other.source(about.url, about.version) is not None
    other.close()


def test_the_newest_version_is_meant_and_the_same_one_is_replaced(library: Library, tmp_path: Path) -> None:
    load(library, tmp_path, loinc, releases.loinc(tmp_path / "a", "9.99"))
    load(library, tmp_path, loinc, releases.loinc(tmp_path / "b", "9.100"))
    load(library, tmp_path, loinc, releases.loinc(tmp_path / "a", "9.99"))
    assert source(library, "http://loinc.org").version == "9.100"
    assert library.source("http://loinc.org", "9.99") is not None
    db = library.writable()
    assert db.execute("select count(*) from system").fetchall() == [(2,)]
    assert unload(library, "http://loinc.org", "9.100") == ["9.100"]
    assert source(library, "http://loinc.org").version == "9.99"
    unload(library, "http://loinc.org", "")
    assert library.source("http://loinc.org") is None
    for table in ("concept", "designation", "property", "parent", "ancestry", "system"):
        assert db.execute(f"select count(*) from {table}").fetchall() == [(0,)], table
    with pytest.raises(Problem):
        unload(library, "http://loinc.org", "")


def test_an_interrupted_load_leaves_the_former_version_in_force(library: Library, tmp_path: Path) -> None:
    load(library, tmp_path, snomed, releases.snomed(tmp_path / "a"))

    def stop(what: str, _: int) -> None:
        if what == "properties":
            raise KeyboardInterrupt

    with release(releases.snomed(tmp_path / "b")) as files:
        about = snomed.about(files)
        with pytest.raises(KeyboardInterrupt), loading(library, about, 1, stop) as into:
            snomed.load(files, into)
    assert source(library, about.url).find("103") is not None
    assert library.writable().execute("select count(*) from system").fetchall() == [(1,)]


def test_what_a_killed_load_left_is_cleared_by_the_next(library: Library, tmp_path: Path) -> None:
    db = library.writable()
    db.execute(
        "insert into system(id,url,version,name,is_a,folds,complete,first,last,ready,loaded_ms)"
        " values(7,'http://snomed.info/sct','x','x',1,0,1,0,0,0,0)"
    )
    db.execute("insert into concept(system,code,display,definition,active,abstract) values(7,'1','','',1,0)")
    load(library, tmp_path, snomed, releases.snomed(tmp_path / "a"))
    assert db.execute("select count(*) from concept where system=7").fetchall() == [(0,)]


def test_one_load_at_a_time(library: Library, tmp_path: Path) -> None:
    lock = FileLock(tmp_path / "knowledge.lock")
    assert lock.try_enter()
    with pytest.raises(Problem) as refused:
        load(library, tmp_path, snomed, releases.snomed(tmp_path / "a"))
    assert refused.value.kind is Kind.CONFLICT
    lock.__exit__()
    lock.close()


def test_a_hierarchy_that_goes_round_is_refused(library: Library, tmp_path: Path) -> None:
    with pytest.raises(Problem, match="circle"):
        load(library, tmp_path, snomed, releases.snomed(tmp_path / "a", circle=True))
    assert (library.source("http://snomed.info/sct") is None) or not source(library, "http://snomed.info/sct").complete


@pytest.mark.parametrize("reader", [loinc, snomed, rxnorm])
def test_files_of_another_form_are_refused_in_words(library: Library, tmp_path: Path, reader: ModuleType) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "readme.txt").write_text("nothing")
    (tmp_path / "bad.zip").write_bytes(b"no zip")
    for path in (tmp_path / "other", tmp_path / "bad.zip"):
        with pytest.raises(Problem) as refused:
            load(library, tmp_path, reader, path, "1")
        assert refused.value.kind is Kind.INCORRECT


@pytest.mark.parametrize("body", [b"A,B\n1,2\n", b'"LOINC_NUM"\n"x"\n', b"LOINC_NUM,LONG_COMMON_NAME\n\xff,x\n"])
def test_a_broken_table_is_refused_and_nothing_stays(library: Library, tmp_path: Path, body: bytes) -> None:
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "Loinc.csv").write_bytes(body)
    with pytest.raises(Problem):
        load(library, tmp_path, loinc, tmp_path / "r", "1.0")
    assert library.source("http://loinc.org") is None


# ── in memory and in tables it is the same ───────────────────────────────────────────────────────────────────────────

_CODES = ("animal", "mammal", "dog", "cat", "bird", "penguin", "dodo", "pets", "unicorn")
_TRUTH = ("true", "false")
_FILTER = st.one_of(
    st.tuples(
        st.sampled_from(["concept", "code"]),
        st.sampled_from(["is-a", "descendent-of", "is-not-a", "=", "generalizes", "child-of", "descendent-leaf"]),
        st.sampled_from(_CODES),
    ),
    st.tuples(st.just("concept"), st.sampled_from(["in", "not-in"]), st.sampled_from(["dog", "dog, bird", "unicorn"])),
    st.tuples(st.just("legs"), st.sampled_from(["=", "in", "not-in"]), st.sampled_from(["2", "4", "2,4", "9"])),
    st.tuples(
        st.sampled_from(["legs", "inactive", "parent", "child"]), st.just("exists"), st.sampled_from(["true", "false"])
    ),
    st.tuples(st.just("inactive"), st.just("="), st.sampled_from(_TRUTH)),
    st.tuples(st.just("concept"), st.just("regex"), st.sampled_from(["d.*", ".*o", "x"])),
    st.tuples(st.sampled_from(["parent", "child"]), st.just("="), st.sampled_from(_CODES)),
)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[CodeSource, CodeSource]]:
    """The same system in memory and in tables."""
    folder = tmp_path_factory.mktemp("both")
    library = Library(folder / "knowledge.db", lambda: None)
    memory = ResourceSystem(animals())
    concepts = list(memory.select((), ""))
    with loading(library, About(ANIMALS, "1", "Animals", True), 1, lambda *_: None) as into:
        into.concepts((c.code, c.display, c.definition, c.active, c.abstract) for c in concepts)
        into.designations((c.code, d.value, d.language, "") for c in concepts for d in c.designations)
        into.properties(
            (c.code, p.code, str(p.value).lower() if p.type == "boolean" else str(p.value), p.type)
            for c in concepts
            for p in c.properties
        )
        into.parents((c.code, parent) for c in concepts for parent in memory.neighbours(c.code)[0])
        into.finish()
    tables = library.source(ANIMALS)
    assert tables is not None
    yield memory, tables
    library.close()


@given(st.lists(_FILTER, max_size=3), st.sampled_from(["", "d", "dog", "hun", "pen guin", "%", "*"]))
def test_tables_answer_as_memory_does(
    both: tuple[CodeSource, CodeSource], conditions: list[tuple[str, str, str]], text: str
) -> None:
    memory, tables = both
    filters = [Filter(*condition) for condition in conditions]
    expected = {concept.code for concept in memory.select(filters, text)}
    assert {concept.code for concept in tables.select(filters, text)} == expected
    assert tables.count(filters, text, 100) == len(expected)
    for code in _CODES:
        concept = tables.find(code)
        assert concept == memory.find(code)
        if concept is not None and not text:
            assert all(tables.fits(concept, each) for each in filters) is (code in expected)


@pytest.mark.parametrize(
    "condition", [("colour", "=", "red"), ("concept", "sounds-like", "dog"), ("legs", "sounds-like", "4")]
)
def test_a_filter_that_is_not_understood_is_refused_by_tables_too(
    both: tuple[CodeSource, CodeSource], condition: tuple[str, str, str]
) -> None:
    for each in both:
        with pytest.raises(Problem) as refused:
            list(each.select([Filter(*condition)], ""))
        assert refused.value.kind is Kind.INVALID
