# SPDX-License-Identifier: Apache-2.0
"""JSON Patch (RFC 6902), complete, over our decoded tree: decimals keep their digits.

Own work, because the libraries for Python compare `true` with `1` as equal, read pointers loosely, and put no bound on
`copy`, with which a patch of fifty operations can ask for a petabyte.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final

from salus.fhir import json
from salus.fhir.patch import pointer
from salus.fhir.patch.pointer import END, Tokens
from salus.fhir.patch.wording import does_not_fit, malformed, too_much

MOST_OPERATIONS: Final = 5_000
MOST_COPIED: Final = 4 * 1024 * 1024
"""Bytes of JSON that all `copy` operations of a patch may add together."""


def apply(document: Any, operations: Any) -> Any:
    """Carry out a JSON Patch.

    Args:
        document: the decoded document; it is not changed.
        operations: the decoded patch.

    Returns:
        The patched document.

    Raises:
        Problem: INCORRECT when the patch cannot be read; INVALID when a path leads nowhere or a `test` fails, in the
            same words whatever the document holds; TOO_COSTLY above the bounds. Places are `[i].path` and the like.
    """
    if not isinstance(operations, list):
        raise malformed("A JSON Patch is an array of operations.", "")
    if len(operations) > MOST_OPERATIONS:
        raise too_much(f"A patch may have {MOST_OPERATIONS} operations.")
    try:
        patched = _Patched(clone(document))
        for number, operation in enumerate(operations):
            _carry_out(patched, operation, f"[{number}]")
    except RecursionError:  # copies into copies nest deeper than anything that can be kept
        raise does_not_fit("The patch would nest values too deeply.", "") from None
    return patched.document


def clone(value: Any) -> Any:
    """A copy that shares nothing that can change."""
    if isinstance(value, dict):
        return {name: clone(inner) for name, inner in value.items()}
    return [clone(inner) for inner in value] if isinstance(value, list) else value


def touched(operations: Any) -> list[Tokens]:
    """The places that the operations of a patch that was carried out wrote to."""
    places = [pointer.parse(one["path"], "") for one in operations if one["op"] != "test"]
    return places + [pointer.parse(one["from"], "") for one in operations if one["op"] == "move"]


class _Patched:
    """A document on its way through a patch."""

    def __init__(self, document: Any) -> None:
        self.document = document
        self._room = MOST_COPIED

    def parent(self, tokens: Tokens, place: str) -> Any:
        node = pointer.get(self.document, tokens[:-1], place)
        if not isinstance(node, dict | list):
            raise does_not_fit("There is no value at this path.", place)
        return node

    def add(self, tokens: Tokens, value: Any, place: str) -> None:
        """Section 4.1: set a member, insert into an array, or replace the whole."""
        if not tokens:
            self.document = value
            return
        node, last = self.parent(tokens, place), tokens[-1]
        if isinstance(node, dict):
            node[last] = value
        else:
            node.insert(len(node) if last == END else pointer.index(last, len(node), place), value)

    def remove(self, tokens: Tokens, place: str) -> Any:
        """Section 4.2; gives what was there."""
        if not tokens:
            raise does_not_fit("The whole resource cannot be removed; delete it instead.", place)
        node, last = self.parent(tokens, place), tokens[-1]
        if isinstance(node, list):
            return node.pop(pointer.index(last, len(node) - 1, place))
        if last not in node:
            raise does_not_fit("There is no value at this path.", place)
        return node.pop(last)

    def replace(self, tokens: Tokens, value: Any, place: str) -> None:
        """Section 4.3: the target must be there, and keeps its position."""
        pointer.get(self.document, tokens, place)
        if not tokens:
            self.document = value
            return
        node, last = self.parent(tokens, place), tokens[-1]
        node[int(last) if isinstance(node, list) else last] = value

    def copied(self, tokens: Tokens, place: str) -> Any:
        """Section 4.5: another of what is at a place, as long as there is room."""
        value = pointer.get(self.document, tokens, place)
        self._room -= len(json.encode(value))
        if self._room < 0:
            raise too_much("The copies that the patch makes are too large.")
        return clone(value)


def _carry_out(patched: _Patched, operation: Any, at: str) -> None:
    if not isinstance(operation, dict):
        raise malformed("An operation is an object with op and path.", at)
    name = operation.get("op")
    place = f"{at}.path"
    tokens = _pointer(operation, "path", at)
    match name:
        case "add":
            patched.add(tokens, _value(operation, at), place)
        case "remove":
            patched.remove(tokens, place)
        case "replace":
            patched.replace(tokens, _value(operation, at), place)
        case "move":
            source = _pointer(operation, "from", at)
            if source != tokens and tokens[: len(source)] == source:
                raise does_not_fit("A value cannot be moved into itself.", place)
            pointer.get(patched.document, source, f"{at}.from")
            if source != tokens:
                patched.add(tokens, patched.remove(source, f"{at}.from"), place)
        case "copy":
            patched.add(tokens, patched.copied(_pointer(operation, "from", at), f"{at}.from"), place)
        case "test":
            if not equal(pointer.get(patched.document, tokens, place), _value(operation, at)):
                raise does_not_fit("The value at this path is not the one that is tested for.", place)
        case _:
            raise malformed("op must be add, remove, replace, move, copy or test.", f"{at}.op")


def _pointer(operation: dict[str, Any], name: str, at: str) -> Tokens:
    text = operation.get(name)
    if not isinstance(text, str):
        raise malformed(f"The operation needs {name}, a JSON Pointer.", f"{at}.{name}")
    return pointer.parse(text, f"{at}.{name}")


def _value(operation: dict[str, Any], at: str) -> Any:
    if "value" not in operation:
        raise malformed("The operation needs a value.", f"{at}.value")
    return clone(operation["value"])  # a patch is tried again after a race, and must not change meanwhile


def equal(one: Any, other: Any) -> bool:
    """Equality of section 4.6: numbers by value, objects without order, and nothing equals another type."""
    if isinstance(one, dict):
        return (
            isinstance(other, dict)
            and one.keys() == other.keys()
            and all(equal(value, other[name]) for name, value in one.items())
        )
    if isinstance(one, list):
        return _equal_lists(one, other)
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, int | Decimal):
        return isinstance(other, int | Decimal) and one == other
    return type(one) is type(other) and bool(one == other)


def _equal_lists(one: Sequence[Any], other: Any) -> bool:
    return isinstance(other, list) and len(one) == len(other) and all(map(equal, one, other))
