# SPDX-License-Identifier: Apache-2.0
"""Refusals in the same words everywhere, so that a hidden record reads exactly like one that never was."""

from __future__ import annotations

from salus.audit.event import Action, Entity
from salus.kernel.errors import Issue, Kind, Problem


def absent() -> Problem:
    """No such record, or none that you may see."""
    return Problem(Kind.NOT_FOUND, "There is no such record.", "absent or hidden")


def gone(version: int) -> Problem:
    """The record was deleted; `version` is the deletion's."""
    return Problem(Kind.GONE, "This record was deleted.", f"deleted in version {version}")


def several(where: str, most: int = 1) -> Problem:
    """A condition matches more records than it may (https://hl7.org/fhir/R4/http.html#ccreate)."""
    text = f"The condition matches more than {'one record' if most == 1 else f'{most} records'}."
    return Problem(Kind.PRECONDITION, text, issues=(Issue("multiple-matches", text, where),))


def wrong_id(place: str) -> Problem:
    """The id in the body is not the id in the address (https://hl7.org/fhir/R4/http.html#update)."""
    text = "The resource must carry the id that the address names."
    return Problem(Kind.INCORRECT, text, issues=(Issue("value", text, place),))


def stale() -> Problem:
    """If-Match names another version than the newest (https://hl7.org/fhir/R4/http.html#concurrency)."""
    text = "The record has changed since the version that If-Match names; read it again."
    return Problem(Kind.PRECONDITION, text, issues=(Issue("conflict", text, "http.If-Match"),))


def attempted(type_: str, id_: str, action: Action = "R") -> tuple[Entity, ...]:
    """What a failed attempt was about; whose record it would have been is not known, so nobody's key is used."""
    return (Entity(b"", type_, id_[:64], 0, action),)  # an id has at most 64 characters; whatever is longer is noise
