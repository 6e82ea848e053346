# SPDX-License-Identifier: Apache-2.0
"""Terminology for one request: what is installed on this server, and what the clinic itself wrote through FHIR.

A clinic's own ValueSet, CodeSystem or ConceptMap is a record like any other. It is found by its url through the index,
under the permit of whoever asks, so that nobody learns by way of a code what they may not read, and nothing crosses a
tenant's wall. It never takes the place of a definition that is installed or shipped: who may write a ValueSet cannot
change what a standard one means.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from salus.access.permissions import Permission
from salus.audit.event import Entity
from salus.fhir import json
from salus.fhir.terminology.code_system import ResourceSystem
from salus.fhir.terminology.engine import Engine
from salus.fhir.terminology.protocol import Cause, Coding, Subsumption, Verdict
from salus.fhir.terminology.source import CodeSource
from salus.kernel.errors import Kind, Problem
from salus.knowledge.library import Library
from salus.knowledge.versions import newness
from salus.records.candidates import hits
from salus.records.context import Context
from salus.records.finding import plan_of, read_query
from salus.records.store.store import entities

Resource = dict[str, Any]
T = TypeVar("T")

_OWN = frozenset({"CodeSystem", "ConceptMap", "StructureDefinition", "ValueSet"})
_MOST_VERSIONS = 50


class ClinicDefinitions:
    """Definitions that are installed, then those of the clinic; `Definitions` for one request.

    Attributes:
        touched: the clinic's records that were read, for the audit entry.
        reason: the grants that let them be read.
    """

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self.library: Library = ctx.knowledge
        self._own: dict[tuple[str, str, str], Resource | None] = {}
        self._sources: dict[tuple[str, str], CodeSource | None] = {}
        self.touched: dict[Entity, None] = {}
        self.reason = ""

    @property
    def generation(self) -> int:
        """That of what is installed."""
        return self.library.generation

    def find(self, type_: str, url: str, version: str = "") -> Resource | None:
        """A conformance resource by url; see `Canonicals.find`."""
        return self.library.find(type_, url, version) or self.own(type_, url, version)

    def all(self, type_: str) -> Iterable[tuple[str, str]]:
        """What is installed; the clinic's own are found by url only."""
        return self.library.all(type_)

    def source(self, url: str, version: str = "") -> CodeSource | None:
        """A code system; the clinic's own where none is installed, or only the note that it exists."""
        key = (url, version)
        if key not in self._sources:
            installed = self.library.source(url, version)
            own = None
            if installed is None or (not installed.complete and installed.count((), "", 0) == 0):
                resource = self.own("CodeSystem", url, version)
                if resource is not None and resource.get("content") != "supplement":
                    own = ResourceSystem(resource)
            self._sources[key] = own or installed
        return self._sources[key]

    def own(self, type_: str, url: str, version: str = "") -> Resource | None:
        """The clinic's newest resource with this url that the actor may search; None without one."""
        if "|" in url:
            url, _, version = url.partition("|")
        key = (type_, url, version)
        if key not in self._own:
            self._own[key] = self._searched(type_, url, version) if type_ in _OWN and url else None
        return self._own[key]

    def _searched(self, type_: str, url: str, version: str) -> Resource | None:
        ctx = self._ctx
        asked = [("url", _escaped(url)), *([("version", _escaped(version))] if version else [])]
        try:
            permit = ctx.decide(Permission.RECORD_SEARCH, type_)
            query = read_query(ctx, permit, asked)
        except Problem as problem:
            if problem.kind in {Kind.FORBIDDEN, Kind.INCORRECT}:  # not theirs to find, or no url that could be found
                return None
            raise
        best: tuple[Any, Resource] | None = None
        with ctx.store.reader.snapshot():
            for number, hit in enumerate(hits(ctx, permit, plan_of(ctx, permit, query))):
                if number >= _MOST_VERSIONS:
                    break
                resource = json.decode(hit.version.body)
                self.touched |= dict.fromkeys(entities(hit.row.owners, type_, hit.version.id, hit.row.version, "R"))
                rank = (resource.get("status") == "active", newness(resource.get("version", "")), -number)
                if best is None or rank > best[0]:
                    best = rank, resource
        if best is not None:
            self.reason = permit.reason
        return best[1] if best is not None else None


class ClinicTerminology:
    """A `Terminology` for one request. What is installed answers from its memory; only what it does not know is looked
    for among the clinic's records.
    """

    def __init__(self, ctx: Context) -> None:
        self.definitions = ClinicDefinitions(ctx)
        self._installed: Engine = self.definitions.library.engine()
        self._own: Engine | None = None

    @property
    def engine(self) -> Engine:
        """The engine over both."""
        if self._own is None:
            self._own = Engine(self.definitions)
        return self._own

    def validate_in_system(self, coding: Coding) -> Verdict:
        """See `Terminology`."""
        verdict = self._installed.validate_in_system(coding)
        return verdict if verdict.result is not None else self.engine.validate_in_system(coding)

    def validate_in_value_set(self, value_set: str, coding: Coding, *, infer_system: bool = False) -> Verdict:
        """See `Terminology`."""
        verdict = self._installed.validate_in_value_set(value_set, coding, infer_system=infer_system)
        if verdict.result is not None or verdict.cause in {Cause.BROKEN, Cause.TOO_COSTLY}:
            return verdict
        return self.engine.validate_in_value_set(value_set, coding, infer_system=infer_system)

    def validate_any(self, value_set: str, codings: Sequence[Coding]) -> Verdict:
        """See `Terminology`."""
        verdict = self._installed.validate_any(value_set, codings)
        return verdict if verdict.result is not None else self.engine.validate_any(value_set, codings)

    def member_of(self, value_set: str, system: str, code: str) -> bool | None:
        """See `Terminology`."""
        return self._either(lambda engine: engine.member_of(value_set, system, code))

    def subsumes(self, system: str, a: str, b: str) -> Subsumption:
        """See `Terminology`."""
        found = self._installed.subsumes(system, a, b)
        return found if found is not Subsumption.UNKNOWN else self.engine.subsumes(system, a, b)

    def descendants(self, system: str, code: str, limit: int = 10_000) -> frozenset[str] | None:
        """See `Terminology`."""
        return self._either(lambda engine: engine.descendants(system, code, limit))

    def ancestors(self, system: str, code: str) -> frozenset[str] | None:
        """See `Terminology`."""
        return self._either(lambda engine: engine.ancestors(system, code))

    def members(self, value_set: str, limit: int = 10_000) -> frozenset[tuple[str, str]] | None:
        """See `Terminology`."""
        return self._either(lambda engine: engine.members(value_set, limit))

    def _either(self, ask: Callable[[Engine], T | None]) -> T | None:
        found = ask(self._installed)
        return found if found is not None else ask(self.engine)


def _escaped(value: str) -> str:
    """A value as search reads it: what separates values is escaped (https://hl7.org/fhir/R4/search.html#escaping)."""
    for sign in ("\\", "$", ",", "|"):
        value = value.replace(sign, f"\\{sign}")
    return value
