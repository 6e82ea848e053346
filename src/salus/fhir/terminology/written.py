# SPDX-License-Identifier: Apache-2.0
"""Expansions as FHIR writes them: pages, totals, names, limits.

https://hl7.org/fhir/R4/valueset-operation-expand.html
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any

from salus.fhir.terminology.compose import ValueSet
from salus.fhir.terminology.expansion import Member, Unknown, Walk
from salus.fhir.terminology.membership import Membership
from salus.fhir.terminology.nesting import nested
from salus.fhir.terminology.protocol import Cause
from salus.fhir.terminology.source import Designation, Resource
from salus.kernel.errors import Issue, Kind, Problem

MAX_CODES = 5_000
"""Codes in one answer."""
MAX_COUNTED = 50_000
"""Members that are counted for `total`; beyond, the total is left out."""
MAX_WALKED = 50_000
"""Members that are walked over to reach a page of a set that no code system can page by itself."""

_UNCLOSED = "http://hl7.org/fhir/StructureDefinition/valueset-unclosed"
_LANGUAGES = "urn:ietf:bcp:47"
_WHY = {
    Cause.UNKNOWN_SYSTEM: "This part draws on a code system that is not known to this server.",
    Cause.UNKNOWN_VERSION: "This part draws on a version of a code system that is not known to this server.",
    Cause.UNKNOWN_VALUE_SET: "This part imports a value set that is not known to this server.",
    Cause.INCOMPLETE: "This part draws on a code system whose codes are not here.",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What an expansion shall look like; see the parameters of `$expand`.

    Attributes:
        count: codes on the page; None for all.
        identifier, timestamp: of the expansion, a urn and an instant.
        designations: `system|code` of uses and languages; empty for all.
        nested: put codes below those that stand above them.
    """

    identifier: str
    timestamp: str
    text: str = ""
    offset: int = 0
    count: int | None = None
    active_only: bool = False
    include_designations: bool = False
    include_definition: bool = False
    exclude_not_for_ui: bool = False
    designations: tuple[str, ...] = ()
    language: str = ""
    left_out: frozenset[str] = frozenset()
    nested: bool = False

    @property
    def as_tree(self) -> bool:
        """Whether codes stand below each other; pages and what is searched for are flat."""
        return self.nested and self.count is None and not self.offset and not self.text


def expand(membership: Membership, value_set: ValueSet, asked: Asked) -> Resource:
    """The value set with its expansion.

    Raises:
        Problem: TOO_COSTLY when there are more codes than one answer holds and no page is asked for; NOT_FOUND with a
            place for each part that cannot be listed here; INVALID for a circle or a filter that is not understood.
    """
    walk = Walk(membership, value_set, text=asked.text, active_only=asked.active_only, left_out=asked.left_out)
    page, total = _page(walk, asked)
    if walk.unknown:
        raise _not_listed(walk.unknown)
    expansion: Resource = {"identifier": asked.identifier, "timestamp": asked.timestamp}
    if total is not None:
        expansion["total"] = total
    if asked.count is not None or asked.offset:
        expansion["offset"] = asked.offset
    if walk.unclosed:
        expansion["extension"] = [{"url": _UNCLOSED, "valueBoolean": True}]
    expansion["parameter"] = _parameters(walk, asked)
    if page:
        written = [_contained(member, asked) for member in page]
        expansion["contains"] = nested(page, written, walk.sources) if asked.as_tree else written
    return {**_head(value_set, asked), "expansion": expansion}


def _page(walk: Walk, asked: Asked) -> tuple[list[Member], int | None]:
    single = walk.single()
    wanted = MAX_CODES + 1 if asked.count is None else min(asked.count, MAX_CODES)
    if single is not None and not asked.exclude_not_for_ui:
        source, conditions = single
        found = source.select(conditions, asked.text, asked.offset) if wanted else iter(())
        page = [Member(source.url, source.version, concept) for concept in islice(found, wanted)]
        counted = source.count(conditions, asked.text, MAX_COUNTED)
        total = counted if counted <= MAX_COUNTED else None
    else:
        page, total = _walked(walk, asked, wanted)
    if asked.count is None and len(page) > MAX_CODES:
        text = f"There are more than {MAX_CODES} codes. Ask for pages with count and offset, or narrow it with filter."
        raise Problem(Kind.TOO_COSTLY, text)
    return page, total


def _walked(walk: Walk, asked: Asked, wanted: int) -> tuple[list[Member], int | None]:
    if asked.offset > MAX_WALKED:
        raise Problem(Kind.TOO_COSTLY, f"Pages of this value set end at offset {MAX_WALKED}; narrow it with filter.")
    members: Iterable[Member] = walk.members()
    if asked.exclude_not_for_ui:
        members = (member for member in members if not member.concept.abstract)
    page: list[Member] = []
    number = 0
    for number, member in enumerate(members, 1):
        if asked.offset < number <= asked.offset + wanted:
            page.append(member)
        if number > MAX_WALKED and len(page) >= wanted:
            return page, None
        if asked.count is None and len(page) > MAX_CODES:
            break
    return page, number


def _not_listed(unknown: list[Unknown]) -> Problem:
    issues = tuple(Issue("not-found", _WHY.get(one.cause, "This part cannot be listed."), one.place) for one in unknown)
    return Problem(Kind.NOT_FOUND, "The value set cannot be expanded with what this server has.", issues=issues)


def _head(value_set: ValueSet, asked: Asked) -> Resource:
    kept = ("url", "identifier", "version", "name", "title", "experimental", "date", "publisher", "copyright")
    resource = value_set.resource
    head: Resource = {"resourceType": "ValueSet"}
    if asked.include_definition:
        head |= {name: value for name, value in resource.items() if name not in {"expansion", "id", "meta"}}
    else:
        head |= {name: resource[name] for name in kept if name in resource}
    head.setdefault("status", resource.get("status", "active"))
    return head


def _parameters(walk: Walk, asked: Asked) -> list[Resource]:
    """What shaped the expansion (https://hl7.org/fhir/R4/valueset-definitions.html#ValueSet.expansion.parameter)."""
    stated: list[tuple[str, str, Any]] = [
        ("filter", "valueString", asked.text or None),
        ("displayLanguage", "valueCode", asked.language or None),
        ("activeOnly", "valueBoolean", True if asked.active_only else None),
        ("includeDesignations", "valueBoolean", True if asked.include_designations else None),
        ("excludeNotForUI", "valueBoolean", True if asked.exclude_not_for_ui else None),
        ("excludeNested", "valueBoolean", False if asked.as_tree else None),
        ("count", "valueInteger", asked.count),
        ("offset", "valueInteger", asked.offset or None),
    ]
    used = [
        ("used-codesystem", "valueUri", f"{url}|{source.version}" if source.version else url)
        for url, source in walk.sources.items()
    ]
    return [{"name": name, key: value} for name, key, value in (*stated, *used) if value is not None]


def _contained(member: Member, asked: Asked) -> Resource:
    concept = member.concept
    written: Resource = {"system": member.system}
    if not member.system:
        del written["system"]
    if concept.abstract:
        written["abstract"] = True
    if not concept.active:
        written["inactive"] = True
    if member.version:
        written["version"] = member.version
    written["code"] = concept.code
    names = names_of(member)
    display = in_language(names, asked.language) or member.display
    if display:
        written["display"] = display
    if asked.include_designations or asked.designations:
        kept = [designation(each) for each in names if _asked_for(each, asked.designations)]
        if kept:
            written["designation"] = kept
    return written


def names_of(member: Member) -> list[Designation]:
    """The other names of a member: those of the value set, then those of the code system."""
    own = member.named.designations if member.named is not None else ()
    return [*own, *(each for each in member.concept.designations if each not in own)]


def in_language(names: Iterable[Designation], wanted: str) -> str:
    """The first name in a language: `de` takes `de` and `de-CH`; empty without one (RFC 4647 section 3.3.1)."""
    if not wanted:
        return ""
    ranges = [one.partition(";")[0].strip().lower() for one in wanted.split(",")]
    for language in ranges:
        for each in names:
            stated = each.language.lower()
            if stated == language or stated.startswith(f"{language}-"):
                return each.value
    return ""


def designation(each: Designation) -> Resource:
    """A designation as FHIR writes it."""
    written: Resource = {"value": each.value}
    if each.language:
        written["language"] = each.language
    if each.use:
        written["use"] = each.use
    return written


def _asked_for(each: Designation, wanted: tuple[str, ...]) -> bool:
    if not wanted:
        return True
    use = each.use or {}
    return bool({f"{_LANGUAGES}|{each.language}", f"{use.get('system', '')}|{use.get('code', '')}"} & set(wanted))
