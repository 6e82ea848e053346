# SPDX-License-Identifier: Apache-2.0
"""Value sets that a profile binds to an element (https://hl7.org/fhir/R4/terminologies.html#strength).

A required one must be kept: a code outside is an error. An extensible one is a warning, because a better code may have
been wanted. Preferred and example ones are advice. Where it is not known what the value set holds, that is said.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from salus.fhir.validate.finding import Severity
from salus.fhir.validate.profiles.run import Item, Run

Rule = Callable[[Run, Item], None]


def codings(item: Item) -> list[tuple[str, str]]:
    """System and code of everything that an item says in codes; the system is "" for a bare code."""
    value = item.value
    if type(value) is str:
        return [("", value)]
    if type(value) is not dict:
        return []
    if item.type == "CodeableConcept":
        every = value.get("coding")
        return [pair for one in (every if type(every) is list else []) for pair in _pair(one)]
    return _pair(value)


def is_member(run: Run, item: Item, value_set: str) -> bool | None:
    """Whether one of the item's codes is in the value set; None when it has none of which this is known to be so."""
    answers = [run.member(value_set, system, code) for system, code in codings(item)]
    if True in answers:
        return True
    return None if None in answers else False


def binding(strength: str, value_set: str) -> Rule | None:
    """The rule of a binding, or None when it is advice only."""
    name = value_set.partition("|")[0]

    def required(run: Run, item: Item) -> None:
        if not codings(item):
            if type(item.value) is dict and "extension" not in item.value:
                run.report(item.place, "code-invalid", f"must have a code of the value set {name}")
            return
        answer = is_member(run, item, value_set)
        if answer is False:
            run.report(item.place, "code-invalid", f"must have a code of the value set {name}")
        elif answer is None:
            unknown(run, item)

    def extensible(run: Run, item: Item) -> None:
        if not codings(item):
            return
        answer = is_member(run, item, value_set)
        if answer is False:
            words = f"should have a code of the value set {name}, unless none of them fits"
            run.report(item.place, "code-invalid", words, Severity.WARNING)
        elif answer is None:
            unknown(run, item)

    def unknown(run: Run, item: Item) -> None:
        words = f"has a code that could not be held against the value set {name}, which is not known here as a whole"
        run.report(item.place, "not-found", words, Severity.WARNING)

    return {"required": required, "extensible": extensible}.get(strength)


def _pair(coding: Any) -> list[tuple[str, str]]:
    if type(coding) is not dict or type(coding.get("code")) is not str:
        return []
    system = coding.get("system")
    return [(system if type(system) is str else "", coding["code"])]
