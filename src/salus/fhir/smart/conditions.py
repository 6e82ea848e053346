# SPDX-License-Identifier: Apache-2.0
"""The part of a scope behind its question mark: search parameters that a record must fulfil.

Only plain parameters of the type that Salus can judge on the record alone: no modifiers, no chains, no `_has`, nothing
that shapes an answer (`_count`, `_include`, `_filter`). A list of values separated by commas is an OR, several
parameters are an AND, as in a search. https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html#finer-grained-resource-constraints-using-search-parameters
"""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import quote, unquote

from salus.fhir.search.clauses import Clause, DateValue
from salus.fhir.search.query import parse as parse_search
from salus.kernel.errors import Problem

Parameters = tuple[tuple[str, str], ...]

MOST = 8
"""Parameters in one scope."""

_KINDS = frozenset({"token", "reference", "date", "string", "uri", "number", "quantity"})
_NAME = re.compile(r"[a-z][A-Za-z0-9-]{0,63}")
# Signs that would begin something else where the value is written out again; a percent sign would be decoded twice.
_VALUE = re.compile(r"[^\x00-\x20\x7f-\uffff%&=?#\"\\]{1,1024}")
_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


@lru_cache(maxsize=1024)
def parameters(type_: str, query: str) -> Parameters:
    """Read what stands behind the question mark of a scope.

    Args:
        type_: resource type; `*` has no parameters in common.
        query: `name=value` pairs joined by `&`, values perhaps percent-encoded.

    Returns:
        The pairs, decoded and sorted; empty when they cannot all be enforced.
    """
    pairs = []
    for part in query.split("&"):
        name, _, raw = part.partition("=")
        value = unquote(raw)
        if not _NAME.fullmatch(name) or _ESCAPE.search(raw) or not _VALUE.fullmatch(value):
            return ()
        pairs.append((name, value))
    found = tuple(sorted(set(pairs)))
    return found if len(found) <= MOST and clauses(type_, found) else ()


@lru_cache(maxsize=1024)
def clauses(type_: str, pairs: Parameters) -> tuple[Clause, ...]:
    """The pairs as clauses of a search, all of which must hold; empty when one of them cannot be judged."""
    if type_ == "*":
        return ()
    try:
        query = parse_search(type_, pairs, now_ms=0)
    except Problem:
        return ()
    if not all(map(_fitting, query.clauses)) or len(query.clauses) != len(pairs) or query.joins or query.filters:
        return ()
    return query.clauses


def _fitting(clause: Clause) -> bool:
    """Whether a clause means the same whenever and for whomever it is asked; `ap` on a date depends on the day."""
    if clause.kind not in _KINDS or clause.modifier:
        return False
    return not any(isinstance(value, DateValue) and value.prefix == "ap" for value in clause.values)


def written(pairs: Parameters) -> str:
    """The pairs as they stand in a scope."""
    return "&".join(f"{name}={quote(value, safe=':/|,.-_~$*+@!')}" for name, value in pairs)
