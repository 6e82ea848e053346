# SPDX-License-Identifier: Apache-2.0
"""The quick look at what a schema cannot say, because it compares places or reads inside a text.

`suspicious` knows no types: it says only that a resource may break one of the rules that `inspection` words
exactly. It may raise a false suspicion, which costs time, but never misses a fault of a resource that fits
the schema.
"""

from __future__ import annotations

from collections.abc import Container
from decimal import Decimal
from functools import cache
from typing import Any, Final

from salus.fhir.definitions import resource_types, structure
from salus.fhir.narrative import fault, links
from salus.fhir.validate.codes import Codes
from salus.fhir.validate.members import members
from salus.fhir.validate.primitives import LARGEST_EXPONENT, MOST_DIGITS

# What `salus.fhir.json.decode` reads. Patches could nest deeper, and the result could then never be read again.
DEEPEST: Final = 200
# Types with rules of their own, which are always looked at.
ALWAYS: Final = frozenset(
    {"Bundle", "CodeSystem", "MeasureReport", "QuestionnaireResponse", "SearchParameter", "StructureDefinition"}
)


def suspicious(resource: dict[str, Any], codes: Codes, known: Container[str]) -> bool:
    """Whether a resource may break a rule of `inspection`.

    Args:
        resource: a resource, as `salus.fhir.json.decode` gives it, that fits the schema.
        codes: which codes are known to be fine.
        known: urls of extensions that have to be looked at.
    """
    if resource["resourceType"] in ALWAYS:
        return True
    local: list[tuple[str, str]] = []
    pairs: list[tuple[str, str]] = []
    if _Survey(local, pairs, decimal_names(), known).odd(resource, DEEPEST, "") or codes.doubtful(pairs):
        return True
    if "contained" not in resource:
        return bool(local) or (resource["resourceType"] == "Parameters" and _holds_contained(resource))
    return _loose(resource, local)


def absurd(number: Decimal) -> bool:
    """Whether a decimal has more digits or a larger exponent than any measurement needs."""
    return len(str(number)) > MOST_DIGITS or not -LARGEST_EXPONENT <= number.adjusted() <= LARGEST_EXPONENT


def too_deep(resource: dict[str, Any]) -> bool:
    """Whether objects and arrays are nested in more than 200 levels."""
    waiting: list[tuple[Any, int]] = [(resource, DEEPEST)]
    while waiting:
        node, room = waiting.pop()
        if room <= 0:
            return True
        inside = node.values() if isinstance(node, dict) else node
        waiting.extend((value, room - 1) for value in inside if isinstance(value, (dict, list)))
    return False


@cache
def decimal_names() -> frozenset[str]:
    """JSON names that may hold a decimal somewhere in R4."""
    every = (member for path in structure().types for member in members(path).values())
    return frozenset(member.name for member in every if member.type == "decimal")


def _loose(resource: dict[str, Any], local: list[tuple[str, str]]) -> bool:
    """Whether contained resources and references to them do not match one another, or may not."""
    contained = resource["contained"]
    kinds = {"#" + item.get("id", ""): item["resourceType"] for item in contained}
    if len(kinds) != len(contained) or kinds.keys() != {reference for reference, _ in local}:
        return True
    allowed = _allowed(resource["resourceType"])
    return any(name not in allowed or kinds[reference] not in allowed[name] for reference, name in local)


@cache
def _allowed(kind: str) -> dict[str, frozenset[str]]:
    """Types that every element of this name in a resource, or in a data type, may point to, by JSON name."""
    found: dict[str, frozenset[str]] = {}
    types = structure().types
    inside = [p for p in types if p == kind or p.startswith(kind + ".") or types[p].kind != "resource"]
    own = [p for p in inside if p.partition(".")[0] == kind or types[p.partition(".")[0]].kind == "complex-type"]
    for path in own:
        for member in members(path).values():
            if member.type == "Reference":
                targets = frozenset(member.field.targets or resource_types())
                found[member.name] = found.get(member.name, targets) & targets
    return found


class _Survey:
    """One walk; local references and codings are collected on the way."""

    __slots__ = ("decimals", "extensions", "local", "pairs")

    def __init__(
        self,
        local: list[tuple[str, str]],
        pairs: list[tuple[str, str]],
        decimals: frozenset[str],
        extensions: Container[str],
    ) -> None:
        self.local = local
        self.pairs = pairs
        self.decimals = decimals
        self.extensions = extensions

    def odd(self, node: dict[str, Any], room: int, name: str) -> bool:
        """Walk one object; `room` is how many levels are left, `name` its own name."""
        if room <= 0:
            return True
        reference = node.get("reference")
        if type(reference) is str:
            if reference[0] == "#":
                self.local.append((reference, name))
            elif "?" in reference or "type" in node:
                return True
        elif "code" in node and "system" in node:
            self.pairs.append((node["system"], node["code"]))
        if "start" in node and "end" in node and _unordered(node["start"], node["end"]):
            return True
        if "low" in node and "high" in node and _crossed(node["low"], node["high"]):
            return True
        for key, value in node.items():
            kind = type(value)
            if kind is str:
                continue
            if kind is dict:
                if (key == "text" and _text(value["div"])) or self.odd(value, room - 1, key):
                    return True
            elif kind is list:
                for item in value:
                    inner = type(item)
                    if inner is dict:
                        if self.odd(item, room - 2, key):
                            return True
                    elif item is None or inner is Decimal:
                        return True
                if key == "extension":
                    if any(item["url"] in self.extensions for item in value):
                        return True
                elif key == "modifierExtension":
                    return True
            elif kind is Decimal:
                if key not in self.decimals or absurd(value) or name == "valueCount":
                    return True
            elif (key == "size") and "data" in node:
                return True
        return "hash" in node and "data" in node


def _text(div: str) -> bool:
    return bool(fault(div)) or bool(links(div))


def _unordered(start: Any, end: Any) -> bool:
    """Whether two times need a closer look: out of order as texts, or of different precision or time zone."""
    if type(start) is not str or type(end) is not str:
        return False
    if start > end or len(start) != len(end):
        return True
    dates = len(start) <= len("2024-02-29")
    return not dates and not start[-1] == end[-1] == "Z" and start[-6:] != end[-6:]


def _crossed(low: Any, high: Any) -> bool:
    """Whether two ends of a range need a closer look (rng-2): out of order as numbers, or in different units."""
    if type(low) is not dict or type(high) is not dict:
        return False
    first, second = low.get("value"), high.get("value")
    if first is None or second is None:
        return False
    return low.get("code") != high.get("code") or low.get("unit") != high.get("unit") or bool(first > second)


def _holds_contained(holder: dict[str, Any]) -> bool:
    items = holder.get("parameter") or ()
    return any("contained" in item.get("resource", ()) or "part" in item for item in items)
