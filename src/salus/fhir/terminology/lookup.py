# SPDX-License-Identifier: Apache-2.0
"""What a code system says of a concept, as `$lookup` answers (https://hl7.org/fhir/R4/codesystem-operation-lookup.html)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from salus.fhir.terminology.source import CodeSource, Concept, Designation, Property
from salus.fhir.terminology.written import in_language

_NEIGHBOURS = ("parent", "child")
_KINDS = {"code", "Coding", "string", "integer", "boolean", "dateTime", "decimal"}
_MAX_NEIGHBOURS = 500

Out = tuple[str, str, Any]


def lookup(source: CodeSource, concept: Concept, *, language: str = "", wanted: Sequence[str] = ()) -> list[Out]:
    """The outputs of `$lookup`, as (name, type, value).

    Args:
        language: BCP 47 ranges for the display.
        wanted: codes of properties; empty or `*` for all. `designation`, `definition`, `parent` and `child` are among
            them; `lang.X` asks for names in one language.
    """
    languages = {one.removeprefix("lang.").lower() for one in wanted if one.startswith("lang.")}
    everything = not wanted or "*" in wanted
    outputs: list[Out] = [("name", "string", source.name), ("version", "string", source.version or None)]
    outputs.append(
        ("display", "string", in_language(concept.designations, language) or concept.display or concept.code)
    )
    if everything or languages or "designation" in wanted:
        every = everything or "designation" in wanted
        names = (each for each in concept.designations if every or each.language.lower() in languages)
        outputs.extend(("designation", "part", _designation(each)) for each in names)
    shown = (stated for stated in _properties(source, concept) if everything or stated.code in wanted)
    outputs.extend(("property", "part", [("code", "code", p.code), ("value", p.type, p.value)]) for p in shown)
    return outputs


def _designation(each: Designation) -> list[Out]:
    return [("language", "code", each.language or None), ("use", "Coding", each.use), ("value", "string", each.value)]


def _properties(source: CodeSource, concept: Concept) -> Iterator[Property]:
    if concept.definition:
        yield Property("definition", "string", concept.definition)
    stated = {each.code for each in concept.properties}
    if "inactive" not in stated and not concept.active:
        yield Property("inactive", "boolean", True)
    if concept.abstract and stated.isdisjoint({"abstract", "notSelectable"}):
        yield Property("abstract", "boolean", True)
    for each in concept.properties:
        if each.type in _KINDS and each.code not in _NEIGHBOURS:
            yield each
    for name, codes in zip(_NEIGHBOURS, source.neighbours(concept.code), strict=True):
        for code in codes[:_MAX_NEIGHBOURS]:
            yield Property(name, "code", code)
