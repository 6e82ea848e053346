# SPDX-License-Identifier: Apache-2.0
"""A terminology that knows nothing says so to every question, and never "no"."""

from __future__ import annotations

from salus.fhir.terminology.protocol import (
    Canonicals,
    Cause,
    Coding,
    NoCanonicals,
    Nothing,
    Subsumption,
    Terminology,
)

SYSTEM, SET = "http://example.org/colours", "http://example.org/vs/warm"


def test_knowing_nothing_is_never_a_no() -> None:
    nothing: Terminology = Nothing()
    coding = Coding(SYSTEM, "red")
    assert nothing.validate_in_system(coding).result is None
    assert nothing.validate_in_value_set(SET, coding).cause is Cause.UNKNOWN_VALUE_SET
    assert nothing.validate_any(SET, [coding]).result is None
    assert nothing.member_of(SET, SYSTEM, "red") is None
    assert nothing.subsumes(SYSTEM, "red", "red") is Subsumption.UNKNOWN
    assert nothing.descendants(SYSTEM, "red") is None
    assert nothing.ancestors(SYSTEM, "red") is None
    assert nothing.members(SET) is None


def test_no_canonicals_finds_nothing() -> None:
    nothing: Canonicals = NoCanonicals()
    assert nothing.find("ValueSet", SET) is None
    assert list(nothing.all("ValueSet")) == []
