# SPDX-License-Identifier: Apache-2.0
"""`ValueSet/$expand` and `ValueSet/$validate-code` (https://hl7.org/fhir/R4/valueset-operations.html)."""

from __future__ import annotations

from typing import Any

from salus.access.permissions import Permission
from salus.fhir.operations.definition import Definition, Parameter
from salus.fhir.terminology.compose import ValueSet, read
from salus.fhir.terminology.engine import Engine
from salus.fhir.terminology.membership import Membership
from salus.fhir.terminology.protocol import Cause, Coding, Verdict
from salus.fhir.terminology.written import Asked, expand
from salus.kernel.clock import instant
from salus.kernel.errors import Issue, Kind, Problem
from salus.kernel.ids import uuid7
from salus.records.operations.asking import DATE, LANGUAGE, Question, unknown
from salus.records.operations.codes import answer
from salus.records.operations.operation import Invocation, Operation, Result


async def expansion(call: Invocation) -> Result:
    """List the members of a value set."""
    question = Question(call)
    arguments = question.arguments
    membership = _membership(question)
    value_set = _value_set(question, membership)
    now = call.ctx.services.clock.now_ms()
    offset, count = arguments.one("offset") or 0, arguments.one("count")
    for name, value in (("offset", offset), ("count", count or 0)):
        if value < 0:
            raise arguments.wrong(name, f"{name} cannot be negative.")
    asked = Asked(
        identifier=f"urn:uuid:{uuid7()}",
        timestamp=instant(now),
        text=arguments.text("filter"),
        offset=offset,
        count=count,
        active_only=arguments.flag("activeOnly"),
        include_designations=arguments.flag("includeDesignations"),
        include_definition=arguments.flag("includeDefinition"),
        exclude_not_for_ui=arguments.flag("excludeNotForUI"),
        designations=arguments.all("designation"),
        language=arguments.text("displayLanguage"),
        nested=arguments.one("excludeNested") is False,
        left_out=frozenset(url.partition("|")[0] for url in arguments.all("exclude-system")),
    )
    expanded = expand(membership, value_set, asked)
    _check_versions(question, expanded)
    await question.note()
    return Result.of(expanded)


async def validate_code(call: Invocation) -> Result:
    """Say whether a code is a member."""
    question = Question(call)
    arguments = question.arguments
    engine = question.engine
    value_set = _value_set(question, engine.membership)
    codings = question.codings("valueSet")
    if not codings:
        raise arguments.wrong("code", "Send a code, a coding or a codeableConcept.", "required")
    verdicts = [_judged(question, engine, value_set, coding) for coding in codings]
    best = next((v for v in verdicts if v.result is True), None)
    best = best or next((v for v in verdicts if v.cause is Cause.WRONG_DISPLAY), None)
    best = best or next((v for v in verdicts if v.result is None), verdicts[0])
    await question.note()
    return Result.of(answer(best))


def _judged(question: Question, engine: Engine, value_set: ValueSet, coding: Coding) -> Verdict:
    verdict = engine.validate_in(value_set, coding, infer_system=not coding.system)
    if verdict.result is not True:
        return verdict
    source = engine.membership.source(verdict.system or coding.system, coding.version)
    return question.as_asked(verdict, source.find(coding.code) if source is not None else None)


def _value_set(question: Question, membership: Membership) -> ValueSet:
    """The value set that is meant.

    Raises:
        Problem: INCORRECT when none is named or several are; NOT_FOUND when it is not here.
    """
    arguments = question.arguments
    if question.resource is not None:
        return read(question.resource)
    named = [name for name in ("valueSet", "url", "context") if arguments.one(name) is not None]
    if len(named) != 1:
        text = "Name the value set: by url, by context, or by sending it as valueSet."
        raise arguments.wrong(named[1] if named else "url", text, "required")
    if named == ["valueSet"]:
        return read(arguments.one("valueSet"))
    url = arguments.text("url") if named == ["url"] else _bound(question)
    version = arguments.text("valueSetVersion")
    found = membership.value_set(f"{url}|{version}" if version and "|" not in url else url)
    if found is None:
        raise unknown("value set", arguments.places.get(named[0], named[0]))
    return found


def _bound(question: Question) -> str:
    """The value set that an element of a profile is bound to: `context` is `url#Element.path`."""
    url, _, path = question.arguments.text("context").partition("#")
    profile = question.definitions.find("StructureDefinition", url)
    stated = (profile.get("snapshot") or profile.get("differential") or {}) if profile is not None else {}
    for element in stated.get("element", ()):
        if path and path in {element.get("id"), element.get("path")}:
            bound = element.get("binding", {}).get("valueSet")
            if isinstance(bound, str):
                return bound
    text = "This server knows no profile with such an element that is bound to a value set."
    raise Problem(Kind.NOT_FOUND, text, issues=(Issue("not-found", text, "context"),))


def _membership(question: Question) -> Membership:
    pinned = _versions(question, "system-version") | _versions(question, "check-system-version")
    return Membership(question.definitions, pinned, _versions(question, "force-system-version"))


def _versions(question: Question, name: str) -> dict[str, str]:
    """Version by system out of canonicals `system|version`."""
    found = {}
    for canonical in question.arguments.all(name):
        system, bar, version = canonical.partition("|")
        if not bar or not version:
            raise question.arguments.wrong(name, f"{name} is written as system|version.")
        found[system] = version
    return found


def _check_versions(question: Question, expanded: dict[str, Any]) -> None:
    """`check-system-version`: a set that insists on another version is an error."""
    wanted = _versions(question, "check-system-version")
    for each in expanded["expansion"].get("parameter", ()):
        if each["name"] == "used-codesystem":
            system, _, version = each["valueUri"].partition("|")
            if system in wanted and version != wanted[system]:
                text = "The value set draws on another version of a code system than check-system-version allows."
                raise Problem(Kind.INVALID, text, issues=(Issue("conflict", text, "check-system-version"),))


# ── definitions ──────────────────────────────────────────────────────────────────────────────────────────────────────

_WHICH = (
    Parameter("url", "uri", "Canonical url of the value set, with or without |version."),
    Parameter("valueSet", "ValueSet", "The value set itself."),
    Parameter("valueSetVersion", "string", "Version of the value set; the newest that is here without it."),
    Parameter("context", "uri", "Instead of url: an element of a profile that is bound to it, `url#Element.path`."),
)

EXPAND = Operation(
    Definition(
        code="expand",
        title="List the members of a value set",
        doc="Lists the codes of a value set, whole or in pages. A value set that draws on what is not on this server "
        "is an error; the answer says which part.",
        levels=("type", "instance"),
        types=("ValueSet",),
        inputs=(
            *_WHICH,
            Parameter("contextDirection", "code", "Passed over: incoming and outgoing codes are the same here."),
            Parameter("filter", "string", "Words; each must begin a word of a name."),
            DATE,
            Parameter("offset", "integer", "Codes to leave out from the beginning."),
            Parameter("count", "integer", "Codes on the page; 0 for the total only."),
            Parameter("includeDesignations", "boolean", "Give the other names as well."),
            Parameter("designation", "string", "Uses or languages of names to give, as system|code.", max="*"),
            Parameter("includeDefinition", "boolean", "Give the definition of the value set as well."),
            Parameter("activeOnly", "boolean", "Leave retired codes out."),
            Parameter(
                "excludeNested",
                "boolean",
                "false: put codes below those above them; a page or a filtered list is flat.",
            ),
            Parameter("excludeNotForUI", "boolean", "Leave out codes that stand for groups."),
            Parameter("excludePostCoordinated", "boolean", "Passed over: there are no such codes here."),
            LANGUAGE,
            Parameter("exclude-system", "canonical", "Code systems to leave out.", max="*"),
            Parameter("system-version", "canonical", "Version for a system where none is named.", max="*"),
            Parameter("check-system-version", "canonical", "Version that must be used for a system.", max="*"),
            Parameter("force-system-version", "canonical", "Version to use whatever the set says.", max="*"),
        ),
        outputs=(Parameter("return", "ValueSet", "The value set with its expansion.", min=1),),
        standard="ValueSet-expand",
    ),
    Permission.TERMINOLOGY_READ,
    expansion,
)

VALIDATE_CODE = Operation(
    Definition(
        code="validate-code",
        title="Is this code in the value set",
        doc="Says whether a code is a member of a value set, and whether its display is right.",
        levels=("type", "instance"),
        types=("ValueSet",),
        inputs=(
            *_WHICH,
            Parameter("code", "code", "The code; without system the value set tells it."),
            Parameter("system", "uri", "Canonical url of the code system."),
            Parameter("systemVersion", "string", "Version of the code system."),
            Parameter("display", "string", "Display to check."),
            Parameter("coding", "Coding", "The code with its system."),
            Parameter("codeableConcept", "CodeableConcept", "Several codings, of which one must be a member."),
            DATE,
            Parameter("abstract", "boolean", "Whether a code that stands for a group is right here."),
            LANGUAGE,
        ),
        outputs=(
            Parameter("result", "boolean", "Whether it is a member.", min=1),
            Parameter("message", "string", "Why it is not, or what cannot be told."),
            Parameter("display", "string", "The right display."),
        ),
        standard="ValueSet-validate-code",
    ),
    Permission.TERMINOLOGY_READ,
    validate_code,
)
