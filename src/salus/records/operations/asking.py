# SPDX-License-Identifier: Apache-2.0
"""What the terminology operations share: definitions, the resource of the address, codings, the audit entry.

On an instance the resource is read under `record:read`, like anybody else's reading of it.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

from salus.access.permissions import Permission
from salus.audit.event import Entity
from salus.fhir import json
from salus.fhir.operations.definition import Parameter
from salus.fhir.terminology.code_system import ResourceSystem
from salus.fhir.terminology.engine import Engine
from salus.fhir.terminology.protocol import Cause, Coding, Verdict
from salus.fhir.terminology.source import CodeSource, Concept
from salus.fhir.terminology.written import in_language
from salus.kernel.errors import Issue, Kind, Problem
from salus.records.operations.operation import Invocation
from salus.records.store.store import entities
from salus.records.terminology import ClinicTerminology
from salus.records.wording import absent, gone

Resource = dict[str, Any]

LANGUAGE = Parameter("displayLanguage", "code", "Language of the display, BCP 47.")
DATE = Parameter("date", "dateTime", "Not supported: definitions are answered as they are now.")


class Question:
    """One call of a terminology operation.

    Attributes:
        arguments: what was sent.
        definitions: installed ones and the clinic's.
        resource: that of the address, on an instance.
    """

    def __init__(self, call: Invocation) -> None:
        """Raises Problem(INCORRECT) for `date`, and as a read does on an instance."""
        self._call = call
        self.arguments = call.arguments
        if call.arguments.one("date") is not None:
            text = "Definitions are answered as they are now; leave date out."
            raise call.arguments.wrong("date", text, "not-supported")
        self._terminology = ClinicTerminology(call.ctx)
        self.definitions = self._terminology.definitions
        self._entities: tuple[Entity, ...] = ()
        self.resource: Resource | None = self._read() if call.id else None

    @property
    def engine(self) -> Engine:
        """Answers over everything that the actor may use."""
        return self._terminology.engine

    @property
    def own_url(self) -> str:
        """The url of the resource of the address; "" on the type."""
        return str(self.resource.get("url", "")) if self.resource is not None else ""

    @cached_property
    def sent_source(self) -> CodeSource | None:
        """The code system of the address, or the one that was sent along."""
        sent = self.resource if self.resource is not None else self.arguments.one("codeSystem")
        return ResourceSystem(sent) if sent is not None and sent.get("resourceType") == "CodeSystem" else None

    def codings(self, sent: str) -> list[Coding]:
        """What is to be checked: a code, a coding or the codings of a concept.

        Args:
            sent: the parameter that may carry the code system or value set itself.

        Raises:
            Problem: INCORRECT when more than one is sent.
        """
        arguments = self.arguments
        names = self.carriers()
        if len(names) > 1:
            raise arguments.wrong(names[1], "Send only one of code, coding and codeableConcept.")
        if not names:
            return []
        if names == ["code"]:
            return [self._bare(sent)]
        url = self.own_url or arguments.text("url") if sent == "codeSystem" else ""
        return [coding._replace(system=coding.system or url) for coding in self.stated(names[0])]

    def carriers(self) -> list[str]:
        """Which of the parameters that carry a code were sent."""
        return [name for name in ("code", "coding", "codeableConcept") if self.arguments.one(name) is not None]

    def stated(self, name: str) -> list[Coding]:
        """The codings with a code in `coding` or `codeableConcept`."""
        value = self.arguments.one(name)
        stated = value.get("coding", []) if name == "codeableConcept" else [value]
        return [coding_of(each) for each in stated if each.get("code")]

    def as_asked(self, verdict: Verdict, concept: Concept | None) -> Verdict:
        """A verdict on a code that is there, as `abstract` and `displayLanguage` want it."""
        if verdict.result is not True or concept is None:
            return verdict
        if concept.abstract and not self.arguments.flag("abstract"):
            text = "The code stands for a group of concepts and may not be chosen."
            return verdict._replace(result=False, cause=Cause.ABSTRACT, message=text)
        language = self.arguments.text("displayLanguage")
        return verdict._replace(display=in_language(concept.designations, language) or verdict.display)

    def _bare(self, sent: str) -> Coding:
        arguments = self.arguments
        if sent == "codeSystem":
            resource = arguments.one(sent)
            url = self.own_url or arguments.text("url") or (resource.get("url", "") if resource is not None else "")
            version = arguments.text("version")
        else:
            url, version = arguments.text("system"), arguments.text("systemVersion")
        return Coding(url, arguments.text("code"), arguments.text("display"), version)

    async def note(self) -> None:
        """Write the audit entry: the operation, and the clinic's records that took part."""
        touched = dict.fromkeys(self._entities) | self.definitions.touched
        permit = self._call.permit
        reasons = [permit.reason if permit is not None else "", self.definitions.reason]
        await self._call.note(tuple(touched), "; ".join(dict.fromkeys(reason for reason in reasons if reason)))

    def _read(self) -> Resource:
        ctx, type_, id_ = self._call.ctx, self._call.type, self._call.id
        permit = ctx.decide(Permission.RECORD_READ, type_)
        row = ctx.store.newest(permit, id_)
        if row is None:
            raise absent()
        version = ctx.store.open(permit, row)
        if row.deleted:
            raise gone(row.version)
        self._entities = entities(row.owners, type_, id_, version.version, "R")
        return json.decode(version.body)


def coding_of(stated: Resource) -> Coding:
    """A Coding as FHIR writes it."""
    return Coding(
        stated.get("system", ""), stated.get("code", ""), stated.get("display", ""), stated.get("version", "")
    )


def unknown(what: str, place: str) -> Problem:
    """The refusal of a canonical that is not here."""
    text = f"The {what} is not known to this server."
    return Problem(Kind.NOT_FOUND, text, issues=(Issue("not-found", text, place),))
