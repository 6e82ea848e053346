# SPDX-License-Identifier: Apache-2.0
"""A CodeSystem resource, made ready to be asked (https://hl7.org/fhir/R4/codesystem.html).

The hierarchy is read from nesting and from the properties `parent` and `child`. Case counts unless the resource says
that it does not. Supplements add names and properties. A system that is a fragment, an example or not present answers
for the codes that it has and is never taken as the whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from salus.fhir.terminology import filters
from salus.fhir.terminology.source import Concept, Designation, Filter, Property, Resource, has_words, words_of

_INACTIVE = frozenset({"retired", "inactive"})
_ABSTRACT = frozenset({"notSelectable", "abstract"})
_PARENT = frozenset({"parent", "subsumedBy"})
_MAX_DEPTH = 100


class ResourceSystem:
    """A code system in memory; a `CodeSource`.

    Attributes:
        url, version, name, complete, is_a: as `CodeSource` says.
        resource: the CodeSystem that it was made from.
    """

    def __init__(self, resource: Resource, supplements: Iterable[Resource] = ()) -> None:
        """Args: a CodeSystem, structurally valid; CodeSystems with content `supplement` that add to it."""
        self.resource = resource
        self.url: str = resource.get("url", "")
        self.version: str = resource.get("version", "")
        self.name: str = resource.get("title") or resource.get("name") or self.url
        self.complete = resource.get("content") == "complete"
        self.is_a = resource.get("hierarchyMeaning", "is-a") == "is-a"
        self._folds = resource.get("caseSensitive") is False
        self._concepts: dict[str, Concept] = {}
        self._parents: dict[str, list[str]] = {}
        self._children: dict[str, list[str]] = {}
        self._properties = {one["code"] for one in resource.get("property", ()) if "code" in one}
        self._properties.update(one["code"] for one in resource.get("filter", ()) if "code" in one)
        self._above: dict[str, frozenset[str]] = {}
        self._read(resource.get("concept", ()), None, 0)
        self._relate()
        for supplement in supplements:
            self._add_to(supplement.get("concept", ()), 0)
        self._folded = {code.casefold(): code for code in self._concepts} if self._folds else {}

    @property
    def effort(self) -> int:
        """The number of concepts."""
        return len(self._concepts)

    def find(self, code: str) -> Concept | None:
        """The concept of a code."""
        found = self._concepts.get(code)
        if found is None and self._folds:
            written = self._folded.get(code.casefold())
            return self._concepts[written] if written is not None else None
        return found

    def below(self, code: str, ancestor: str) -> bool:
        """Whether a code is strictly below another."""
        return ancestor in self.ancestors(code)

    def ancestors(self, code: str) -> frozenset[str]:
        """Every code strictly above; walked once and remembered."""
        known = self._above.get(code)
        if known is None:
            known = frozenset(_walk(self._parents, code))
            if code in self._concepts:  # codes come from outside, and this memory has no bound but the system's size
                self._above[code] = known
        return known

    def descendants(self, code: str, limit: int) -> frozenset[str]:
        """Every code strictly below, at most `limit` of them plus one."""
        return frozenset(islice(_walk(self._children, code), limit + 1))

    def neighbours(self, code: str) -> tuple[Sequence[str], Sequence[str]]:
        """Parents and children."""
        return self._parents.get(code, ()), self._children.get(code, ())

    def fits(self, concept: Concept, condition: Filter) -> bool:
        """Whether a concept passes a filter; raises Problem(INVALID)."""
        return filters.fits(self, concept, condition, self._properties)

    def select(self, conditions: Sequence[Filter], text: str, offset: int = 0) -> Iterator[Concept]:
        """Concepts that pass every filter and hold every word, in the order of the resource."""
        words = words_of(text)
        found = (
            concept
            for concept in self._concepts.values()
            if all(self.fits(concept, condition) for condition in conditions) and has_words(concept, words)
        )
        return islice(found, offset, None)

    def count(self, conditions: Sequence[Filter], text: str, limit: int) -> int:
        """How many `select` gives; counting stops beyond `limit`."""
        if not conditions and not text:
            return len(self._concepts)
        return sum(1 for _ in islice(self.select(conditions, text), limit + 1))

    # ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _read(self, concepts: Iterable[Resource], parent: str | None, depth: int) -> None:
        if depth > _MAX_DEPTH:
            return
        for each in concepts:
            code = each.get("code")
            if not isinstance(code, str):
                continue
            if code not in self._concepts:  # codes shall be unique; the first one stands
                self._concepts[code] = concept_of(each)
            if parent is not None:
                self._link(code, parent)
            self._read(each.get("concept", ()), code, depth + 1)

    def _relate(self) -> None:
        """Parents and children that are stated as properties."""
        for concept in self._concepts.values():
            for each in concept.properties:
                self._properties.add(each.code)
                if each.type == "code" and each.value in self._concepts:
                    if each.code in _PARENT:
                        self._link(concept.code, each.value)
                    elif each.code == "child":
                        self._link(each.value, concept.code)

    def _link(self, child: str, parent: str) -> None:
        known = self._parents.setdefault(child, [])
        if parent not in known and parent != child:
            known.append(parent)
            self._children.setdefault(parent, []).append(child)

    def _add_to(self, concepts: Iterable[Resource], depth: int) -> None:
        """What a supplement says of concepts that are here."""
        for each in concepts:
            known = self._concepts.get(each.get("code", ""))
            if known is not None:
                more = concept_of(each)
                self._properties.update(one.code for one in more.properties)
                self._concepts[known.code] = known._replace(
                    designations=known.designations + more.designations,
                    properties=known.properties + more.properties,
                )
            if depth < _MAX_DEPTH:
                self._add_to(each.get("concept", ()), depth + 1)


def concept_of(each: Resource) -> Concept:
    """A concept as the resource states it."""
    properties = tuple(_property(one) for one in each.get("property", ()))
    stated = {one.code: one.value for one in properties}
    active = stated.get("inactive") is not True and str(stated.get("status", "")).lower() not in _INACTIVE
    return Concept(
        each.get("code", ""),
        each.get("display", ""),
        each.get("definition", ""),
        active,
        any(stated.get(name) is True for name in _ABSTRACT),
        tuple(designation_of(one) for one in each.get("designation", ())),
        properties,
    )


def designation_of(each: Resource) -> Designation:
    """A designation of a CodeSystem or of a ValueSet, which write them alike."""
    return Designation(each.get("language", ""), each.get("value", ""), each.get("use"))


def _property(each: Resource) -> Property:
    for name, value in each.items():
        if name.startswith("value"):
            type_ = name.removeprefix("value")
            return Property(each.get("code", ""), type_[:1].lower() + type_[1:], value)
    return Property(each.get("code", ""), "string", "")


def _walk(links: dict[str, list[str]], start: str) -> Iterator[str]:
    """Everything that can be reached, each once; a circle ends the walk and the start is never given."""
    seen: set[Any] = {start}
    waiting = list(links.get(start, ()))
    while waiting:
        code = waiting.pop()
        if code not in seen:
            seen.add(code)
            yield code
            waiting += links.get(code, ())
