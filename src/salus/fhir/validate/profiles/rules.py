# SPDX-License-Identifier: Apache-2.0
"""Rules about one value: fixed values and bounds, invariants, profiles of its type and of what it refers to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from salus.fhir.validate.finding import Severity
from salus.fhir.validate.profiles.invariants import invariant
from salus.fhir.validate.profiles.paths import resolved
from salus.fhir.validate.profiles.run import Item, Run
from salus.fhir.validate.profiles.values import below, equal, fits

Json = dict[str, Any]
Rule = Callable[[Run, Item], None]

DEEPEST: Final = 12  # profiles that name profiles that name profiles


def kept(key: str, said: Json) -> Rule:
    """An invariant is kept."""
    ask = invariant(said["expression"])
    severity = Severity.WARNING if said.get("severity") == "warning" else Severity.ERROR
    words = f"breaks {key} of the profile: {str(said.get('human', '')).strip().removesuffix('.')}"

    def rule(run: Run, item: Item) -> None:
        if ask is not None and ask(run, item) is False:
            run.report(item.place, "invariant", words, severity)

    return rule


def _fixed(value: Any) -> Rule:
    def rule(run: Run, item: Item) -> None:
        if not equal(item.value, value):
            run.report(item.place, "value", "must have exactly the value that the profile fixes")

    return rule


def _pattern(value: Any) -> Rule:
    def rule(run: Run, item: Item) -> None:
        if not fits(item.value, value):
            run.report(item.place, "value", "must have everything that the pattern of the profile has")

    return rule


def _least(value: Any) -> Rule:
    def rule(run: Run, item: Item) -> None:
        if below(item.value, value):
            run.report(item.place, "value", "is less than the profile allows")

    return rule


def _greatest(value: Any) -> Rule:
    def rule(run: Run, item: Item) -> None:
        if below(value, item.value):
            run.report(item.place, "value", "is more than the profile allows")

    return rule


def _longest(value: Any) -> Rule:
    def rule(run: Run, item: Item) -> None:
        if type(item.value) is str and len(item.value) > value:
            run.report(item.place, "value", f"has more than the {value} characters that the profile allows")

    return rule


VALUES: Final[dict[str, Callable[[Any], Rule]]] = {
    "fixed": _fixed,
    "pattern": _pattern,
    "minValue": _least,
    "maxValue": _greatest,
    "maxLength": _longest,
}


def conforming(profiles: dict[str, tuple[str, ...]]) -> Rule:
    """The value fulfils one of the profiles on its type."""

    def rule(run: Run, item: Item) -> None:
        wanted = profiles.get(item.type) or profiles.get("Resource") or ()
        if not wanted or run.depth > DEEPEST:
            return
        if len(wanted) == 1:
            run.profiles.conforms(run, item, wanted[0])
            return
        for canonical in wanted:
            hushed = run.hushed()
            if run.profiles.conforms(hushed, item, canonical) is None or not hushed.failed:
                return
        run.report(item.place, "structure", "fulfils none of the profiles that may stand here")

    return rule


def pointing(kinds: frozenset[str], profiles: tuple[str, ...]) -> Rule:
    """The reference points to one of the types and, where its target is at hand, to one that fulfils a profile."""

    def rule(run: Run, item: Item) -> None:
        target = resolved(run, item)
        if target is None or "" in kinds:
            return
        if target.type not in kinds:
            run.report(item.place, "structure", "points to a type that the profile does not allow here")
            return
        if target.value is None or not profiles or run.depth > DEEPEST:
            return
        for canonical in profiles:
            hushed = run.hushed()
            if run.profiles.conforms(hushed, target, canonical) is None or not hushed.failed:
                return
        run.report(
            item.place, "structure", "points to a resource that fulfils none of the profiles that the profile asks for"
        )

    return rule
