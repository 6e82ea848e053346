# SPDX-License-Identifier: Apache-2.0
"""The quick look at what a schema cannot say, because it compares places or reads inside a text.

`suspicious` knows no types: it says only that a resource may break one of the rules that `findings` words
exactly. It may raise a false suspicion, which costs time, but never misses a fault of a resource that fits
the schema.
"""

from __future__ import annotations

from decimal import Decimal
from functools import cache
from typing import Any, Final

from salus.fhir.definitions import structure
from salus.fhir.validate.members import members
from salus.fhir.validate.narrative import fault
from salus.fhir.validate.primitives import LARGEST_EXPONENT, MOST_DIGITS

# What `salus.fhir.json.decode` reads. Patches could nest deeper, and the result could then never be read again.
DEEPEST: Final = 200
_HOLDERS: Final = frozenset({"Bundle", "Parameters"})


def suspicious(resource: dict[str, Any]) -> bool:
    """Whether a resource may break a rule of `findings`.

    Args:
        resource: a resource, as `salus.fhir.json.decode` gives it, that fits the schema.
    """
    local: list[str] = []
    if _odd(resource, local, decimal_names(), DEEPEST):
        return True
    contained = resource.get("contained")
    if contained is None:
        return bool(local) or (resource["resourceType"] in _HOLDERS and _holds_contained(resource))
    ids = {"#" + item.get("id", "") for item in contained}
    return len(ids) != len(contained) or ids != set(local)


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


def _odd(node: dict[str, Any], local: list[str], decimals: frozenset[str], room: int) -> bool:
    """Walk one object; local references are collected in `local`; `room` is how many levels are left."""
    if room <= 0:
        return True
    reference = node.get("reference")
    if type(reference) is str:
        if reference[0] == "#":
            local.append(reference)
        elif "?" in reference:
            return True
    if "start" in node and "end" in node and _unordered(node["start"], node["end"]):
        return True
    for key, value in node.items():
        kind = type(value)
        if kind is str:
            continue
        if kind is dict:
            if (key == "text" and fault(value["div"])) or _odd(value, local, decimals, room - 1):
                return True
        elif kind is list:
            for item in value:
                inner = type(item)
                if inner is dict:
                    if _odd(item, local, decimals, room - 2):
                        return True
                elif item is None or inner is Decimal:
                    return True
        elif kind is Decimal and (key not in decimals or absurd(value)):
            return True
    return False


def _unordered(start: Any, end: Any) -> bool:
    """Whether two times need a closer look: out of order as texts, or of different precision or time zone."""
    if type(start) is not str or type(end) is not str:
        return False
    if start > end or len(start) != len(end):
        return True
    dates = len(start) <= len("2024-02-29")
    return not dates and not start[-1] == end[-1] == "Z" and start[-6:] != end[-6:]


def _holds_contained(holder: dict[str, Any]) -> bool:
    items = holder.get("entry") or holder.get("parameter") or ()
    return any("contained" in item.get("resource", ()) or "part" in item for item in items)
