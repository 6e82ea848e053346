# SPDX-License-Identifier: Apache-2.0
"""What somebody may allow an application, as boxes on a page, and what a form with ticked boxes means.

Pure. A box is ticked for a whole scope, or boxes below it for a part: categories of Condition and Observation, kinds of
entries for `*` (ONC certification 170.315(g)(10), AUT-PAT-10 and AUT-PAT-33). Nothing is ticked that the person did not
allow the same application before.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from salus.identity.smart.scopes import Description, Scope, Word, describe, granular, parse

OFFLINE = "offline_access"

_KINDS = (
    "Patient",
    "AllergyIntolerance",
    "Appointment",
    "CarePlan",
    "CareTeam",
    "Condition",
    "Coverage",
    "DiagnosticReport",
    "DocumentReference",
    "Encounter",
    "ExplanationOfBenefit",
    "Goal",
    "Immunization",
    "MedicationRequest",
    "Observation",
    "Procedure",
    "Provenance",
    "ServiceRequest",
)
"""What is offered in place of `*`: the kinds of entries that a chart mostly consists of."""


@dataclass(frozen=True, slots=True)
class Part:
    """A box below a box: the scope in a form, and what it is about."""

    text: str
    words: str
    ticked: bool


@dataclass(frozen=True, slots=True)
class Choice:
    """A box: a scope, in words.

    Attributes:
        text: the scope, as it stands in a form.
        words: the sentence beside the box.
        note: what to know before ticking it; empty if nothing.
        ticked: whether it was allowed before.
        parts: narrower scopes that can be ticked in place of it.
    """

    text: str
    words: str
    note: str
    ticked: bool
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Offer:
    """What an application asks for, sorted for the page.

    Attributes:
        about_you: sentences for scopes that come with any answer but no.
        records: boxes for records.
        offline: whether it asks to keep its access while nobody is there; a box of its own.
        offline_ticked: whether that was allowed before.
    """

    about_you: tuple[str, ...]
    records: tuple[Choice, ...]
    offline: bool
    offline_ticked: bool


def offer(scopes: Iterable[str], before: Iterable[str] = ()) -> Offer:
    """Sort what is asked for.

    Args:
        scopes: what may be given at most.
        before: what the same person allows the same application already.
    """
    asked, known = [parse(text) for text in scopes], frozenset(before)
    about = tuple(
        dict.fromkeys(describe(scope).sentence for scope in asked if isinstance(scope, Word) and scope.text != OFFLINE)
    )
    records = tuple(_choice(scope, known) for scope in asked if isinstance(scope, Scope))
    return Offer(about, records, Word(OFFLINE) in asked, OFFLINE in known)


def granted(scopes: Iterable[str], ticked: Iterable[str]) -> tuple[str, ...]:
    """What a form allows: the scopes that come with any answer, and those that are ticked.

    Args:
        scopes: what may be given at most.
        ticked: texts of ticked boxes; a part is dropped when its whole is ticked too. Whether they are within what may
            be given, `Interactions.approve` checks.

    Returns:
        Scopes in the order of the request; without any scope for records when no box for one was ticked.
    """
    chosen = dict.fromkeys(ticked)
    given: dict[str, None] = {}
    for text in scopes:
        scope = parse(text)
        if isinstance(scope, Word):
            if text != OFFLINE or text in chosen:
                given[text] = None
        elif text in chosen:
            given[text] = None
        elif isinstance(scope, Scope):
            given.update((part.text, None) for part in _parts(scope, frozenset()) if part.text in chosen)
    return tuple(given)


def opens_records(scopes: Iterable[str]) -> bool:
    """Whether any of the scopes is about records."""
    return any(isinstance(parse(text), Scope) for text in scopes)


def _choice(scope: Scope, before: frozenset[str]) -> Choice:
    told = describe(scope)
    return Choice(scope.text, told.sentence, told.note, scope.text in before, tuple(_parts(scope, before)))


def _parts(scope: Scope, before: frozenset[str]) -> list[Part]:
    if scope.type == "*" and not scope.params:
        narrower: list[Scope] = [replace(scope, type=kind) for kind in _KINDS]
    else:
        narrower = granular(scope)
    return [Part(part.text, _about(describe(part)), part.text in before) for part in narrower]


def _about(told: Description) -> str:
    return told.what[:1].upper() + told.what[1:]
