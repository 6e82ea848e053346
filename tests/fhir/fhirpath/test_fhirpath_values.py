# SPDX-License-Identifier: Apache-2.0
"""Values of FHIRPath: dates and their arithmetic, quantities, conversions, numbers, texts, three-valued logic."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from salus.fhir.fhirpath import compile  # noqa: A004
from salus.kernel.errors import Problem


def said(text: str) -> list[str]:
    """What an expression finds, as texts."""
    return [str(value) for value in compile(text).values([])]


CASES = {
    # dates: https://hl7.org/fhirpath/N1/#datetime-arithmetic
    "@2020-01-31 + 1 month": ["2020-02-29"],
    "@2020-02-29 + 1 year": ["2021-02-28"],
    "@2020-03-31 - 1 month": ["2020-02-29"],
    "@2014 + 24 months": ["2016"],
    "@2014 + 365 days": ["2015"],
    "@2014-03 + 31 days": ["2014-04"],
    "@2019-03-01 - 24 hours": ["2019-02-28"],
    "@2020-12-31T23:59:59.5Z + 0.6 seconds": ["2021-01-01T00:00:00.1Z"],
    "@2020-01-01T10:30+02:00 + 90 minutes": ["2020-01-01T12:00+02:00"],
    "@T23:30 + 90 minutes": ["01:00"],
    "@T00:00:30 - 1 minute": ["23:59:30"],
    "@9999-12-31 + 1 day": [],
    "@0001-01-01 - 1 day": [],
    "@2020 + 1000000000000 years": [],
    # comparison: https://hl7.org/fhirpath/N1/#comparison
    "@2020-01-01T00:30+01:00 < @2020-01-01T00:00Z": ["True"],
    "@2020-01 < @2020-01-15": [],
    "@2020-01 < @2020-02-15": ["True"],
    "@2020-01-01 < @2020-01-03T10:00:00Z": ["True"],
    "@2020-01-01T10:00:00 = @2020-01-01T10:00:00Z": [],
    "@2020-01-01T10:00:00 < @2020-01-03T10:00:00Z": ["True"],
    "@T10:00 = @2020": ["False"],
    "@2020-01-01 ~ @2020-01-01T": ["True"],
    "(@2020 | @2020-01).count()": ["2"],
    "(@2020-01-01T10:00:00Z | @2020-01-01T11:00:00+01:00).count()": ["1"],
    "@2020-06-30T23:59:60Z": ["2020-06-30T23:59:59Z"],
    # quantities
    "1 'kg' + 1 'g'": ["1001 'g'"],
    "3 'km' / 2 'h' = 1.5 'km/h'": ["True"],
    "37 'Cel' = 310.15 'K'": ["True"],
    "98.6 '[degF]' = 37 'Cel'": ["True"],
    "1 'mg' = 1 'mL'": [],
    "1 'mg' ~ 1 'mL'": ["False"],
    "1 'mg' < 1 'mL'": [],
    "1 '[iU]/L' = 1 '/L'": [],
    "1 year = 12 months": ["True"],
    "1 year = 1 'a'": [],
    "1 year ~ 1 'a'": ["True"],
    "2 hours = 120 'min'": ["True"],
    "1 '1' = 1": ["True"],
    "(1 'g' | 1000 'mg' | 1 'mL').count()": ["2"],
    "'5 days'.toQuantity()": ["5 days"],
    "1.5 'g'.toQuantity('mg')": ["1500 'mg'"],
    "1 'g'.toQuantity('mL')": [],
    "5 'mg' - {}": [],
    # conversion
    "'Yes'.toBoolean()": ["True"],
    "'0.0'.toBoolean()": ["False"],
    "'2147483648'.toInteger()": [],
    "1.50.toString()": ["1.50"],
    "true.toDecimal()": ["1"],
    "'2020-02-30'.toDate()": [],
    "@2020-02-29T10:00:00Z.toDate()": ["2020-02-29"],
    "'T10:30'.toTime()": ["10:30"],
    "'24:00'.convertsToTime()": ["False"],
    "'1e5'.toDecimal()": [],
    # numbers
    "2147483647 + 1": [],
    "-7 div 2": ["-3"],
    "-7 mod 2": ["-1"],
    "7.5 mod -2": ["1.5"],
    "1 / 3 * 3 ~ 1": ["True"],
    "2.power(0.5) > 1.41421356 and 2.power(0.5) < 1.41421357": ["True"],
    "2.power(31)": [],
    "2.5.round()": ["3"],
    "(-2.5).round()": ["-3"],
    "1000.log(10)": ["3"],
    "0.ln()": [],
    "10.exp() > 22026": ["True"],
    # texts
    "'p\\eter'": ["peter"],
    "'a\\u0062c'": ["abc"],
    "'abcabc'.lastIndexOf('b')": ["4"],
    "'Jane Doe'.replaceMatches('(?P<a>\\\\w+) (\\\\w+)', '$2, ${a}')": ["Doe, Jane"],
    "'a\\nb'.matches('a.b')": ["True"],
    "'&<>'.escape('html').unescape('html')": ["&<>"],
    "'x'.encode('nonsense')": [],
    "'a,b'.split(',').join('-')": ["a-b"],
    "('b' | 'a').join()": ["ba"],
    # collections
    "(1 | 2 | 3).where($index > 0)": ["2", "3"],
    "(1 | 2).select($this * 2).aggregate($total + $this, 10)": ["16"],
    "(3 | 1 | 2).sort(-$this)": ["3", "2", "1"],
    "(1 | 2).combine(2 | 3).exclude(2)": ["1", "3"],
    "({} | 1).single()": ["1"],
    "{}.all(false)": ["True"],
    "{}.allTrue() and {}.isDistinct()": ["True"],
    "(1 | 2 | 3)[5]": [],
    "1.is(System.Integer) and 'a' is String and 1 'g' is Quantity": ["True"],
    "1.type().baseType": ["System.Any"],
}


@pytest.mark.parametrize(("text", "expected"), CASES.items())
def test_an_expression_has_its_value(text, expected):
    assert said(text) == expected


SENSELESS = [
    *("1 + 'a'", "'a' < 1", "true + 1", "@T10:00 + 1 day", "@2020 + 1 'mg'", "(1 | 2) + 1", "'a'.abs()", "1.length()"),
    *("-'a'", "(1|2).toString()", "'zz'.decode('hex')", "'%'.decode('base64')", "1.round(99)", "1.substring(1)"),
    "true < false",
]


@pytest.mark.parametrize("text", SENSELESS)
def test_what_makes_no_sense_is_a_problem(text):
    with pytest.raises(Problem):
        compile(text).evaluate([])


LOGIC = {"true": True, "false": False, "{}": None}


def known(left: bool | None, right: bool | None, rule) -> bool | None:
    """Three-valued logic from the two-valued: the answer that every reading of an unknown gives, if there is one."""
    answers = {rule(a, b) for a in ([left] if left is not None else [True, False])
               for b in ([right] if right is not None else [True, False])}  # fmt: skip
    return answers.pop() if len(answers) == 1 else None


@pytest.mark.parametrize("left", LOGIC)
@pytest.mark.parametrize("right", LOGIC)
def test_logic_answers_wherever_the_unknown_does_not_matter(left, right):
    rules = {
        "and": lambda a, b: a and b,
        "or": lambda a, b: a or b,
        "xor": lambda a, b: a is not b,
        "implies": lambda a, b: not a or b,
    }
    for operator, rule in rules.items():
        expected = known(LOGIC[left], LOGIC[right], rule)
        assert compile(f"{left} {operator} {right}").values([]) == ([] if expected is None else [expected]), operator


NUMBERS = st.decimals(-1000, 1000, places=3)


@given(NUMBERS, NUMBERS)
def test_arithmetic_is_that_of_exact_decimals(a, b):
    assert compile(f"({a}) + ({b})").values([]) == [a + b]
    assert compile(f"({a}) * ({b})").values([]) == [a * b]
    assert compile(f"({a}) < ({b})").values([]) == [a < b]
    if b:
        whole, rest = compile(f"(({a}) div ({b})) | {{}}").values([]), compile(f"({a}) mod ({b})").values([])
        assert whole[0] * b + rest[0] == a


@given(st.dates(), st.integers(-20_000, 20_000))
def test_days_go_there_and_back(day, count):
    moved = compile(
        f"@{day} + {count} days - {count} days" if count >= 0 else f"@{day} - {-count} days + {-count} days"
    )
    assert [str(value) for value in moved.values([])] in ([str(day)], [])


@given(NUMBERS.filter(bool))
def test_a_value_lies_between_its_boundaries(number):
    found = compile(f"(({number}).lowBoundary() < ({number})) and (({number}) < ({number}).highBoundary())")
    assert found.values([]) == [True]


@given(st.text(alphabet='ab"\\/\n\t&<>é', max_size=12))
def test_what_is_escaped_and_encoded_comes_back(text):
    for form in ("json", "html"):
        assert compile(f"$this.escape('{form}').unescape('{form}')").values(text) == [text]
    for form in ("hex", "base64", "urlbase64"):
        assert compile(f"$this.encode('{form}').decode('{form}')").values(text) == [text]


def test_a_product_out_of_range_is_empty():
    assert compile("$this * $this").values(Decimal("9e600")) == []
    assert compile("$this.power(3)").values(2_000_000_000) == []
