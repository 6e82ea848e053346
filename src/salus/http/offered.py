# SPDX-License-Identifier: Apache-2.0
"""Which interactions the route table answers, for the CapabilityStatement: read off the routes, so that both agree.

https://hl7.org/fhir/R4/valueset-type-restful-interaction.html
"""

from __future__ import annotations

from collections.abc import Iterable

from salus.fhir.capability import Offered
from salus.http.routes import Route

_TYPE, _RECORD = "/fhir/{type}", "/fhir/{type}/{id}"

ON_TYPE: dict[tuple[str, str], str] = {
    ("GET", _RECORD): "read",
    ("GET", f"{_RECORD}/_history/{{vid}}"): "vread",
    ("PUT", _RECORD): "update",
    ("PATCH", _RECORD): "patch",
    ("DELETE", _RECORD): "delete",
    ("GET", f"{_RECORD}/_history"): "history-instance",
    ("GET", f"{_TYPE}/_history"): "history-type",
    ("POST", _TYPE): "create",
    ("GET", _TYPE): "search-type",
}
ON_SYSTEM: dict[tuple[str, str], tuple[str, ...]] = {
    ("POST", "/fhir"): ("transaction", "batch"),
    ("GET", "/fhir"): ("search-system",),
    ("GET", "/fhir/_history"): ("history-system",),
}
CONDITIONAL: dict[tuple[str, str], str] = {
    ("PUT", _TYPE): "update",
    ("DELETE", _TYPE): "delete",
    ("PATCH", _TYPE): "patch",
}

_AS_ALL = {"Binary"}
"""Types with routes of their own beside those of all types."""


def offered(routes: Iterable[Route]) -> Offered:
    """What these routes answer."""
    there = {(route.method, route.pattern) for route in routes}
    apart: dict[str, tuple[str, ...]] = {}
    named = {route.segments[1] for route in routes if len(route.segments) > 1 and route.segments[1][:1].isupper()}
    for type_ in named - _AS_ALL:
        own = [code for (method, pattern), code in ON_TYPE.items() if (method, _named(pattern, type_)) in there]
        if own:
            apart[type_] = tuple(own)
    return Offered(
        on_type=tuple(code for key, code in ON_TYPE.items() if key in there),
        on_system=tuple(code for key, codes in ON_SYSTEM.items() if key in there for code in codes),
        conditional=frozenset(code for key, code in CONDITIONAL.items() if key in there),
        apart=tuple(sorted(apart.items())),
    )


def _named(pattern: str, type_: str) -> str:
    return pattern.replace("{type}", type_)
