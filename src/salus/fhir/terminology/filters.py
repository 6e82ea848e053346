# SPDX-License-Identifier: Apache-2.0
"""What a filter of a value set means for one concept (https://hl7.org/fhir/R4/valueset-filter-operator.html).

`concept` (and `code`) is the concept itself and its place in the hierarchy; `parent`, `child`, `display`, `definition`
and `designation` are what every system has; anything else must be a property of the system. What is not understood is
refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from salus.fhir.terminology.patterns import pattern
from salus.fhir.terminology.source import CodeSource, Concept, Filter, as_text, listed, unknown_filter

SELF = frozenset({"concept", "code"})
ALWAYS = frozenset({"parent", "child", "display", "definition", "designation", "inactive", "notSelectable", "abstract"})


def fits(source: CodeSource, concept: Concept, condition: Filter, known: Iterable[str]) -> bool:
    """Whether a concept passes a filter.

    Args:
        known: codes of the properties that the system declares or uses.

    Raises:
        Problem: INVALID for an operator or property that the system does not have, or a pattern that is none.
    """
    if condition.property in SELF:
        return _by_place(source, concept, condition)
    if condition.property not in ALWAYS and condition.property not in known:
        raise unknown_filter(condition)
    values = _values(source, concept, condition.property)
    return _by_values(source, values, condition)


def _by_place(source: CodeSource, concept: Concept, condition: Filter) -> bool:
    test = _PLACES.get(condition.op)
    if test is not None:
        return test(source, concept.code, _written(source, condition.value))
    if condition.op == "regex":
        return pattern(condition.value).fits(concept.code)
    if condition.op in {"in", "not-in"}:
        return (concept.code in {_written(source, one) for one in listed(condition.value)}) is (condition.op == "in")
    if condition.op == "exists":
        return condition.value == "true"
    raise unknown_filter(condition)


def _written(source: CodeSource, code: str) -> str:
    found = source.find(code)
    return found.code if found is not None else code


_PLACES: dict[str, Callable[[CodeSource, str, str], bool]] = {
    "=": lambda source, code, other: code == other,
    "is-a": lambda source, code, other: code == other or source.below(code, other),
    "descendent-of": lambda source, code, other: source.below(code, other),
    "is-not-a": lambda source, code, other: code != other and not source.below(code, other),
    "generalizes": lambda source, code, other: code == other or source.below(other, code),
    # Of later versions, and met in R4 value sets:
    "child-of": lambda source, code, other: other in source.neighbours(code)[0],
    "descendent-leaf": lambda source, code, other: source.below(code, other) and not source.neighbours(code)[1],
}


def _values(source: CodeSource, concept: Concept, name: str) -> list[str]:
    if name == "display":
        return [concept.display] if concept.display else []
    if name == "definition":
        return [concept.definition] if concept.definition else []
    if name == "designation":
        return [designation.value for designation in concept.designations]
    if name in {"parent", "child"}:
        return list(source.neighbours(concept.code)[name == "child"])
    stated = [as_text(each.value) for each in concept.properties if each.code == name]
    if not stated and name in {"inactive", "notSelectable", "abstract"}:
        return [as_text(not concept.active if name == "inactive" else concept.abstract)]
    return stated


def _by_values(source: CodeSource, values: list[str], condition: Filter) -> bool:
    op, value = condition.op, condition.value
    if op == "=":
        return value in values
    if op == "exists":
        return bool(values) is (value == "true")
    if op == "in":
        return not set(values).isdisjoint(listed(value))
    if op == "not-in":
        return set(values).isdisjoint(listed(value))
    if op == "regex":
        return any(pattern(value).fits(one) for one in values)
    if op in {"is-a", "descendent-of"}:  # a property whose values are concepts of the same system
        return any((op == "is-a" and one == value) or source.below(one, value) for one in values)
    if op == "is-not-a":
        return not any(one == value or source.below(one, value) for one in values)
    raise unknown_filter(condition)
