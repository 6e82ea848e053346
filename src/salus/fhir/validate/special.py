# SPDX-License-Identifier: Apache-2.0
"""Rules of single resource types that no invariant says, mostly about other definitions that they build on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, Final

from salus.fhir.definitions import structure
from salus.fhir.search.table import Definition, table
from salus.fhir.validate.profiles.element import PREFIX, UnknownPathError
from salus.fhir.validate.questionnaires import questionnaire_response
from salus.fhir.validate.surroundings import Surroundings

Json = dict[str, Any]
Fault = tuple[str, str, str]  # code, further steps of the place, words


def search_parameter(resource: Json, given: Surroundings) -> Iterator[Fault]:
    """`derivedFrom`: same type, and no other base (https://hl7.org/fhir/R4/searchparameter.html)."""
    origin = resource.get("derivedFrom")
    if type(origin) is not str:
        return
    found = given.knowledge.find("SearchParameter", origin)
    if found is not None:
        kind, base = found.get("type"), tuple(found.get("base", ()))
    else:
        own = _published().get(origin.partition("|")[0])
        if own is None:
            return
        kind, base = own.kind, own.base
    if resource.get("type") != kind:
        yield "business-rule", ".type", "must be the type of the parameter that it is derived from"
    stated = resource.get("base")
    wide = {"Resource", "DomainResource"} & set(base)
    if type(stated) is list and not wide and not set(map(str, stated)) <= set(base):
        yield "business-rule", ".base", "must be among the bases of the parameter that it is derived from"


def structure_definition(resource: Json, given: Surroundings) -> Iterator[Fault]:
    """The differential of a profile speaks of elements that its base has (R4 profiling, "snapshots")."""
    base, kind = resource.get("baseDefinition"), resource.get("type")
    if type(base) is str and _circular(resource.get("url"), base, given):
        yield "business-rule", ".baseDefinition", "must not lead back to the definition itself"
        return
    if resource.get("derivation") != "constraint" or type(base) is not str or str(kind) not in structure().types:
        return
    if base.removeprefix(PREFIX) not in structure().types and given.book.tree(base) is None:
        return
    try:
        given.book.grown({name: value for name, value in resource.items() if name != "snapshot"})
    except UnknownPathError:
        yield "structure", ".differential", "speaks of an element that its base does not have"
    except (KeyError, TypeError, AttributeError):
        return  # said by the schema


def _circular(url: Any, base: str, given: Surroundings) -> bool:
    """Whether a definition is its own ancestor."""
    seen: set[str] = set()
    while base and base not in seen:
        if base.partition("|")[0] == url:
            return True
        seen.add(base)
        found = (given.knowledge.definition(base) or {}).get("baseDefinition")
        base = found if type(found) is str else ""
    return False


def measure_report(resource: Json, given: Surroundings) -> Iterator[Fault]:
    """A cohort is counted, not scored (https://hl7.org/fhir/R4/measurereport.html)."""
    canonical = resource.get("measure")
    measure = given.knowledge.find("Measure", canonical) if type(canonical) is str else None
    scoring = (measure or {}).get("scoring")
    codings = scoring.get("coding") if type(scoring) is dict else None
    if type(codings) is list and any(type(one) is dict and one.get("code") == "cohort" for one in codings):
        groups = resource.get("group")
        for index, group in enumerate(groups if type(groups) is list else []):
            if type(group) is dict and "measureScore" in group:
                yield "business-rule", f".group[{index}].measureScore", "must not be there for a measure of a cohort"


def code_system(resource: Json, given: Surroundings) -> Iterator[Fault]:
    """Its content is what it says it is (https://hl7.org/fhir/R4/codesystem.html#4.8.3)."""
    count, content = resource.get("count"), resource.get("content")
    if content == "complete" and type(count) is int and count != _concepts(resource):
        yield "business-rule", ".count", "is not the number of concepts that a complete code system has"
    if content == "supplement" and "supplements" not in resource:
        yield "business-rule", ".supplements", "is required of a supplement"


def _concepts(resource: Json) -> int:
    found, waiting = 0, [resource]
    while waiting:
        inside = waiting.pop().get("concept")
        for concept in inside if type(inside) is list else []:
            if type(concept) is dict:
                found += 1
                waiting.append(concept)
    return found


def response(resource: Json, given: Surroundings) -> Iterator[Fault]:
    """See `questionnaires`."""
    return questionnaire_response(resource, given.knowledge)


RULES: Final[dict[str, Callable[[Json, Surroundings], Iterator[Fault]]]] = {
    "CodeSystem": code_system,
    "SearchParameter": search_parameter,
    "StructureDefinition": structure_definition,
    "MeasureReport": measure_report,
    "QuestionnaireResponse": response,
}


@cache
def _published() -> dict[str, Definition]:
    return {definition.url: definition for definition in table().parameters}
