# SPDX-License-Identifier: Apache-2.0
"""Merge patch: what RFC 7396 says of objects, and what becomes of the siblings of primitives."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from salus.fhir import json
from salus.fhir.patch.json_patch import clone
from salus.fhir.patch.merge_patch import apply, read
from salus.kernel.errors import Kind, Problem

JSON = dict[str, Any]
EXTENDED = {"extension": [{"url": "urn:x", "valueCode": "y"}]}


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [  # RFC 7396 appendix A, where target and patch are objects
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
        ({"a": "b"}, {"a": {"c": None, "d": 1}}, {"a": {"d": 1}}),
    ],
)
def test_the_rfc(target: JSON, patch: JSON, result: JSON) -> None:
    assert apply(target, read(patch)) == result


@pytest.mark.parametrize("patch", [["c"], None, "bar", 1, True, []])
def test_what_would_replace_the_whole_is_refused(patch: Any) -> None:
    with pytest.raises(Problem) as refused:
        read(patch)
    assert refused.value.kind is Kind.INCORRECT


@pytest.mark.parametrize(
    ("patch", "result"),
    [
        ({"birthDate": "1970-01-02"}, {"birthDate": "1970-01-02", "_birthDate": EXTENDED}),
        ({"birthDate": None}, {}),
        ({"birthDate": None, "_birthDate": {"id": "a"}}, {"_birthDate": {**EXTENDED, "id": "a"}}),
        ({"_birthDate": None}, {"birthDate": "1970"}),
        ({"birthDate": None, "_birthDate": None}, {}),
        ({"_birthDate": {"extension": None}}, {"birthDate": "1970", "_birthDate": {}}),
    ],
)
def test_the_sibling_of_a_value(patch: JSON, result: JSON) -> None:
    assert apply({"birthDate": "1970", "_birthDate": EXTENDED}, patch) == result


@pytest.mark.parametrize(
    ("patch", "result"),
    [
        ({"given": ["C"]}, {"given": ["C"]}),
        ({"given": None}, {}),
        ({"given": ["C"], "_given": [EXTENDED]}, {"given": ["C"], "_given": [EXTENDED]}),
        ({"given": [None, "C"], "_given": [EXTENDED, None]}, {"given": [None, "C"], "_given": [EXTENDED, None]}),
        ({"_given": None}, {"given": ["A", "B"]}),
    ],
)
def test_the_siblings_of_a_list_belong_to_its_items(patch: JSON, result: JSON) -> None:
    assert apply({"given": ["A", "B"], "_given": [None, EXTENDED]}, patch) == result


def test_null_is_no_value_inside_lists_either() -> None:
    assert apply({}, {"name": [{"family": "A", "given": None, "period": {"end": None}}]}) == {
        "name": [{"family": "A", "period": {}}]
    }


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc_"), inner, max_size=3),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.sampled_from(["a", "b", "_a", "_b", "c"]), VALUES, max_size=4)


@given(OBJECTS, OBJECTS)
def test_a_merge_patch_done_twice_is_done_once_and_touches_neither(document: JSON, patch: JSON) -> None:
    kept, sent = clone(document), clone(patch)
    once = apply(document, patch)
    assert apply(once, patch) == once
    assert (document, patch) == (kept, sent)


def test_digits_are_kept() -> None:
    patched = apply(json.decode(b'{"value":1.0}'), read(json.decode_any(b'{"value":1.10}')))
    assert json.encode(patched) == b'{"value":1.10}'
