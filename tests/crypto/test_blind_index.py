# SPDX-License-Identifier: Apache-2.0
"""The blind index: whatever matches is found, and tokens say nothing across families, types and tenants."""

from __future__ import annotations

import unicodedata
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from salus.crypto import blind_index
from salus.crypto.blind_index import BlindIndex, fold

INDEX = BlindIndex(bytes(range(32)))
LOINC, SNOMED = "http://loinc.org", "http://snomed.info/sct"
DAY = 86_400_000
NAMES = st.text(alphabet="abcdeéÉßİŁñ -'2", max_size=30)


def tokens(*row: Any, type_: str = "Observation", index: BlindIndex = INDEX) -> set[str]:
    return index.tokens(type_, [row], frozenset())


def test_tokens_are_sixteen_hexadecimal_digits() -> None:
    found = tokens("code", "token", LOINC, "8480-6")
    assert len(found) == 3  # type, code, system and code
    for token in found:
        assert len(token) == 16
        assert set(token) <= set("0123456789abcdef")


def test_every_record_carries_the_token_of_its_type() -> None:
    assert INDEX.tokens("Patient", [], frozenset()) == {INDEX.type_term("Patient")}
    assert INDEX.type_term("Patient") != INDEX.type_term("Person")


def test_tokens_do_not_change_between_releases() -> None:
    assert INDEX.token_terms("Observation", "code", LOINC, "8480-6") == ["9b13e87a3b4d3b83"]
    assert INDEX.type_term("Patient") == "815241fa2f973e3f"


def test_a_code_is_found_with_and_without_its_system() -> None:
    found = tokens("code", "token", LOINC, "8480-6")
    assert found.issuperset(INDEX.token_terms("Observation", "code", LOINC, "8480-6"))
    assert found.issuperset(INDEX.token_terms("Observation", "code", None, "8480-6"))
    assert found.issuperset(INDEX.token_terms("Observation", "code", "", "8480-6"))
    assert found.isdisjoint(INDEX.token_terms("Observation", "code", SNOMED, "8480-6"))
    assert found.isdisjoint(INDEX.token_terms("Observation", "code", LOINC, "8462-4"))


def test_references_identifiers_and_uris_are_found() -> None:
    assert tokens("subject", "reference", "Patient/1").issuperset(
        INDEX.reference_terms("Observation", "subject", "Patient/1")
    )
    found = tokens("subject", "identifier", "urn:mrn", "42")
    assert found.issuperset(INDEX.identifier_terms("Observation", "subject", "urn:mrn", "42"))
    assert found.issuperset(INDEX.identifier_terms("Observation", "subject", None, "42"))
    assert found.isdisjoint(INDEX.identifier_terms("Observation", "subject", "urn:other", "42"))
    assert tokens("url", "uri", "http://x.example/a").issuperset(
        INDEX.uri_terms("Observation", "url", "http://x.example/a")
    )


def test_families_in_skip_are_not_indexed() -> None:
    rows = [("status", "token", "", "final"), ("code", "token", LOINC, "8480-6")]
    assert INDEX.tokens("Observation", rows, {"status"}) == tokens(*rows[1])


def test_a_row_of_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="kind"):
        tokens("code", "picture", "x")


# ── strings ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("  Renée   O'Brien ", "renee o'brien"),
        ("STRASSE", "strasse"),
        ("Straße", "strasse"),
        ("İzmir", "izmir"),
    ],
)
def test_folding(text: str, folded: str) -> None:
    assert fold(text) == folded


@given(st.text(max_size=40))
def test_folding_twice_changes_nothing_more(text: str) -> None:
    once = fold(text)
    assert fold(unicodedata.normalize("NFC", once)) == fold(once)


@given(NAMES, NAMES)
def test_a_string_is_found_by_the_start_of_any_word(value: str, asked: str) -> None:
    terms = INDEX.string_terms("Patient", "name.family", asked)
    starts = fold(value).startswith(fold(asked)) or f" {fold(asked)}" in f" {fold(value)}"
    if starts and terms is not None:
        assert tokens("name.family", "string", value, type_="Patient").intersection(terms)


@given(NAMES, st.integers(0, 29), st.integers(2, 29))
def test_a_string_is_found_by_any_of_its_own_starts(value: str, start: int, length: int) -> None:
    words = fold(value).split()
    asked = " ".join(words[start % max(len(words), 1) :])[:length]
    terms = INDEX.string_terms("Patient", "name.family", asked)
    if terms is not None:
        assert tokens("name.family", "string", value, type_="Patient").intersection(terms)


def test_a_string_that_does_not_start_so_is_not_a_candidate() -> None:
    terms = INDEX.string_terms("Patient", "name.family", "mart")
    assert terms is not None
    assert tokens("name.family", "string", "Smith-Martinez", type_="Patient").isdisjoint(terms)


def test_a_text_too_short_for_the_index_is_reported() -> None:
    for text in ("", " ", "m", " é ", "a b"):
        assert INDEX.string_terms("Patient", "name.family", text) is None


def test_a_whole_string_is_found_whole_only() -> None:
    terms = INDEX.string_terms("Patient", "name.family", "garcía", whole=True)
    assert terms is not None
    assert tokens("name.family", "string", "Garcia", type_="Patient").issuperset(terms)
    assert tokens("name.family", "string", "Garcias", type_="Patient").isdisjoint(terms)


def test_attack_flood_the_index_with_a_huge_text() -> None:
    text = " ".join(f"word{number:05d}" for number in range(50_000))
    found = tokens("description", "string", text, type_="Questionnaire")
    assert len(found) < 64 * 11 + 4
    terms = INDEX.string_terms("Questionnaire", "description", "word49999")  # beyond what is indexed one by one
    assert terms is not None
    assert found.intersection(terms)


# ── dates and numbers ────────────────────────────────────────────────────────────────────────────────────


@given(st.integers(-(10**11), 4 * 10**12), st.sampled_from([1, 1_000, 60_000, DAY, 45 * DAY]), st.integers(-3, 3))
def test_dates_are_found(moment: int, length: int, days: int) -> None:
    low = moment - moment % length
    found = tokens("effective", "date", low, low + length)
    since, until = low + days * DAY, low + (days + 1) * DAY
    truth = {"ge": low + length > since, "le": low < until, "ap": low < until and low + length > since}
    for prefix, matches in truth.items():
        clauses = INDEX.date_terms("Observation", "effective", prefix, since, until)
        assert clauses is not None
        if matches:
            assert all(found.intersection(any_of) for any_of in clauses)


def test_ne_cannot_use_the_index() -> None:
    assert INDEX.date_terms("Observation", "effective", "ne", 0, DAY) is None


@given(
    st.decimals(-1000, 1000, places=2),
    st.decimals(-1000, 1000, places=2),
    st.sampled_from(["number", "quantity"]),
)
def test_numbers_are_found(value: Decimal, bound: Decimal, kind: str) -> None:
    found = tokens("value", kind, value, "http://unitsofmeasure.org", "mg", "mg", float(value) / 1000, "g")
    above = INDEX.number_terms("Observation", "value", bound, None)
    below = INDEX.number_terms("Observation", "value", None, bound)
    assert found.intersection(above if value >= bound else below)
    assert found.intersection(INDEX.number_terms("Observation", "value", value, value))
    if kind == "quantity":
        limits = (bound / 1000, None) if value >= bound else (None, bound / 1000)
        assert found.intersection(INDEX.base_terms("Observation", "value", "g", *limits))
        assert not found.intersection(INDEX.base_terms("Observation", "value", "m", None, None))


def test_words_are_found_however_many_there_are() -> None:
    few = INDEX.words("Observation", "_content", ["asthma"], ["ward7", "7"], str.split)
    many = INDEX.words("Observation", "_content", [], [f"word{number}" for number in range(1000)], str.split)
    for word in ("asthma", "ward7"):
        asked = INDEX.word_terms("Observation", "_content", word)
        assert asked is not None
        assert few.intersection(asked)
    rare = INDEX.word_terms("Observation", "_content", "word999")
    assert rare is not None
    assert many.intersection(rare)
    assert not few.intersection(rare)
    assert len(many) < 500
    assert INDEX.word_terms("Observation", "_content", "7") is None


def test_names_are_found_by_their_sound() -> None:
    found = tokens("name[sound]", "sound", frozenset({"mr", "at"}), type_="Patient")
    assert found.issuperset(INDEX.sound_terms("Patient", "name[sound]", ["mr", "at"]))
    assert not found.intersection(INDEX.sound_terms("Patient", "name[sound]", ["xmt"]))


# ── what tokens must not say ─────────────────────────────────────────────────────────────────────────────


def test_the_same_value_has_other_tokens_in_other_families_types_and_tenants() -> None:
    row = ("token", LOINC, "8480-6")
    sets = [
        tokens("code", *row),
        tokens("component.code", *row),
        tokens("code", *row, type_="Condition"),
        tokens("code", *row, index=BlindIndex(bytes(32))),
    ]
    type_token = INDEX.type_term("Observation")
    for number, one in enumerate(sets):
        for other in sets[number + 1 :]:
            assert one & other <= {type_token}


def test_attack_shift_letters_between_system_and_code() -> None:
    assert tokens("code", "token", "urn:a", "bc") & tokens("code", "token", "urn:ab", "c") == {
        INDEX.type_term("Observation")
    }
    assert tokens("code", "token", "", "5:urn:abc").isdisjoint(INDEX.token_terms("Observation", "code", "urn:a", "bc"))


def test_attack_one_kind_of_value_posing_as_another() -> None:
    kinds: list[tuple[Any, ...]] = [
        ("value", "token", "", "Patient/1"),
        ("value", "reference", "Patient/1"),
        ("value", "identifier", "", "Patient/1"),
        ("value", "string", "Patient/1"),
        ("value", "uri", "Patient/1"),
    ]
    seen: set[str] = set()
    for row in kinds:
        found = tokens(*row) - {INDEX.type_term("Observation")}
        assert found.isdisjoint(seen)
        seen |= found


def test_the_cache_is_bounded_and_forgets_nothing_that_matters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blind_index, "_CACHED", 50)
    small = BlindIndex(bytes(range(32)))
    for number in range(200):
        row = ("code", "token", LOINC, str(number))
        assert tokens(*row, index=small) == tokens(*row) == tokens(*row, index=small)
        assert sum(len(f.known) for families in small._types.values() for f in families.values()) <= 50


def test_identifiers_and_names_are_not_kept_in_memory() -> None:
    index = BlindIndex(bytes(32))
    rows = [
        ("identifier", "token", "urn:mrn", "MRN-77"),
        ("telecom[system=phone]", "token", "phone", "555-0100"),
        ("subject", "reference", "Patient/secret-77"),
        ("name.family", "string", "Featherstonehaugh"),
    ]
    index.tokens("Patient", rows, frozenset())
    kept = repr([f.known for families in index._types.values() for f in families.values()])
    for row in rows:
        assert row[-1] not in kept
