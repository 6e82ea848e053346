# SPDX-License-Identifier: Apache-2.0
"""Scopes of a session, which can only narrow what its roles give.

The grammar is that of SMART App Launch 2.2 (`salus.fhir.smart.scopes`). Scopes add up to each other and are then held
against what the policy gives; a scope that is not understood adds nothing. A session of an application without a scope
has nothing at all. https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html

A `patient/` scope opens records of the one patient in the context of the launch, whoever is signed in and whatever else
they may see.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from salus.access.permissions import Permission
from salus.fhir.smart.conditions import Parameters
from salus.fhir.smart.scopes import Scope, Word, parse
from salus.fhir.smart.sharing import OWNED, SHARED
from salus.kernel.actor import Actor

_LETTERS: dict[Permission, str] = {
    Permission.RECORD_CREATE: "c",
    Permission.RECORD_READ: "r",
    Permission.RECORD_VREAD: "r",
    Permission.RECORD_HISTORY: "r",  # of one record; that of a type is asked for with `s`
    Permission.RECORD_UPDATE: "u",
    Permission.RECORD_DELETE: "d",
    Permission.RECORD_SEARCH: "s",
    Permission.RECORD_MATCH: "rs",
}
_READING = frozenset("rs")
_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")  # https://hl7.org/fhir/R4/datatypes.html#id
_HIMSELF = frozenset({"fhirUser", "profile"})


@dataclass(frozen=True, slots=True)
class Opening:
    """A part of the records of a type that scopes open.

    Attributes:
        patient: id of the patient who alone must own them; empty for any owner.
        params: search parameters that their content must fulfil.
        shared: records that nobody owns are opened as well.
    """

    patient: str = ""
    params: Parameters = ()
    shared: bool = True

    def covers(self, other: Opening) -> bool:
        """Whether this one opens all that the other does."""
        owners = not self.patient or (self.patient == other.patient and self.shared >= other.shared)
        return owners and set(self.params) <= set(other.params)


ALL = (Opening(),)
"""Everything that the policy gives."""


def narrowed(actor: Actor) -> bool:
    """Whether scopes stand between the actor and what their roles give."""
    return bool(actor.scopes or actor.client)


def openings(actor: Actor, permission: Permission, type_: str, letters: str = "") -> tuple[Opening, ...]:
    """What the scopes of a session open of a type.

    Args:
        actor: who asks; without scopes and without an application nothing is narrowed.
        permission: a record permission.
        type_: FHIR type.
        letters: letters of a scope that are needed instead of those of the permission.

    Returns:
        `ALL` when roles alone decide; empty when nothing remains; else parts of which any will do.
    """
    if not narrowed(actor):
        return ALL
    needed = letters or _LETTERS[permission]
    given: dict[Opening, set[str]] = {}
    for opening, letters_given in _given(actor, type_):
        given.setdefault(opening, set()).update(letters_given)
    found = [opening for opening, letters_given in given.items() if letters_given.issuperset(needed)]
    return tuple(one for one in found if not any(other is not one and other.covers(one) for other in found))


def _given(actor: Actor, type_: str) -> Iterator[tuple[Opening, frozenset[str]]]:
    """What each scope opens of a type, with the letters for which it does."""
    for text in actor.scopes:
        scope = parse(text)
        if isinstance(scope, Word):
            kind, _, id_ = actor.party.partition("/")
            if scope.text in _HIMSELF and kind == type_ and _ID.fullmatch(id_):
                yield Opening(params=(("_id", id_),)), frozenset("r")
        elif scope is not None and scope.type in ("*", type_) and _speaks_for(scope, actor):
            if scope.context != "patient":
                yield Opening(params=scope.params), frozenset(scope.letters)
            elif patient := _patient(actor):
                yield from _of_patient(scope, patient, type_)


def _speaks_for(scope: Scope, actor: Actor) -> bool:
    """`system` speaks for software alone, `user` and `patient` for a person."""
    return (scope.context == "system") == (actor.kind == "service")


def _patient(actor: Actor) -> str:
    """The patient in context: that of the launch, or the person who is signed in."""
    kind, _, id_ = actor.party.partition("/")
    patient = actor.patient or (id_ if kind == "Patient" else "")
    return patient if _ID.fullmatch(patient) else ""


def _of_patient(scope: Scope, patient: str, type_: str) -> Iterator[tuple[Opening, frozenset[str]]]:
    letters = frozenset(scope.letters)
    if type_ in OWNED:
        yield Opening(patient, scope.params, shared=False), letters
    elif type_ in SHARED:
        yield Opening(patient, scope.params), letters & _READING
