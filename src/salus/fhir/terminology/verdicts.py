# SPDX-License-Identifier: Apache-2.0
"""Verdicts in words, and the check of displays. No sentence repeats a code or a display that was sent."""

from __future__ import annotations

from salus.fhir.terminology.protocol import Cause, Verdict
from salus.fhir.terminology.source import CodeSource, Concept

_WORDS = {
    Cause.UNKNOWN_SYSTEM: "The code system is not known to this server, so the code cannot be checked.",
    Cause.UNKNOWN_VERSION: "This server has the code system, but not in the version that is asked for.",
    Cause.UNKNOWN_VALUE_SET: "The value set, or one that it imports, is not known to this server.",
    Cause.NOT_MEMBER: "The code is not in the value set.",
    Cause.UNKNOWN_CODE: "The code does not exist in its code system.",
    Cause.NO_SYSTEM: "The code system cannot be told from the value set; name it.",
    Cause.INCOMPLETE: "The code system is here in part only, and the code is not in that part.",
    Cause.BROKEN: "The value set cannot be evaluated.",
    Cause.ABSTRACT: "The code stands for a group of concepts and may not be chosen.",
    Cause.TOO_COSTLY: "The value set is too large to be evaluated here.",
}


def without(cause: Cause, result: bool | None, source: CodeSource | None = None, words: str = "") -> Verdict:
    """A verdict that is no or unknown."""
    message = words or _WORDS[cause]
    if source is not None and cause is Cause.INCOMPLETE and not source.count((), "", 0):
        message = "The codes of this system are not on this server, so the code cannot be checked."
    if source is not None and cause in {Cause.UNKNOWN_CODE, Cause.INCOMPLETE}:
        message = f"{source.name}: {message[0].lower()}{message[1:]}"
    system, version = (source.url, source.version) if source is not None else ("", "")
    return Verdict(result, cause, message, system=system, version=version)


def found(source: CodeSource, concept: Concept, stated: str) -> Verdict:
    """A verdict on a concept that is there: yes, unless the stated display is none of its names."""
    if stated and not names_it(concept, stated):
        message = f"{source.name} has another display for this code."
        return Verdict(False, Cause.WRONG_DISPLAY, message, concept.display, source.url, source.version)
    return Verdict(True, display=concept.display, system=source.url, version=source.version)


def names_it(concept: Concept, stated: str) -> bool:
    """Whether a display is the concept's, or one of its other names; case and spaces do not count."""
    wanted = _plain(stated)
    if not concept.display and not concept.designations:
        return True  # the system gives no name that could be wrong
    return wanted == _plain(concept.display) or any(wanted == _plain(each.value) for each in concept.designations)


def _plain(words: str) -> str:
    return " ".join(words.casefold().split())
