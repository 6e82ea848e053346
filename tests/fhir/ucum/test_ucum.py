# SPDX-License-Identifier: Apache-2.0
"""Units: what codes mean, what is comparable, and that no code can be made costly."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from salus.fhir.ucum import canonical, scale
from salus.fhir.ucum.table import table


@pytest.mark.parametrize(
    ("value", "code", "base", "unit"),
    [
        ("1", "g/L", "1000", "g.m-3"),
        ("100", "mg/dL", "1000", "g.m-3"),
        ("185", "[lb_av]", "83914.58845", "g"),
        ("1", "wk", "604800", "s"),
        ("120", "mm[Hg]", "15998640", "g.m-1.s-2"),
        ("37", "Cel", "310.15", "K"),
        ("98.6", "[degF]", "310.15", "K"),
        ("0", "[degRe]", "273.15", "K"),
        ("72", "{beats}/min", "1.2", "s-1"),
        ("5", "%", "0.05", "1"),
        ("4.5", "10*6/uL", "4500000000000000", "m-3"),
        ("1", "[IU]/L", "1000", "[iU].m-3"),
        ("1.0", "kg.m/s2", "1000", "g.m.s-2"),
        ("1", "kg/(m.s2)", "1000", "g.m-1.s-2"),
        ("1", "mmol/L", "602214076000000000000000", "m-3"),
        ("7.40", "[pH]", "7.4", "[pH]"),
        ("1", "dB", "0.1", "B"),
        ("2", "m2.m-2", "2", "1"),
        ("3", "{score}", "3", "1"),
        ("60", "mL/min/{1.73_m2}", "0.000001", "m3.s-1"),
        ("8", "g/(8.h){shift}", "0.000277777777777777777777777777777777777777777777", "g.s-1"),
    ],
)
def test_a_quantity_in_base_units(value, code, base, unit):
    number, found = canonical(Decimal(value), code)
    assert found == unit
    assert abs(number - Decimal(base)) <= abs(number) * Decimal("1e-39")


@pytest.mark.parametrize(
    "code",
    ["", "mg/", "mmHg", "day", "lbs", "Cel/min", "m[", "(m", "m)", "10*999", "m..s", "µg", "m ", "0", "{", "m--1"],
)
def test_what_is_no_code_has_no_base_units(code):
    assert canonical(Decimal(1), code) is None


def test_arbitrary_units_are_comparable_only_with_themselves():
    assert scale("[iU]").dimension != scale("[arb'U]").dimension
    assert scale("k[iU]/mL").dimension == scale("[IU]/L").dimension


def test_every_unit_of_the_table_has_a_scale():
    assert [code for code in table().units if scale(code) is None] == []


def test_numbers_beyond_any_measurement_are_refused_at_once():
    assert canonical(Decimal("1e999999"), "g") is None
    assert canonical(Decimal("NaN"), "g") is None


@pytest.mark.parametrize("code", ["(" * 100, "10*99." * 30 + "m", "m" * 200, "{" * 200])
def test_attack_no_code_is_costly(code):
    assert scale(code) is None or len(str(scale(code).multiplier)) < 4000


@given(st.text(alphabet="mgLsKCl10*^[]{}()./+-%'_iU", max_size=30))
def test_any_text_is_answered(text):
    found = canonical(Decimal("1.5"), text)
    assert found is None or isinstance(found[0], Decimal)


@given(st.decimals(-(10**6), 10**6, places=4), st.sampled_from(["mg/dL", "[lb_av]", "mm[Hg]", "Cel", "10*3/uL"]))
def test_base_units_are_a_fixed_point(value, code):
    number, unit = canonical(value, code)
    assert canonical(number, unit) == (number, unit)
