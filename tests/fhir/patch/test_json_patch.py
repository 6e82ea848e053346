# SPDX-License-Identifier: Apache-2.0
"""JSON Patch: what RFC 6902 and RFC 6901 say, and what a patch must not be able to do."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from salus.fhir import json
from salus.fhir.patch.json_patch import MOST_OPERATIONS, apply, equal
from salus.kernel.errors import Kind, Problem

ANYTHING = json.decode(b'{"a":[1,{"b":2}],"n":1.10,"t":true,"":{"~/":"x"},"none":null}')


def op(name: str, path: Any, **more: Any) -> dict[str, Any]:
    return {"op": name, "path": path, **more}


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        (op("add", "/a/-", value=9), {"a": [1, {"b": 2}, 9]}),
        (op("add", "/a/0", value=9), {"a": [9, 1, {"b": 2}]}),
        (op("add", "/a/2", value=9), {"a": [1, {"b": 2}, 9]}),
        (op("add", "/a", value=None), {"a": None}),
        (op("add", "/a/1/b", value=3), {"a": [1, {"b": 3}]}),
        (op("remove", "/a/1/b"), {"a": [1, {}]}),
        (op("replace", "/a/1", value={}), {"a": [1, {}]}),
        (op("move", "/a/0", **{"from": "/a/1/b"}), {"a": [2, 1, {}]}),
        (op("move", "/a/1", **{"from": "/a/1"}), {"a": [1, {"b": 2}]}),
        (op("copy", "/a/1/c", **{"from": "/a/1"}), {"a": [1, {"b": 2, "c": {"b": 2}}]}),
        (op("replace", "", value={"x": 1}), {"x": 1}),
        (op("test", "", value={"a": [1, {"b": 2}]}), {"a": [1, {"b": 2}]}),
    ],
)
def test_operations(operation: dict[str, Any], expected: Any) -> None:
    assert apply({"a": [1, {"b": 2}]}, [operation]) == expected


@pytest.mark.parametrize(
    ("operation", "kind"),
    [
        (op("add", "/a/3", value=1), Kind.INVALID),
        (op("add", "/a/01", value=1), Kind.INVALID),
        (op("add", "/a/+1", value=1), Kind.INVALID),
        (op("add", "/a/x", value=1), Kind.INVALID),
        (op("add", "/n/x", value=1), Kind.INVALID),
        (op("remove", "/a/-"), Kind.INVALID),
        (op("remove", "/a/2"), Kind.INVALID),
        (op("remove", ""), Kind.INVALID),
        (op("remove", "/zz"), Kind.INVALID),
        (op("replace", "/zz", value=1), Kind.INVALID),
        (op("replace", "/a/-", value=1), Kind.INVALID),
        (op("move", "/a/1/b/c", **{"from": "/a/1"}), Kind.INVALID),
        (op("move", "/zz", **{"from": "/nothing"}), Kind.INVALID),
        (op("copy", "/zz", **{"from": "/nothing"}), Kind.INVALID),
        (op("test", "/zz", value=None), Kind.INVALID),
        (op("test", "/t", value=1), Kind.INVALID),
        (op("test", "/none", value=False), Kind.INVALID),
        (op("add", "a", value=1), Kind.INCORRECT),
        (op("add", "/~2", value=1), Kind.INCORRECT),
        (op("add", 5, value=1), Kind.INCORRECT),
        (op("add", "/x"), Kind.INCORRECT),
        (op("move", "/x"), Kind.INCORRECT),
        (op("merge", "/x", value=1), Kind.INCORRECT),
        ({"path": "/x"}, Kind.INCORRECT),
        ("add", Kind.INCORRECT),
    ],
)
def test_what_is_refused(operation: Any, kind: Kind) -> None:
    with pytest.raises(Problem) as caught:
        apply(ANYTHING, [operation])
    assert caught.value.kind is kind
    assert caught.value.issues[0].place.startswith("[0]")


@pytest.mark.parametrize("patch", [{}, "x", None, 5, {"op": "add"}])
def test_a_patch_is_an_array(patch: Any) -> None:
    with pytest.raises(Problem, match="cannot be read"):
        apply(ANYTHING, patch)


def test_numbers_are_equal_by_value_and_nothing_else_is() -> None:
    """RFC 6902 section 4.6; `true` is not 1, which Python would say."""
    assert apply(ANYTHING, [op("test", "/n", value=json.decode(b'{"x":1.1}')["x"])]) == ANYTHING
    assert equal(1, json.decode(b'{"x":1.0}')["x"])
    for one, other in ((True, 1), (False, 0), ("1", 1), (None, False), ([], {}), ([1], [1, 2]), ({"a": 1}, {})):
        assert not equal(one, other)
        assert not equal(other, one)
    assert equal({"a": [1, None]}, {"a": [1, None]})


def test_decimals_keep_their_digits() -> None:
    moved = apply(ANYTHING, [op("move", "/m", **{"from": "/n"}), op("copy", "/k", **{"from": "/m"})])
    assert json.encode({"m": moved["m"], "k": moved["k"]}) == b'{"m":1.10,"k":1.10}'


def test_neither_document_nor_patch_is_changed() -> None:
    before = json.encode(ANYTHING)
    patch = [op("add", "/v", value={"list": [1]}), op("add", "/v/list/-", value=2), op("remove", "/a/0")]
    sent = json.encode(patch)
    assert apply(ANYTHING, patch)["v"] == {"list": [1, 2]}
    assert apply(ANYTHING, patch)["v"] == {"list": [1, 2]}
    assert json.encode(ANYTHING) == before
    assert json.encode(patch) == sent


def test_copies_that_double_are_stopped() -> None:
    """Fifty of these would make 2^50 items."""
    doubling = [op("copy", "/a/-", **{"from": "/a"})] * 50
    with pytest.raises(Problem) as caught:
        apply({"a": [1]}, doubling)
    assert caught.value.kind is Kind.TOO_COSTLY


def test_nesting_beyond_reason_is_stopped() -> None:
    down = "/a" * 150
    deep: Any = {}
    for _ in range(180):
        deep = {"a": deep}
    with pytest.raises(Problem) as caught:
        apply(
            deep, [op("copy", down + "/b", **{"from": ""}), op("copy", down + "/b" + down + "/c", **{"from": ""})] * 9
        )
    assert caught.value.kind in {Kind.INVALID, Kind.TOO_COSTLY}


def test_too_many_operations_are_refused() -> None:
    with pytest.raises(Problem) as caught:
        apply({}, [op("test", "", value={})] * (MOST_OPERATIONS + 1))
    assert caught.value.kind is Kind.TOO_COSTLY


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=8,
)
documents = st.dictionaries(st.text(max_size=2), values, min_size=1, max_size=4)


@given(documents, values)
def test_adding_and_removing_gives_what_was_there(document: dict[str, Any], value: Any) -> None:
    free = "new"
    patch = [op("add", f"/{free}", value=value), op("test", f"/{free}", value=value), op("remove", f"/{free}")]
    document.pop(free, None)
    assert apply(document, patch) == document


@given(documents, st.lists(st.fixed_dictionaries({"op": st.text(max_size=7), "path": st.text()}) | values, max_size=3))
def test_anything_as_a_patch_is_carried_out_or_refused(document: dict[str, Any], patch: list[Any]) -> None:
    before = json.encode(document)
    with contextlib.suppress(Problem):
        apply(document, patch)
    assert json.encode(document) == before
