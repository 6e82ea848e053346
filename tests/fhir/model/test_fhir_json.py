# SPDX-License-Identifier: Apache-2.0
"""Strict JSON: what comes in exactly goes out, and what is ambiguous does not come in."""

from __future__ import annotations

from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from salus.fhir.json import decode, decode_apart, decode_in_steps, encode
from salus.kernel.errors import Kind, Problem

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**40), 10**40),
    st.decimals(allow_nan=False, allow_infinity=False).filter(lambda d: abs(d.adjusted()) < 5000),
    st.text(st.characters(exclude_categories=["Cs"])),
)
KEYS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
OBJECTS = st.dictionaries(
    KEYS,
    st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4)),
    max_size=5,
)


def refused(raw: bytes) -> Problem:
    with pytest.raises(Problem) as caught:
        decode(raw)
    assert caught.value.kind is Kind.INCORRECT
    assert [issue.code for issue in caught.value.issues] == ["structure"]
    return caught.value


@given(OBJECTS)
def test_everything_that_can_be_written_reads_back_equal(value: dict[str, object]) -> None:
    assert decode(encode(value)) == value


@pytest.mark.parametrize(
    "text", ["1.10", "1.0", "0.00", "-0.0", "100.000", "12345678901234567890.12345678901234567890"]
)
def test_decimals_keep_their_digits(text: str) -> None:
    assert encode(decode(f'{{"v":{text}}}'.encode())) == f'{{"v":{text}}}'.encode()


def test_exponents_keep_value_and_precision() -> None:
    for text in ("1E+3", "1.0e-7", "12.50E2", "1e400", "1e-400"):
        first = decode(f'{{"v":{text}}}'.encode())["v"]
        assert first == Decimal(text)
        assert first.as_tuple() == Decimal(text).as_tuple()
        assert Decimal(decode(encode({"v": first}))["v"]).as_tuple() == first.as_tuple()


def test_escapes_and_astral_characters_survive() -> None:
    raw = rb'{"v":"\u0000\n\"\\\ud83d\ude00"}'
    assert decode(encode(decode(raw))) == {"v": '\x00\n"\\\U0001f600'}


@pytest.mark.parametrize(
    "raw",
    [
        b'{"status":"final","status":"entered-in-error"}',
        b'{"\\u0061":1,"a":2}',
        b'{"v":{"a":1,"a":1}}',
    ],
)
def test_attack_duplicate_names_that_two_parsers_read_differently(raw: bytes) -> None:
    assert "twice" in refused(raw).issues[0].text


def test_attack_nesting_deep_enough_to_exhaust_the_stack() -> None:
    assert "nesting" in refused(b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}").issues[0].text


@pytest.mark.parametrize("digits", [b"9" * 5000, b"1e99999999999999999999", b"1e-99999999999999999999"])
def test_attack_number_that_costs_more_to_read_than_to_send(digits: bytes) -> None:
    refused(b'{"v":' + digits + b"}")


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b" ",
        b"{",
        b'{"a":1}x',
        b'\xef\xbb\xbf{"a":1}',
        b'{"a":"\xff"}',
        b'{"a":"\\ud800"}',
        b'{"a":"\x01"}',
        b'{"a":NaN}',
        b'{"a":-Infinity}',
        b"{'a':1}",
        b'{"a":01}',
        b'{"a":1.}',
        b'{"a":1,}',
        b'/* */{"a":1}',
        b'{"a":1}\x00',
    ],
)
def test_broken_json_is_refused(raw: bytes) -> None:
    refused(raw)


@pytest.mark.parametrize(("raw", "kind"), [(b"[]", "array"), (b'"x"', "string"), (b"1", "number"), (b"null", "null")])
def test_only_an_object_may_stand_at_the_top(raw: bytes, kind: str) -> None:
    assert kind in refused(raw).issues[0].text


def test_refusal_gives_line_and_column_but_no_content() -> None:
    problem = refused(b'{"a":1,\n "secretname":2,"secretname":3}')
    assert "line 2 column" in problem.issues[0].text
    assert "secretname" not in problem.public + problem.detail + problem.issues[0].text


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_but_a_problem(raw: bytes) -> None:
    with suppress(Problem):
        decode(raw)


def in_steps(raw: bytes) -> Any:
    decoding = decode_in_steps(raw)
    while True:
        try:
            next(decoding)
        except StopIteration as done:
            return done.value


json_like = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.decimals(allow_nan=False, allow_infinity=False, places=3)
    | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "entry", ""]), inner),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from(["a", "entry", "type"]), json_like), st.sampled_from(["", " ", "\n\t"]))
def test_decoding_in_steps_gives_the_same(document: dict[str, Any], space: str) -> None:
    raw = encode(document).replace(b":[", b":" + space.encode() + b"[")
    assert in_steps(raw) == decode(raw)


@pytest.mark.parametrize(
    "raw",
    [
        b'{"entry":[1],"entry":[2]}',
        b'{"a":1,"a":2,"entry":[]}',
        b'{"entry":[{"a":1,"a":2}]}',
        b'{"entry":[1,]}',
        b'{"entry":[01]}',
        b'{"entry":[NaN]}',
        b'{"entry":[1]} x',
        b'{"entry":["\xff"]}',
        b'{"\xff":1,"entry":[]}',
        b'{"entry":["\\ud800"]}',
        b'{"entry":[' + b"[" * 300 + b"]" * 300 + b"]}",
        b'{"entry":',
        b"[]",
        b"",
    ],
)
def test_decoding_in_steps_refuses_in_the_same_words(raw: bytes) -> None:
    with pytest.raises(Problem) as whole:
        decode(raw)
    with pytest.raises(Problem) as steps:
        in_steps(raw)
    assert steps.value.issues == whole.value.issues


def test_an_array_that_stands_there_twice_is_not_mixed_up() -> None:
    raw = b'{"a":[1,2],"entry":[1,2]}'
    assert in_steps(raw) == {"a": [1, 2], "entry": [1, 2]}


brought = st.dictionaries(st.sampled_from(["a", "resource", "entry"]), json_like, max_size=3)
entry_like = st.fixed_dictionaries({}, optional={"a": brought, "resource": brought | json_like, "b": json_like})


@given(st.lists(entry_like, max_size=4), st.sampled_from(["", " ", "\n\t"]))
def test_resources_taken_out_of_a_bundle_are_those_that_were_in_it(entries: list[dict[str, Any]], space: str) -> None:
    raw = encode({"a": {"resource": 0}, "entry": entries, "type": "x"}).replace(b":", b":" + space.encode())
    apart = decode_apart(raw)
    if apart is None:  # whoever asked decodes it in one piece
        return
    bundle, texts = apart
    for entry, text in zip(bundle["entry"], texts, strict=True):
        if text:
            entry["resource"] = decode(text)
    assert bundle == decode(raw)


def test_resources_of_an_ordinary_bundle_are_taken_out() -> None:
    apart = decode_apart(b'{"type":"transaction","entry":[{"fullUrl":"u","resource" : {"a":1.10}},{"request":{}}]}')
    assert apart == (
        {"type": "transaction", "entry": [{"fullUrl": "u", "resource": 0}, {"request": {}}]},
        [b'{"a":1.10}', b""],
    )


@pytest.mark.parametrize(
    "raw",
    [
        b'{"entry":[{"resource":{"a":1},"resource":{"a":1}}]}',
        b'{"entry":[{"resource":{"a":1}}],"entry":[]}',
        b'{"entry":[{"a":{"resource":{"a":1}},"resource":{"a":1}}]}',
        b'{"entry":[{"a":{"resource":{"b":1}},"resource":{"a":1}}]}',
        b'{"entry":[{"resource":0}]}',
        b'{"entry":[{"resource":true},{"resource":true}]}',
        b'{"entry":[{"resource":null}]}',
        b'{"entry":[{"resource":[]}]}',
        b'{"entry":[1]}',
        b'{"entry":{}}',
        b'{"a":[{"resource":{}}]}',
        b'{"entry":[{"resource":{"a":1}}]} x',
        b'{"entry":[{"resource":{"a":1]}}]}',
        b"[]",
        b"",
    ],
)
def test_whatever_is_out_of_the_ordinary_is_not_taken_apart(raw: bytes) -> None:
    assert decode_apart(raw) is None
