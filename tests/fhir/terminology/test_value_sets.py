# SPDX-License-Identifier: Apache-2.0
"""Value sets: who is a member, and that listing and asking never disagree."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.definitions import ANIMALS, Held, animals, engine
from tests.support.packages import value_set

from salus.fhir.terminology.compose import read
from salus.fhir.terminology.expansion import Walk
from salus.fhir.terminology.membership import Membership
from salus.fhir.terminology.protocol import Cause, Coding
from salus.fhir.terminology.written import Asked, expand
from salus.kernel.errors import Kind, Problem

JSON = dict[str, Any]
URL = "http://example.org/vs"
CODES = ("animal", "mammal", "dog", "cat", "bird", "penguin", "dodo", "pets")


def filtered(property_: str, op: str, value: str) -> JSON:
    return {"system": ANIMALS, "filter": [{"property": property_, "op": op, "value": value}]}


def members(*include: JSON, **more: Any) -> set[str]:
    found = engine(animals(), value_set(URL, *include, **more)).members(URL)
    assert found is not None
    return {code for _, code in found}


@pytest.mark.parametrize(
    ("property_", "op", "value", "expected"),
    [
        ("concept", "is-a", "mammal", "mammal dog cat"),
        ("concept", "descendent-of", "mammal", "dog cat"),
        ("concept", "is-not-a", "mammal", "animal bird penguin dodo pets"),
        ("concept", "generalizes", "dog", "dog mammal animal"),
        ("concept", "child-of", "animal", "mammal bird"),
        ("concept", "descendent-leaf", "animal", "dog cat penguin dodo"),
        ("concept", "=", "dog", "dog"),
        ("concept", "in", "dog, cat", "dog cat"),
        ("concept", "not-in", "dog,cat,animal,mammal,bird", "penguin dodo pets"),
        ("code", "regex", "d.*", "dog dodo"),
        ("concept", "is-a", "unicorn", ""),
        ("legs", "=", "4", "dog cat"),
        ("legs", "in", "2,3", "penguin dodo"),
        ("legs", "not-in", "4", "animal mammal bird penguin dodo pets"),
        ("legs", "exists", "true", "dog cat penguin dodo"),
        ("legs", "exists", "false", "animal mammal bird pets"),
        ("legs", "regex", "[34]", "dog cat"),
        ("parent", "=", "bird", "penguin dodo"),
        ("child", "exists", "true", "animal mammal bird"),
        ("display", "regex", ".*o.*", "dog dodo"),
        ("inactive", "=", "true", "dodo"),
    ],
)
def test_filters(property_: str, op: str, value: str, expected: str) -> None:
    include = filtered(property_, op, value)
    asked = engine(animals(), value_set(URL, include))
    assert {code for code in CODES if asked.member_of(URL, ANIMALS, code)} == set(expected.split())
    assert members(include) == set(expected.split())


@pytest.mark.parametrize(
    ("property_", "op", "value"),
    [("colour", "=", "red"), ("concept", "sounds-like", "dog"), ("concept", "regex", "(a"), ("legs", "regex", "(?=a)")],
)
def test_a_filter_that_is_not_understood_makes_the_set_unusable(property_: str, op: str, value: str) -> None:
    asked = engine(animals(), value_set(URL, filtered(property_, op, value)))
    verdict = asked.validate_in_value_set(URL, Coding(ANIMALS, "dog"))
    assert (verdict.result, verdict.cause) == (None, Cause.BROKEN)
    assert asked.members(URL) is None
    with pytest.raises(Problem) as refused:
        expand(asked.membership, asked.membership.value_set(URL), Asked("urn:uuid:1", "2020"))  # type: ignore[arg-type]
    assert refused.value.kind is Kind.INVALID


def test_attack_a_pattern_that_explodes() -> None:
    system = animals(concept=[{"code": "a" * 60 + "!"}])
    asked = engine(system, value_set(URL, filtered("concept", "regex", "(a*)*b")))
    assert asked.member_of(URL, ANIMALS, "a" * 60 + "!") is False  # who goes back and tries again never ends


def test_includes_unite_and_what_one_says_intersects() -> None:
    birds = value_set("http://example.org/birds", filtered("concept", "descendent-of", "bird"))
    dogs = {"system": ANIMALS, "concept": [{"code": "dog"}]}
    both = {"system": ANIMALS, "valueSet": ["http://example.org/birds"], "concept": [{"code": "dodo"}, {"code": "dog"}]}
    asked = engine(animals(), birds, value_set(URL, dogs, both))
    assert asked.members(URL) == {(ANIMALS, "dog"), (ANIMALS, "dodo")}
    two = filtered("legs", "=", "2")
    two["filter"] += filtered("inactive", "=", "false")["filter"]
    assert members(two) == {"penguin"}


def test_excludes_take_away_at_the_end() -> None:
    set_ = value_set(URL, {"system": ANIMALS})
    set_["compose"]["exclude"] = [
        filtered("concept", "is-a", "bird"),
        {"system": ANIMALS, "concept": [{"code": "cat"}]},
    ]
    assert engine(animals(), set_).members(URL) == {(ANIMALS, c) for c in ("animal", "mammal", "dog", "pets")}


def test_a_set_may_leave_retired_codes_out() -> None:
    set_ = value_set(URL, filtered("concept", "is-a", "bird"))
    set_["compose"]["inactive"] = False
    asked = engine(animals(), set_)
    assert asked.members(URL) == {(ANIMALS, "bird"), (ANIMALS, "penguin")}
    assert asked.member_of(URL, ANIMALS, "dodo") is False


def test_a_circle_of_imports_is_refused_and_ends() -> None:
    first = value_set(URL, {"valueSet": ["http://example.org/second"]})
    second = value_set("http://example.org/second", {"valueSet": [URL]})
    asked = engine(animals(), first, second)
    verdict = asked.validate_in_value_set(URL, Coding(ANIMALS, "dog"))
    assert (verdict.result, verdict.cause) == (None, Cause.BROKEN)
    assert asked.members(URL) is None
    assert asked.member_of(URL, ANIMALS, "dog") is None


class Counted(Held):
    """Definitions that count how often a code system is asked for."""

    asked = 0

    def source(self, system: str, version: str = "") -> Any:
        self.asked += 1
        return super().source(system, version)


def test_attack_sets_that_import_the_same_set_twice_again_and_again_take_no_longer_for_it() -> None:
    """Each of fifteen sets imports the next one twice: 32,768 ways lead to the last."""
    last = value_set(f"{URL}/15", {"system": ANIMALS})
    way = [value_set(f"{URL}/{n}", *[{"valueSet": [f"{URL}/{n + 1}"]}] * 2) for n in range(15)]
    held = Counted(animals(), last, *way)
    membership = Membership(held)
    first = membership.value_set(f"{URL}/0")
    assert first is not None
    assert membership.contains(first, ANIMALS, "unicorn").result is False
    assert membership.contains(first, ANIMALS, "dog").result is True
    assert membership.systems(first) == [ANIMALS]
    assert {member.concept.code for member in Walk(membership, first).members()} == set(CODES)
    assert held.asked < 100


def test_a_set_that_was_sent_is_not_taken_for_the_one_of_its_name() -> None:
    kept = value_set(URL, {"system": ANIMALS, "concept": [{"code": "dog"}]})
    sent = read(value_set(URL, {"system": ANIMALS, "concept": [{"code": "cat"}]}))
    asked = engine(animals(), kept)
    assert asked.member_of(URL, ANIMALS, "cat") is False
    assert asked.membership.contains(sent, ANIMALS, "cat").result is True
    assert asked.member_of(URL, ANIMALS, "cat") is False


def _tree(entries: list[JSON]) -> JSON:
    return {entry["code"]: _tree(entry.get("contains", [])) for entry in entries}


def _nested(*resources: JSON, **more: Any) -> JSON:
    membership = Membership(Held(*resources))
    asked = Asked("urn:x", "2026-03-01T08:00:00Z", nested=True, **more)
    found = membership.value_set(URL)
    assert found is not None
    return dict(expand(membership, found, asked)["expansion"])


def test_codes_stand_below_those_above_them_when_a_tree_is_asked_for() -> None:
    whole = _nested(animals(), value_set(URL, {"system": ANIMALS}))
    below = {"animal": {"mammal": {"dog": {}, "cat": {}}, "bird": {"penguin": {}, "dodo": {}}}, "pets": {}}
    assert _tree(whole["contains"]) == below
    assert whole["total"] == len(CODES)
    assert {"name": "excludeNested", "valueBoolean": False} in whole["parameter"]


def test_a_code_whose_parent_is_no_member_stands_below_the_next_one_above() -> None:
    listed = {"system": ANIMALS, "concept": [{"code": code} for code in ("dog", "animal", "penguin")]}
    elsewhere = {"system": "http://elsewhere", "concept": [{"code": "dog"}]}
    expansion = _nested(animals(), value_set(URL, listed, elsewhere))
    assert [(entry["system"], entry["code"]) for entry in expansion["contains"]] == [
        (ANIMALS, "animal"),
        ("http://elsewhere", "dog"),
    ]
    assert _tree(expansion["contains"][0]["contains"]) == {"dog": {}, "penguin": {}}


def test_a_circle_in_the_hierarchy_loses_nobody() -> None:
    parent = {"code": "parent", "uri": "http://hl7.org/fhir/concept-properties#parent", "type": "code"}
    concepts = [{"code": a, "property": [{"code": "parent", "valueCode": b}]} for a, b in ("ab", "bc", "ca")]
    circle = {**animals(), "property": [parent], "concept": concepts}
    expansion = _nested(circle, value_set(URL, {"system": ANIMALS}))
    seen, left = [], list(expansion["contains"])
    while left:
        entry = left.pop()
        seen.append(entry["code"])
        left += entry.get("contains", [])
    assert sorted(seen) == ["a", "b", "c"]


@pytest.mark.parametrize("more", [{"count": 5}, {"offset": 1}, {"text": "dog"}])
def test_pages_and_what_is_searched_for_are_flat(more: JSON) -> None:
    expansion = _nested(animals(), value_set(URL, {"system": ANIMALS}), **more)
    assert all("contains" not in entry for entry in expansion["contains"])
    assert "excludeNested" not in {each["name"] for each in expansion["parameter"]}


def test_what_is_unknown_is_told_only_where_it_matters() -> None:
    elsewhere = {"system": "http://elsewhere"}
    asked = engine(animals(), value_set(URL, {"system": ANIMALS, "concept": [{"code": "dog"}]}, elsewhere))
    assert asked.member_of(URL, ANIMALS, "dog") is True
    assert asked.member_of(URL, ANIMALS, "cat") is False
    assert asked.member_of(URL, "http://elsewhere", "x") is None
    assert asked.members(URL) is None
    imported = engine(animals(), value_set(URL, {"valueSet": ["http://example.org/nowhere"]}))
    assert imported.validate_in_value_set(URL, Coding(ANIMALS, "dog")).cause is Cause.UNKNOWN_VALUE_SET


def test_a_listed_code_needs_no_system_here() -> None:
    listed = {"system": "http://elsewhere", "concept": [{"code": "1", "display": "One"}]}
    asked = engine(value_set(URL, listed))
    assert asked.validate_in_value_set(URL, Coding("http://elsewhere", "1", "one")).result is True
    assert asked.validate_in_value_set(URL, Coding("http://elsewhere", "1", "two")).cause is Cause.WRONG_DISPLAY
    assert asked.validate_in_value_set(URL, Coding("http://elsewhere", "2")).result is False


def test_an_expansion_that_came_along_helps_out() -> None:
    contains = [{"system": "http://elsewhere", "code": "1", "display": "One"}]
    whole = value_set(URL, {"system": "http://elsewhere"}, expansion={"total": 1, "contains": contains})
    asked = engine(whole)
    assert asked.member_of(URL, "http://elsewhere", "1") is True
    assert asked.member_of(URL, "http://elsewhere", "2") is False
    assert asked.members(URL) == {("http://elsewhere", "1")}
    part = engine(value_set(URL, {"system": "http://elsewhere"}, expansion={"total": 9, "contains": contains}))
    assert part.member_of(URL, "http://elsewhere", "1") is True
    assert part.member_of(URL, "http://elsewhere", "2") is None
    assert part.members(URL) is None


@pytest.mark.parametrize("part", [{}, {"concept": [{"code": "dog"}]}, {"version": "1"}])
def test_a_part_that_names_neither_system_nor_value_set_holds_nothing(part: JSON) -> None:
    asked = engine(animals(), value_set(URL, part))
    assert asked.member_of(URL, ANIMALS, "dog") is False
    assert asked.members(URL) == frozenset()


def test_what_has_only_an_extension_is_passed_over() -> None:
    odd = {
        "system": ANIMALS,
        "valueSet": [None],
        "_valueSet": [{"extension": []}],
        "concept": [{"_code": {"extension": []}}, {"code": "dog"}],
    }
    asked = engine(animals(), value_set(URL, odd))
    assert asked.members(URL) == {(ANIMALS, "dog")}


def test_a_set_that_does_not_say_what_is_in_it_is_unknown_not_empty() -> None:
    bare = {"resourceType": "ValueSet", "url": URL, "status": "active"}
    asked = engine(animals(), bare)
    assert asked.member_of(URL, ANIMALS, "dog") is None
    assert asked.members(URL) is None


def test_a_version_that_is_not_here_cannot_be_told() -> None:
    asked = engine(animals(), value_set(URL, {"system": ANIMALS}))
    assert asked.validate_in_value_set(URL, Coding(ANIMALS, "dog", "", "1")).result is True
    other = asked.validate_in_value_set(URL, Coding(ANIMALS, "dog", "", "2"))
    assert (other.result, other.cause) == (None, Cause.UNKNOWN_VERSION)


def test_a_bare_code_is_placed_by_the_value_set() -> None:
    asked = engine(animals(), value_set(URL, filtered("concept", "is-a", "mammal")))
    assert asked.validate_in_value_set(URL, Coding("", "dog"), infer_system=True).system == ANIMALS
    assert asked.validate_in_value_set(URL, Coding("", "bird"), infer_system=True).result is False
    assert asked.validate_in_value_set(URL, Coding("", "dog")).cause is Cause.NO_SYSTEM
    assert asked.member_of(URL, "", "dog") is True


def test_one_good_coding_of_several_is_enough() -> None:
    asked = engine(animals(), value_set(URL, filtered("concept", "is-a", "mammal")))
    assert asked.validate_any(URL, [Coding("http://elsewhere", "x"), Coding(ANIMALS, "dog")]).result is True
    assert asked.validate_any(URL, [Coding(ANIMALS, "bird")]).result is False
    assert asked.validate_any(URL, []).result is False


def test_attack_filling_the_memory_with_questions() -> None:
    asked = engine(animals(), value_set(URL, {"system": ANIMALS}))
    for number in range(3):
        long = "x" * 100_000 + str(number)
        assert asked.validate_in_system(Coding(ANIMALS, long, long)).result is False
        assert asked.member_of(URL, ANIMALS, long) is False
        assert asked.member_of(long, ANIMALS, "dog") is None
    held = {len(str(part)) for memory in (asked._answers, asked._verdicts, asked.membership._sets) for part in memory}
    assert max(held, default=0) < 5_000


# ── expansions ───────────────────────────────────────────────────────────────────────────────────────────────────────


def expanded(asked: Asked, *include: JSON, **more: Any) -> JSON:
    set_ = value_set(URL, *include, **more)
    membership = Membership(Held(animals(), set_))
    found = membership.value_set(URL)
    assert found is not None
    return expand(membership, found, asked)["expansion"]  # type: ignore[no-any-return]


def codes(expansion: JSON) -> list[str]:
    return [each["code"] for each in expansion.get("contains", ())]


def asked(**more: Any) -> Asked:
    return Asked("urn:uuid:1", "2020-01-01T00:00:00Z", **more)


@pytest.mark.parametrize("include", [[{"system": ANIMALS}], [{"system": ANIMALS}, filtered("concept", "is-a", "dog")]])
def test_pages_make_up_the_whole(include: list[JSON]) -> None:
    whole = expanded(asked(), *include)
    pages = [expanded(asked(offset=offset, count=3), *include) for offset in (0, 3, 6, 9)]
    assert [code for page in pages for code in codes(page)] == codes(whole)
    assert {page["total"] for page in pages} == {len(CODES)}
    assert expanded(asked(count=0), *include)["total"] == len(CODES)
    assert "contains" not in expanded(asked(count=0), *include)


def test_the_filter_takes_beginnings_of_words_in_any_name() -> None:
    assert codes(expanded(asked(text="hun"), {"system": ANIMALS})) == ["dog"]
    assert codes(expanded(asked(text="D"), {"system": ANIMALS})) == ["dog", "dodo"]
    assert codes(expanded(asked(text="og"), {"system": ANIMALS})) == []
    assert expanded(asked(text="d", count=1), {"system": ANIMALS})["total"] == 2


def test_retired_codes_and_groups_are_marked_and_may_be_left_out() -> None:
    found = {each["code"]: each for each in expanded(asked(), {"system": ANIMALS})["contains"]}
    assert found["dodo"]["inactive"] is True
    assert found["pets"]["abstract"] is True
    assert "dodo" not in codes(expanded(asked(active_only=True), {"system": ANIMALS}))
    assert "pets" not in codes(expanded(asked(exclude_not_for_ui=True), {"system": ANIMALS}))


def test_names_in_another_language() -> None:
    dog = expanded(asked(text="dog", language="de", include_designations=True), {"system": ANIMALS})["contains"][0]
    assert dog["display"] == "Hund"
    assert dog["designation"] == [{"value": "Hund", "language": "de"}]
    own = {"system": ANIMALS, "concept": [{"code": "dog", "display": "Good boy"}]}
    assert expanded(asked(), own)["contains"][0]["display"] == "Good boy"


def test_an_expansion_that_would_lack_something_is_refused_with_the_place() -> None:
    with pytest.raises(Problem) as refused:
        expanded(asked(), {"system": ANIMALS}, {"system": "http://elsewhere"})
    assert refused.value.kind is Kind.NOT_FOUND
    assert [issue.place for issue in refused.value.issues] == ["ValueSet.compose.include[1]"]


def test_more_codes_than_an_answer_holds_need_pages() -> None:
    many = animals(concept=[{"code": f"c{number}"} for number in range(5_001)])
    membership = Membership(Held(many, value_set(URL, {"system": ANIMALS})))
    found = membership.value_set(URL)
    assert found is not None
    with pytest.raises(Problem) as refused:
        expand(membership, found, asked())
    assert refused.value.kind is Kind.TOO_COSTLY
    assert expand(membership, found, asked(count=10))["expansion"]["total"] == 5_001


def test_attack_a_set_that_names_one_system_a_thousand_times() -> None:
    many = animals(concept=[{"code": f"c{number}"} for number in range(2_000)])
    part = {"system": ANIMALS, "filter": [{"property": "code", "op": "regex", "value": ".*x"}]}
    membership = Membership(Held(many, value_set(URL, *[part] * 1_000)))
    found = membership.value_set(URL)
    assert found is not None
    with pytest.raises(Problem) as refused:
        expand(membership, found, asked(count=10))
    assert refused.value.kind is Kind.TOO_COSTLY


# ── asking and listing agree ─────────────────────────────────────────────────────────────────────────────────────────

_FILTERS = st.sampled_from(
    [("concept", op, code) for op in ("is-a", "descendent-of", "is-not-a", "generalizes", "=") for code in CODES]
    + [("legs", "=", "4"), ("legs", "exists", "false"), ("concept", "in", "dog,bird"), ("concept", "regex", "[a-d].*")]
)
_LISTED = st.lists(st.sampled_from([*CODES, "unicorn"]), min_size=1, max_size=3, unique=True)
_IMPORTS = st.lists(st.sampled_from(["http://example.org/a", "http://example.org/b"]), max_size=2, unique=True)


@st.composite
def _parts(draw: st.DrawFn) -> JSON:
    part: JSON = {"system": ANIMALS}
    if draw(st.booleans()):
        part["concept"] = [{"code": code} for code in draw(_LISTED)]
    if draw(st.booleans()):
        part["filter"] = [filtered(*draw(_FILTERS))["filter"][0] for _ in range(draw(st.integers(1, 2)))]
    imports = draw(_IMPORTS)
    if imports:
        part["valueSet"] = imports
        if draw(st.booleans()):
            part = {"valueSet": imports}
    return part


@given(st.lists(_parts(), min_size=1, max_size=3), st.lists(_parts(), max_size=2))
def test_every_listed_code_is_a_member_and_no_other(include: list[JSON], exclude: list[JSON]) -> None:
    a = value_set("http://example.org/a", filtered("concept", "is-a", "mammal"))
    b = value_set(
        "http://example.org/b", filtered("legs", "exists", "true"), {"system": ANIMALS, "concept": [{"code": "pets"}]}
    )
    set_ = value_set(URL, *include)
    if exclude:
        set_["compose"]["exclude"] = exclude
    definitions = engine(animals(), a, b, set_)
    found = definitions.membership.value_set(URL)
    assert found is not None
    listed = [member.concept.code for member in Walk(definitions.membership, found).members()]
    assert len(listed) == len(set(listed))
    # A code that is listed by hand and unknown to its complete system cannot be chosen from a list.
    assert set(listed) - {"unicorn"} == {code for code in CODES if definitions.member_of(URL, ANIMALS, code)}
