# SPDX-License-Identifier: Apache-2.0
"""Expansions as trees: a code below the one that stands above it in its code system, where both are members.

https://hl7.org/fhir/R4/valueset-definitions.html#ValueSet.expansion.contains.contains
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from salus.fhir.terminology.expansion import Member
from salus.fhir.terminology.source import CodeSource, Resource

_Place = tuple[str, str]


def nested(members: Sequence[Member], written: Sequence[Resource], sources: Mapping[str, CodeSource]) -> list[Resource]:
    """What stands at the top; the others are put into `contains` of the nearest member above them.

    Args:
        members: in their order, which stays among those with the same parent. One with several parents is put below
            the first of them that is a member.
        written: the members as FHIR writes them; changed.
        sources: code systems by URL; members of others stay at the top.
    """
    here = {(member.system, member.concept.code): entry for member, entry in zip(members, written, strict=True)}
    above: dict[_Place, _Place] = {}
    top = []
    for place, entry in here.items():
        source = sources.get(place[0])
        parent = _nearest(place, source, here, above) if source is not None else None
        if parent is None:
            top.append(entry)
        else:
            above[place] = parent
            here[parent].setdefault("contains", []).append(entry)
    return top


def _nearest(
    place: _Place, source: CodeSource, here: Mapping[_Place, Resource], above: Mapping[_Place, _Place]
) -> _Place | None:
    """The nearest member above a code, by the fewest steps; none that stands below it already."""
    system, code = place
    seen = {code}
    level = [code]
    while level:
        level = [parent for each in level for parent in source.neighbours(each)[0] if parent not in seen]
        for parent in level:
            if (system, parent) in here and not _below((system, parent), place, above):
                return system, parent
        seen.update(level)
    return None


def _below(place: _Place, other: _Place, above: Mapping[_Place, _Place]) -> bool:
    """Whether a code was put somewhere below another: a circle in a code system must not lose what is in it."""
    while place in above:
        place = above[place]
        if place == other:
            return True
    return False
