# SPDX-License-Identifier: Apache-2.0
"""A thief with the page key tells nothing about codes of few values from the index that Salus keeps."""

from __future__ import annotations

import pytest
from bench import thief
from bench.leakage import Clinic, Indexing, by_chance, with_everything, with_words

CHANCE = 0.02
"""How much luck may add to always guessing the commonest."""


@pytest.mark.parametrize("leaky", [with_everything, with_words], ids=["everything is indexed", "only the words are"])
def test_attack_codes_of_few_values_are_no_better_than_guessed(leaky: Indexing) -> None:
    for result in by_chance(1_000, seed=3, before=leaky):
        before, after = result.company
        what = result.attribute.name
        assert before > 0.95, what  # the thief is able: such an index gives them away
        assert after <= result.floor + CHANCE, what
        assert result.frequency[1] <= result.floor + CHANCE, what


def test_the_thief_reads_the_tokens_of_every_record_in_the_stolen_file() -> None:
    stolen = Clinic(patients=2, seed=3)
    assert all(row.tokens for row, _ in stolen.truth)
    patients = [each for row, each in stolen.truth if each["resourceType"] == "Patient"]
    assert len(patients) == 2
    conditions = [(row.tokens, each) for row, each in stolen.truth if each["resourceType"] == "Condition"]
    for code in {each["code"]["text"] for _, each in conditions}:
        same = [tokens for tokens, each in conditions if each["code"]["text"] == code]
        others = [tokens for tokens, each in conditions if each["code"]["text"] != code]
        # Equal codes share tokens that no other code has: this is what an index by equality says.
        assert frozenset.intersection(*same) - frozenset().union(*others)


def test_matching_finds_values_by_their_frequency() -> None:
    stolen = ["x"] * 6 + ["y"] * 3 + ["z"]
    known = ["common"] * 50 + ["rare"] * 5 + ["middling"] * 20
    assert thief.by_rank(stolen, known) == {"x": "common", "y": "middling", "z": "rare"}


def test_company_tells_apart_what_frequency_cannot() -> None:
    # `a` and `b` are equally frequent, but only `b` stands beside the commoner `c`.
    known = [frozenset("a")] * 10 + [frozenset("bc")] * 10 + [frozenset("c")] * 20
    names = {"a": "1", "b": "2", "c": "3"}
    stolen = [frozenset(names[each] for each in row) for row in reversed(known)]
    own = ["only a" if "a" in row else "with b" if "b" in row else "only c" for row in known]
    matching = thief.by_company(thief.groups(stolen), thief.groups(known))
    assert thief.guesses(matching, len(stolen), own) == list(reversed(own))
