# SPDX-License-Identifier: Apache-2.0
"""Rules of single resource types that no invariant says: what a derived SearchParameter must keep."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, Final

from salus.fhir.search.table import Definition, table
from salus.fhir.validate.knowledge import Knowledge

Json = dict[str, Any]
Fault = tuple[str, str, str]  # code, further steps of the place, words


def search_parameter(resource: Json, knowledge: Knowledge) -> Iterator[Fault]:
    """`derivedFrom`: same type, and no other base (https://hl7.org/fhir/R4/searchparameter.html)."""
    origin = resource.get("derivedFrom")
    if type(origin) is not str:
        return
    found = knowledge.find("SearchParameter", origin)
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


RULES: Final[dict[str, Callable[[Json, Knowledge], Iterator[Fault]]]] = {"SearchParameter": search_parameter}


@cache
def _published() -> dict[str, Definition]:
    return {definition.url: definition for definition in table().parameters}
