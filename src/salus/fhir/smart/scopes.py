# SPDX-License-Identifier: Apache-2.0
"""The grammar of SMART scopes: text in, a `Scope` or `Word` out, and text again.

    patient/Observation.rs?category=http://terminology.hl7.org/CodeSystem/observation-category|laboratory

What `parse` gives back can be enforced as it stands: known type, letters in the order of the standard, conditions that
a record can be judged by. Everything else is None. It must not be guessed at, because a scope that is read too widely
opens records: SMART leaves it to the server to ignore or reject what is undefined or out of order.

Version 2 is written back as version 2, and version 1 (`patient/Observation.read`) as version 1.
https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache

from salus.fhir.definitions import resource_types
from salus.fhir.smart.conditions import Parameters, parameters, written
from salus.kernel.errors import Kind, Problem

LETTERS = "cruds"
"""create, read, update, delete, search: the only order in which they may stand."""

LONGEST = 8_192
"""Characters of a whole list of scopes."""

MOST = 200
"""Scopes in one list."""

V1 = {"read": "rs", "write": "cud", "*": "cruds"}
"""What the words of version 1 mean in letters (SMART App Launch 2.2, `permission-v1`)."""

_LONGEST_ONE = 2_048
_FORM = re.compile(
    r"(patient|user|system)/(\*|[A-Z][A-Za-z]{1,63})\.(?:(read|write|\*)|(?=[cruds])(c?r?u?d?s?)(?:\?(.+))?)"
)
_ROLE = re.compile(r"launch/(patient|encounter)\?role=launch")
_CHARACTERS = re.compile(r"[\x21\x23-\x5b\x5d-\x7e ]*")  # RFC 6749, 3.3

WORDS: dict[str, str] = {
    "openid": "Know who you are",
    "fhirUser": "See your own entry in the record: your name and contact details",
    "profile": "See your own entry in the record: your name and contact details",
    "launch": "Take over the patient and encounter that you have open",
    "launch/patient": "Know which patient is chosen",
    "launch/encounter": "Know which encounter is chosen",
    "online_access": "Keep its access for as long as you are signed in",
    "offline_access": "Keep its access when you are not using it, until you take it away",
}
"""Scopes that are no resource scopes, each with what it means to a person who is asked to agree."""


@dataclass(frozen=True, slots=True)
class Word:
    """A scope about the launch, the person or how long access lasts; it opens no records by itself, but for `fhirUser`
    (and its older name `profile`), which lets the application read the resource that stands for the person."""

    text: str


@dataclass(frozen=True, slots=True)
class Scope:
    """A scope about resources.

    Attributes:
        context: `patient`, `user` or `system`.
        type: resource type, or `*`.
        letters: some of `cruds`, in this order.
        params: (parameter, values as written in a search), all of which a record must fulfil; sorted.
        v1: asked for, and to be written, in the words of version 1.
    """

    context: str
    type: str
    letters: str
    params: Parameters = ()
    v1: bool = False

    @property
    def text(self) -> str:
        """As it stands in a token and in answers."""
        if self.v1 and not self.params:  # version 1 has no words for a condition
            for word, letters in V1.items():
                if letters == self.letters:
                    return f"{self.context}/{self.type}.{word}"
        return f"{self.context}/{self.type}.{self.letters}" + (f"?{written(self.params)}" if self.params else "")

    def covers(self, other: Scope) -> bool:
        """Whether everything that the other one opens is opened by this one."""
        return (
            self.context == other.context
            and self.type in ("*", other.type)
            and set(other.letters) <= set(self.letters)
            and set(self.params) <= set(other.params)
        )

    def within(self, other: Scope) -> Scope | None:
        """What both open: never more than either of them. None when that is nothing."""
        if self.context != other.context or (self.type != other.type and "*" not in (self.type, other.type)):
            return None
        letters = "".join(letter for letter in self.letters if letter in other.letters)
        if not letters:
            return None
        type_ = other.type if self.type == "*" else self.type
        params = tuple(sorted({*self.params, *other.params}))
        return replace(self, type=type_, letters=letters, params=params)


@lru_cache(maxsize=4096)
def parse(text: str) -> Scope | Word | None:
    """Read one scope; None for what is undefined, out of order, or cannot be enforced to the letter."""
    if text in WORDS:
        return Word(text)
    if _ROLE.fullmatch(text):  # a role that is the default: https://hl7.org/fhir/smart-app-launch/STU2.2 `fhirContext`
        return Word(text.partition("?")[0])
    found = _FORM.fullmatch(text) if len(text) <= _LONGEST_ONE else None
    if found is None or not (found[2] == "*" or found[2] in resource_types()):
        return None
    if found[3]:
        return Scope(found[1], found[2], V1[found[3]], v1=True)
    if found[5] is None:
        return Scope(found[1], found[2], found[4])
    params = parameters(found[2], found[5])
    return Scope(found[1], found[2], found[4], params) if params else None


def normalise(text: str) -> tuple[Scope | Word, ...]:
    """Read a list of scopes separated by spaces; what cannot be enforced and repetitions are left out.

    Raises:
        Problem: INCORRECT for a list that is too long or holds characters that no scope has (RFC 6749, 3.3).
    """
    if len(text) > LONGEST or text.count(" ") >= MOST:
        raise Problem(Kind.INCORRECT, "The list of scopes is too long.")
    if not _CHARACTERS.fullmatch(text):
        raise Problem(Kind.INCORRECT, "The list of scopes holds characters that no scope has.")
    return tuple(dict.fromkeys(scope for part in text.split(" ") if (scope := parse(part)) is not None))


def written_list(scopes: Iterable[Scope | Word]) -> str:
    """The `scope` of an answer."""
    return " ".join(scope.text for scope in scopes)
