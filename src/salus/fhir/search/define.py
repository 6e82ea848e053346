# SPDX-License-Identifier: Apache-2.0
"""SearchParameters that somebody defines: what may be defined, and what it then is.

The expression may be the subset in which R4 writes its own (`expression`), which is compiled like those; anything else
goes to the FHIRPath engine. https://hl7.org/fhir/R4/searchparameter.html
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from salus.fhir import fhirpath
from salus.fhir.definitions import resource_types
from salus.fhir.search.parameters import STANDARD, Custom
from salus.fhir.search.spots import spots_of
from salus.fhir.search.table import Definition
from salus.kernel.errors import Issue, Kind, Problem

KINDS = ("number", "date", "string", "token", "reference", "quantity", "uri")
_CODE = re.compile(r"[A-Za-z][A-Za-z0-9_\-]{0,63}")
_EVERY = ("Resource", "DomainResource")


def defined(resource: dict[str, Any]) -> Custom | None:
    """What a SearchParameter defines; not yet ready.

    Args:
        resource: validated.

    Returns:
        None for a draft or a retired one, which is kept and has no effect.

    Raises:
        Problem: INVALID with an issue for each reason why it cannot be used.
    """
    if resource.get("status") != "active":
        return None
    problems = list(_problems(resource))
    if problems:
        raise Problem(Kind.INVALID, "This search parameter cannot be used.", issues=tuple(problems))
    definition = Definition(
        code=resource["code"],
        kind=resource["type"],
        base=tuple(resource["base"]),
        expression=" ".join(resource["expression"].split()),
        url=resource["url"],
    )
    return Custom(definition, ready=False, engine=not _compiles(definition))


def usable(resources: Iterable[dict[str, Any]]) -> list[Custom]:
    """Those of some installed SearchParameters that can be used, and that R4 itself does not have."""
    found: dict[str, Custom] = {}
    for resource in resources:
        try:
            custom = defined({**resource, "status": "active"} if resource.get("status") == "draft" else resource)
        except Problem:
            continue
        if custom is not None:
            found.setdefault(custom.definition.url, custom)
    return list(found.values())


def _problems(resource: dict[str, Any]) -> Iterable[Issue]:
    code, expression = resource.get("code", ""), resource.get("expression", "")
    if not _CODE.fullmatch(code):
        yield _issue("value", "A code has letters, digits, - and _, and begins with a letter.", "code")
    if resource.get("type") not in KINDS:
        yield _issue("not-supported", f"Salus takes parameters of these types: {', '.join(KINDS)}.", "type")
    bases = resource.get("base", [])
    for number, base in enumerate(bases):
        if base not in resource_types() and base not in _EVERY:
            yield _issue("value", "R4 has no such resource type.", f"base[{number}]")
        elif base in resource_types() and code in STANDARD.parameters(base):
            yield _issue("duplicate", f"{base} has a parameter of this code already.", "code")
        elif base in _EVERY and any(code in STANDARD.parameters(type_) for type_ in resource_types()):
            yield _issue("duplicate", "Some type has a parameter of this code already.", "code")
    if not expression:
        yield _issue("required", "A parameter needs its expression.", "expression")
        return
    try:
        fhirpath.compile(expression)
    except Problem as problem:
        words = problem.issues[0].text if problem.issues else problem.public
        yield _issue("invalid", f"The expression cannot be used: {words}", "expression")


def _issue(code: str, text: str, element: str) -> Issue:
    return Issue(code, text, f"SearchParameter.{element}")


def _compiles(definition: Definition) -> bool:
    """Whether the subset of R4's own parameters says it, for every type."""
    bases = resource_types() if any(base in _EVERY for base in definition.base) else definition.base
    try:
        return all(spots_of(base, definition) for base in bases)
    except Problem:
        return False
