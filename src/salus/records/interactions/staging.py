# SPDX-License-Identifier: Apache-2.0
"""What the entries of a transaction come to: whole resources, a few entries together, one stage after the other.

A stage that goes over many entries finds its code and tables still in the processor's cache; that makes writing a
Bundle about a fifth cheaper than doing everything for one entry and then for the next. What is raised is the same: the
problem of the first entry that fails.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from salus.access.permissions import Permission
from salus.access.permit import Permit
from salus.audit.event import Entity
from salus.fhir.references import rewrite
from salus.kernel.breath import Breath
from salus.kernel.errors import Issue, Kind, Problem
from salus.records.context import Context
from salus.records.draft import Draft, Drafting, Prepared
from salus.records.finding import Found
from salus.records.interactions import create, update
from salus.records.interactions.answer import Answer, answer_made
from salus.records.interactions.entry import Entry, placed
from salus.records.interactions.targets import Targets, pin
from salus.records.store.write import Guard
from salus.records.wording import wrong_id

_TOGETHER = 32  # entries; more gain nothing
_LARGE = 32 * 1024  # bytes of a resource

T = TypeVar("T")


@dataclass(slots=True)
class Staging:
    """What the entries of a Bundle have come to so far.

    Attributes:
        pins: whether references may ask to become version-specific.
        prepared: versions to be written.
        guards: what conditional entries rely on.
        answers: by position in the Bundle.
        read: records that conditional entries found.
        named: (type, id) of everything that is changed.
        kept: (type, id) of everything that conditional creates rely on.
        same: entries that ask for the same new record as an earlier one, by position.
        written: `Type/id` of every record that an entry makes or changes.
        promised: versions that references were given, by `Type/id`.
        matches: what the conditions of conditional updates match, by position.
    """

    pins: bool = False
    prepared: list[Prepared] = field(default_factory=list)
    guards: list[Guard] = field(default_factory=list)
    answers: dict[int, Answer] = field(default_factory=dict)
    read: list[Entity] = field(default_factory=list)
    named: set[tuple[str, str]] = field(default_factory=set)
    kept: set[tuple[str, str]] = field(default_factory=set)
    same: dict[int, Entry] = field(default_factory=dict)
    written: set[str] = field(default_factory=set)
    promised: dict[str, int] = field(default_factory=dict)
    matches: dict[int, tuple[Found | None, Guard]] = field(default_factory=dict)


@dataclass(slots=True)
class _Line:
    """A POST or PUT on its way: what the stages have found out about it.

    Attributes:
        large: whether others may want their turn after each of its stages.
    """

    entry: Entry
    resource: dict[str, Any] = field(init=False)
    permit: Permit = field(init=False)
    draft: Draft = field(init=False)
    makes: bool = True
    large: bool = False


async def stage_wholes(
    ctx: Context, entries: Sequence[Entry], targets: Targets, staging: Staging, breath: Breath
) -> None:
    """Stage entries that bring whole resources (POST and PUT), in their order.

    Raises:
        Problem: what the first entry that fails raises, with its place.
    """
    for start in range(0, len(entries), _TOGETHER):
        slice_ = _Slice(ctx, targets, staging)
        await slice_.go([_Line(entry) for entry in entries[start : start + _TOGETHER]], breath)


class _Slice:
    """The stages of some entries."""

    def __init__(self, ctx: Context, targets: Targets, staging: Staging) -> None:
        self._ctx = ctx
        self._targets = targets
        self._staging = staging
        self._drafting = Drafting(ctx)

    async def go(self, lines: list[_Line], breath: Breath) -> None:
        """One stage after the other; one is over for all entries before the next begins."""
        before = (self._refer, self._name, self._permit, self._check, self._draft)
        failed = await _through(before, lines, lines, breath)
        drafts = [line.draft for line in lines]
        failed = await _through(self._drafting.stages(), drafts, lines, breath) or failed
        failed = await _through((self._seal,), lines, lines, breath) or failed
        if failed is not None:
            with placed(failed[0]):
                raise failed[1]

    def _refer(self, line: _Line) -> None:
        """References to other entries become references to records."""
        entry, staging = line.entry, self._staging
        resource = entry.brought()
        if resource is None:
            raise Problem(Kind.INCORRECT, f"{entry.method} needs a resource.")
        rewrite(resource, self._targets.seen_from(entry.full_url))
        if staging.pins:
            pin(resource, lambda target: promise(self._ctx, target, staging))
        line.resource = resource
        line.large = len(entry.text) > _LARGE or not entry.text

    def _name(self, line: _Line) -> None:
        """What a PUT writes to is named once; a conditional one has found its target before."""
        entry, staging = line.entry, self._staging
        if entry.method == "POST":
            return
        named = entry.id
        if entry.query:
            found, guard = staging.matches[entry.index]
            if found is None:
                staging.guards.append(guard)
            elif line.resource.get("id", found.version.id) != found.version.id:
                raise wrong_id("resource.id")
            named = found.version.id if found else f"?{entry.query}"
            line.resource = {**line.resource, "id": entry.id}
        name(entry, named, staging)

    def _permit(self, line: _Line) -> None:
        entry = line.entry
        if entry.method == "POST":
            line.permit = create.permitted(self._ctx, entry.type)
        else:
            line.permit = update.permitted(self._ctx, entry.type, entry.id)

    def _check(self, line: _Line) -> None:
        self._ctx.services.validator.check(line.resource, line.entry.type)

    def _draft(self, line: _Line) -> None:
        entry, permit = line.entry, line.permit
        if entry.method == "POST":
            line.draft = create.first(permit, line.resource, entry.id)
        else:
            line.draft, line.makes = update.following(self._ctx, permit, entry.id, line.resource, entry.if_match)

    def _seal(self, line: _Line) -> None:
        made = self._drafting.seal(line.draft)
        self._staging.prepared.append(made)
        self._staging.answers[line.entry.index] = answer_made(made.shown, line.makes)


async def _through(
    stages: Iterable[Callable[[T], object]], things: list[T], lines: list[_Line], breath: Breath
) -> tuple[Entry, Problem] | None:
    """Put what stands for lines through stages; those from the first that fails on are left out of both lists.

    Those before it may still fail in a later stage, and are told instead.
    """
    failed: tuple[Entry, Problem] | None = None
    for stage in stages:
        at = 0
        try:
            for thing in things:
                stage(thing)
                at += 1
                if lines[at - 1].large and breath.due:
                    await breath.pause()
        except Problem as problem:
            failed = lines[at].entry, problem
            del things[at:], lines[at:]
        if breath.due:
            await breath.pause()
    return failed


def name(entry: Entry, id_: str, staging: Staging) -> None:
    """Note what an entry changes; no other may change it or rely on it (https://hl7.org/fhir/R4/http.html#trules)."""
    if (entry.type, id_) in staging.named or (entry.type, id_) in staging.kept:
        text = "The transaction names this record twice."
        raise Problem(Kind.INCORRECT, text, issues=(Issue("duplicate", text),))
    staging.named.add((entry.type, id_))


def promise(ctx: Context, target: str, staging: Staging) -> int:
    """The version that a record of this Bundle gets; 0 for any other."""
    if target not in staging.written:
        return 0
    if target not in staging.promised:
        type_, _, id_ = target.partition("/")
        staged = next((one for one in staging.prepared if (one.version.type, one.version.id) == (type_, id_)), None)
        if staged is None:
            row = ctx.store.newest(ctx.decide(Permission.RECORD_UPDATE, type_), id_)
            staging.promised[target] = row.version + 1 if row is not None else 1
        else:
            staging.promised[target] = staged.version.version
    return staging.promised[target]
