# SPDX-License-Identifier: Apache-2.0
"""The FHIRPath subset of search parameters, and where its paths lead."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from salus.fhir.definitions import resource_types
from salus.fhir.search.expression import Step, parse
from salus.fhir.search.leaves import leaves
from salus.fhir.search.table import table
from salus.kernel.errors import Problem


def test_a_union_comes_out_as_its_branches() -> None:
    paths = parse("Claim.payee.party | (Observation.value as Quantity)")
    assert paths == (
        (Step("root", "Claim"), Step("field", "payee"), Step("field", "party")),
        (Step("root", "Observation"), Step("field", "value"), Step("as", "Quantity")),
    )


@pytest.mark.parametrize(
    "text",
    ["Observation.value as Quantity", "Observation.value.as(Quantity)", "Observation.value.ofType(Quantity)"],
)
def test_all_three_ways_to_name_a_type_mean_the_same(text: str) -> None:
    assert parse(text)[0][-1] == Step("as", "Quantity")


def test_filters_are_read() -> None:
    assert parse("Patient.telecom.where(system='phone')")[0][-1] == Step("where", "system", "phone")
    assert parse("Basic.subject.where(resolve() is Patient)")[0][-1] == Step("resolve", "Patient")
    assert parse("Bundle.entry[0].resource")[0][2] == Step("index", "0")


def test_there_and_not_false_is_one_step() -> None:
    (path,) = parse("Patient.deceased.exists() and Patient.deceased != false")
    assert path == (Step("root", "Patient"), Step("field", "deceased"), Step("exists-not-false"))


@pytest.mark.parametrize(
    "text",
    [
        *("", "Patient.", "Patient..name", "(Patient.name", "Patient.name)", "Patient.name.first()", "a + b"),
        *("Patient.name[x]", "Patient.x.where(y=1)", "Patient.x.exists() and Patient.y != false", "'x'", "A | "),
    ],
)
def test_what_lies_outside_the_subset_is_refused(text: str) -> None:
    with pytest.raises(Problem):
        parse(text)


@given(st.text(alphabet="Ab.()|='[]0 !as", max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(Problem):
        assert parse(text)


def test_every_shipped_expression_leads_somewhere() -> None:
    for found in table().parameters:
        paths = parse(found.expression) if found.expression else ()
        for base in set(found.base) & set(resource_types()):
            assert not paths or [leaf for path in paths for leaf in leaves(base, path)], (base, found.code)


def test_families_are_named_by_path_and_filter() -> None:
    def families(type_: str, text: str) -> set[str]:
        return {leaf.family for path in parse(text) for leaf in leaves(type_, path)}

    assert families("Observation", "Observation.component.code") == {"component.code"}
    assert families("Observation", "(Observation.effective as dateTime)") == {"effective"}
    assert families("Patient", "Patient.telecom.where(system='phone')") == {"telecom[system=phone]"}
    assert families("Patient", "Observation.code | Patient.active") == {"active"}
    assert families("InsurancePlan", "name | alias") == {"name", "alias"}
