# SPDX-License-Identifier: Apache-2.0
"""JSON Pointer (RFC 6901): reading one, and finding the place it names in a decoded document."""

from __future__ import annotations

import re
from typing import Any

from salus.fhir.patch.wording import does_not_fit, malformed

_INDEX = re.compile(r"0|[1-9][0-9]{0,8}")  # RFC 6901 section 4: ASCII digits, no leading zeros
_BROKEN_ESCAPE = re.compile(r"~(?![01])")
END = "-"
"""The place after the last item of an array."""

Tokens = tuple[str, ...]


def parse(text: str, place: str) -> Tokens:
    """Take a pointer apart.

    Args:
        text: the pointer, such as `/name/0/given`.
        place: where it stands, for the error.

    Raises:
        Problem: INCORRECT when it is not a JSON Pointer.
    """
    if not text:
        return ()
    if text[0] != "/" or _BROKEN_ESCAPE.search(text):
        raise malformed("A path must be a JSON Pointer, such as /name/0/family.", place)
    # `~1` first: `~01` means `~1` and not `/` (RFC 6901 section 4)
    return tuple(token.replace("~1", "/").replace("~0", "~") for token in text[1:].split("/"))


def get(document: Any, tokens: Tokens, place: str) -> Any:
    """The value at a place.

    Raises:
        Problem: INVALID when there is none.
    """
    node = document
    for token in tokens:
        if isinstance(node, dict):
            if token not in node:
                raise does_not_fit("There is no value at this path.", place)
            node = node[token]
        elif isinstance(node, list):
            node = node[index(token, len(node) - 1, place)]
        else:
            raise does_not_fit("There is no value at this path.", place)
    return node


def index(token: str, last: int, place: str) -> int:
    """Position in an array.

    Raises:
        Problem: INVALID when it is not a position, or greater than `last`.
    """
    if not _INDEX.fullmatch(token) or int(token) > last:
        raise does_not_fit("The array has no such position.", place)
    return int(token)
