# SPDX-License-Identifier: Apache-2.0
"""`ConceptMap/$translate` (https://hl7.org/fhir/R4/conceptmap-operation-translate.html)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from salus.access.permissions import Permission
from salus.fhir.operations.answer import parameters
from salus.fhir.operations.definition import Definition, Parameter
from salus.fhir.terminology.protocol import Coding
from salus.fhir.terminology.translation import Asked, Match, applies, translate
from salus.kernel.errors import Kind, Problem
from salus.records.operations.asking import Question, unknown
from salus.records.operations.operation import Invocation, Operation, Result

Resource = dict[str, Any]

_MAX_MATCHES = 1_000


async def translation(call: Invocation) -> Result:
    """Translate a code by one map, or by every installed map that is from and to the right value sets."""
    question = Question(call)
    codings = _codings(question)
    dependencies = _dependencies(question)
    target, reverse = question.arguments.text("targetsystem"), question.arguments.flag("reverse")
    matches: list[Match] = []
    for concept_map in _maps(question):
        for coding in codings:
            asked = Asked(coding, target, dependencies, reverse)
            matches += translate(question.definitions, concept_map, asked)
            if len(matches) > _MAX_MATCHES:
                raise Problem(Kind.TOO_COSTLY, f"There are more than {_MAX_MATCHES} translations; name one map.")
    await question.note()
    return Result.of(_answer(matches))


def _maps(question: Question) -> Iterator[Resource]:
    """The maps to use.

    Raises:
        Problem: INCORRECT when it is not said which; NOT_FOUND.
    """
    arguments = question.arguments
    if question.resource is not None:
        yield question.resource
        return
    sent, url = arguments.one("conceptMap"), arguments.text("url")
    if sent is not None:
        yield sent
    elif url:
        found = question.definitions.find("ConceptMap", url, arguments.text("conceptMapVersion"))
        if found is None:
            raise unknown("concept map", arguments.places["url"])
        yield found
    elif arguments.text("source") or arguments.text("target"):
        source, target = arguments.text("source"), arguments.text("target")
        if arguments.flag("reverse"):
            source, target = target, source
        some = False
        for known, version in sorted(question.definitions.all("ConceptMap")):
            found = question.definitions.find("ConceptMap", known, version)
            if found is not None and applies(found, source=source, target=target):
                some = True
                yield found
        if not some:
            raise unknown("translation between these value sets", "source" if source else "target")
    else:
        text = "Name the map: by url, by source and target, or by sending it as conceptMap."
        raise arguments.wrong("url", text, "required")


def _codings(question: Question) -> list[Coding]:
    arguments = question.arguments
    names = question.carriers()
    if len(names) != 1:
        text = "Send one of code with system, coding and codeableConcept."
        raise arguments.wrong(names[1] if names else "code", text, "required")
    if names == ["code"]:
        if not arguments.text("system"):
            raise arguments.wrong("system", "A code needs its system.", "required")
        return [Coding(arguments.text("system"), arguments.text("code"), "", arguments.text("version"))]
    codings = question.stated(names[0])
    if not codings:
        raise arguments.wrong(names[0], f"{names[0]} has no code.", "required")
    return codings


def _dependencies(question: Question) -> dict[str, str]:
    found = {}
    for each in question.arguments.all("dependency"):
        for coding in (each.one("concept") or {}).get("coding", [{}])[:1]:
            found[each.text("element")] = coding.get("code", "")
    return found


def _answer(matches: list[Match]) -> Resource:
    result = any(match.positive for match in matches)
    outputs: list[tuple[str, str, Any]] = [("result", "boolean", result)]
    if not result:
        said = "The map says that there is no translation." if matches else "There is no translation of this code."
        outputs.append(("message", "string", said))
    outputs += [("match", "part", _match(match)) for match in matches]
    return parameters(outputs)


def _match(match: Match) -> list[tuple[str, str, Any]]:
    parts: list[tuple[str, str, Any]] = [("equivalence", "code", match.equivalence)]
    if match.coding is not None:
        parts.append(("concept", "Coding", _written(match.coding)))
    for product in match.products:
        inner = [("element", "uri", product.element), ("concept", "Coding", _written(product.coding))]
        parts.append(("product", "part", inner))
    parts.append(("source", "uri", match.source or None))
    return parts


def _written(coding: Coding) -> Resource:
    stated = {"system": coding.system, "version": coding.version, "code": coding.code, "display": coding.display}
    return {name: value for name, value in stated.items() if value}


# ── definition ───────────────────────────────────────────────────────────────────────────────────────────────────────

TRANSLATE = Operation(
    Definition(
        code="translate",
        title="Translate a code by a concept map",
        doc="Translates a code into another code system, by a concept map or by every installed map between two value "
        "sets; backwards with reverse.",
        levels=("type", "instance"),
        types=("ConceptMap",),
        inputs=(
            Parameter("url", "uri", "Canonical url of the concept map."),
            Parameter("conceptMap", "ConceptMap", "The concept map itself."),
            Parameter("conceptMapVersion", "string", "Version of the concept map."),
            Parameter("code", "code", "The code; needs system."),
            Parameter("system", "uri", "Canonical url of the code's system."),
            Parameter("version", "string", "Version of that system."),
            Parameter("source", "uri", "Value set that the code is from."),
            Parameter("coding", "Coding", "The code with its system."),
            Parameter("codeableConcept", "CodeableConcept", "Several codings; each is translated."),
            Parameter("target", "uri", "Value set that the translation shall be in."),
            Parameter("targetsystem", "uri", "Code system that the translation shall be in."),
            Parameter(
                "dependency",
                "",
                "A value that the map may depend on.",
                max="*",
                parts=(
                    Parameter("element", "uri", "The element that the value is of."),
                    Parameter("concept", "CodeableConcept", "Its value."),
                ),
            ),
            Parameter("reverse", "boolean", "Translate from target to source."),
        ),
        outputs=(
            Parameter("result", "boolean", "Whether there is a translation.", min=1),
            Parameter("message", "string", "Why there is none."),
            Parameter(
                "match",
                "",
                "A translation.",
                max="*",
                parts=(
                    Parameter("equivalence", "code", "How the target relates to the source."),
                    Parameter("concept", "Coding", "The target."),
                    Parameter(
                        "product",
                        "",
                        "Another value that comes out of it.",
                        max="*",
                        parts=(
                            Parameter("element", "uri", "The element that it is for."),
                            Parameter("concept", "Coding", "Its value."),
                        ),
                    ),
                    Parameter("source", "uri", "The concept map that says so."),
                ),
            ),
        ),
        standard="ConceptMap-translate",
    ),
    Permission.TERMINOLOGY_READ,
    translation,
)
