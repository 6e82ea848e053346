# SPDX-License-Identifier: Apache-2.0
"""`CodeSystem/$lookup`, `$validate-code` and `$subsumes`.

https://hl7.org/fhir/R4/codesystem-operations.html  No record of a patient is read. The audit entry names the operation
and what was sent as primitive parameters.
"""

from __future__ import annotations

from salus.access.permissions import Permission
from salus.fhir.operations.answer import parameters
from salus.fhir.operations.definition import Definition, Parameter
from salus.fhir.terminology.engine import Engine
from salus.fhir.terminology.lookup import lookup
from salus.fhir.terminology.protocol import Coding, Subsumption, Verdict
from salus.fhir.terminology.source import CodeSource, Concept
from salus.kernel.errors import Kind, Problem
from salus.records.operations.asking import DATE, LANGUAGE, Question, coding_of
from salus.records.operations.operation import Invocation, Operation, Result


async def look_up(call: Invocation) -> Result:
    """What the system says of a code."""
    question = Question(call)
    coding = _one_coding(question, "code", "coding")
    source = _source(question, coding)
    concept = source.find(coding.code)
    if concept is None:
        raise Problem(Kind.NOT_FOUND, f"{source.name} has no such code{'' if source.complete else ' on this server'}.")
    wanted = question.arguments.all("property")
    outputs = lookup(source, concept, language=question.arguments.text("displayLanguage"), wanted=wanted)
    await question.note()
    return Result.of(parameters(outputs))


async def validate_code(call: Invocation) -> Result:
    """Whether a code is one of the system's."""
    question = Question(call)
    arguments = question.arguments
    codings = question.codings("codeSystem")
    if not codings:
        raise arguments.wrong("code", "Send a code with its system, a coding or a codeableConcept.", "required")
    verdicts = [_judged(question, coding) for coding in codings]
    best = next((verdict for verdict in verdicts if verdict.result is True), verdicts[0])
    await question.note()
    return Result.of(answer(best))


async def subsumes(call: Invocation) -> Result:
    """How two codes of one system relate."""
    question = Question(call)
    a, b = _one_coding(question, "codeA", "codingA"), _one_coding(question, "codeB", "codingB")
    if a.system != b.system:
        raise question.arguments.wrong("codingB", "Both codes must be of the same code system.")
    source = _source(question, a)
    first, second = source.find(a.code), source.find(b.code)
    if first is None or second is None:
        raise Problem(Kind.NOT_FOUND, f"{source.name} does not have both codes.")
    outcome = _related(source, first, second)
    if outcome is Subsumption.UNKNOWN:
        text = f"The hierarchy of {source.name} does not say what is a kind of what."
        raise Problem(Kind.INVALID, text, "hierarchyMeaning")
    await question.note()
    return Result.of(parameters([("outcome", "code", outcome.value)]))


def answer(verdict: Verdict, display: str = "") -> dict[str, object]:
    """The outputs of `$validate-code`; what cannot be told is not valid, and the message says why."""
    return parameters(
        [
            ("result", "boolean", verdict.result is True),
            ("message", "string", verdict.message or None),
            ("display", "string", display or verdict.display or None),
        ]
    )


def _judged(question: Question, coding: Coding) -> Verdict:
    source = _source(question, coding)
    if source is question.sent_source:
        verdict = Engine(_Only(source)).validate_in_system(coding)
    else:
        verdict = question.engine.validate_in_system(coding)
    return question.as_asked(verdict, source.find(coding.code))


class _Only:
    """Definitions that hold one code system: the one that was sent along, or that of the address."""

    generation = 0

    def __init__(self, source: CodeSource) -> None:
        self._source = source

    def find(self, type_: str, url: str, version: str = "") -> dict[str, object] | None:
        return None

    def all(self, type_: str) -> tuple[tuple[str, str], ...]:
        return ()

    def source(self, url: str, version: str = "") -> CodeSource | None:
        return self._source


def _source(question: Question, coding: Coding) -> CodeSource:
    """The code system of a question.

    Raises:
        Problem: INCORRECT when none is named; NOT_FOUND when it is not here.
    """
    if question.sent_source is not None:
        return question.sent_source
    if not coding.system:
        raise question.arguments.wrong("system", "Name the code system.", "required")
    source = question.definitions.source(coding.system, coding.version)
    if source is None:
        if question.definitions.source(coding.system) is not None:
            raise Problem(Kind.NOT_FOUND, "This server has the code system, but not in this version.")
        raise Problem(Kind.NOT_FOUND, "The code system is not known to this server.")
    return source


def _one_coding(question: Question, code: str, coding: str) -> Coding:
    arguments = question.arguments
    sent = arguments.one(coding)
    if (sent is None) is (arguments.one(code) is None):
        raise arguments.wrong(code, f"Send either {code} or {coding}.", "required")
    found = coding_of(sent) if sent is not None else Coding("", arguments.text(code))
    if not found.code:
        raise arguments.wrong(coding, f"{coding} has no code.", "required")
    system = found.system or arguments.text("system") or question.own_url
    return found._replace(system=system, version=found.version or arguments.text("version"))


def _related(source: CodeSource, first: Concept, second: Concept) -> Subsumption:
    if first.code == second.code:
        return Subsumption.EQUIVALENT
    if not source.is_a:
        return Subsumption.UNKNOWN
    if source.below(second.code, first.code):
        return Subsumption.SUBSUMES
    return Subsumption.SUBSUMED_BY if source.below(first.code, second.code) else Subsumption.NOT_SUBSUMED


# ── definitions ──────────────────────────────────────────────────────────────────────────────────────────────────────

_SYSTEM = Parameter("system", "uri", "Canonical url of the code system.")
_VERSION = Parameter("version", "string", "Version of the code system; the newest that is here without it.")

LOOKUP = Operation(
    Definition(
        code="lookup",
        title="Look a code up",
        doc="Gives what a code system says of a code: display, other names, properties, parents and children.",
        levels=("type",),
        types=("CodeSystem",),
        inputs=(
            Parameter("code", "code", "The code; needs system."),
            _SYSTEM,
            _VERSION,
            Parameter("coding", "Coding", "The code with its system."),
            DATE,
            LANGUAGE,
            Parameter("property", "code", "Properties to give; all without it.", max="*"),
        ),
        outputs=(
            Parameter("name", "string", "Name of the code system.", min=1),
            Parameter("version", "string", "Its version."),
            Parameter("display", "string", "Display of the code.", min=1),
            Parameter(
                "designation",
                "",
                "Another name.",
                max="*",
                parts=(
                    Parameter("language", "code", "Its language."),
                    Parameter("use", "Coding", "What it is for."),
                    Parameter("value", "string", "The name.", min=1),
                ),
            ),
            Parameter(
                "property",
                "",
                "A property of the code.",
                max="*",
                parts=(
                    Parameter("code", "code", "Which property.", min=1),
                    Parameter("value", "string", "Its value, in the type of the property."),
                ),
            ),
        ),
        standard="CodeSystem-lookup",
    ),
    Permission.TERMINOLOGY_READ,
    look_up,
)

VALIDATE_CODE = Operation(
    Definition(
        code="validate-code",
        title="Is this a code of its system",
        doc="Says whether a code exists in a code system, and whether its display is right.",
        levels=("type", "instance"),
        types=("CodeSystem",),
        inputs=(
            Parameter("url", "uri", "Canonical url of the code system."),
            Parameter("codeSystem", "CodeSystem", "The code system itself."),
            Parameter("code", "code", "The code."),
            _VERSION,
            Parameter("display", "string", "Display to check."),
            Parameter("coding", "Coding", "The code with its system."),
            Parameter("codeableConcept", "CodeableConcept", "Several codings, of which one must be valid."),
            DATE,
            Parameter("abstract", "boolean", "Whether a code that stands for a group is right here."),
            LANGUAGE,
        ),
        outputs=(
            Parameter("result", "boolean", "Whether it is valid.", min=1),
            Parameter("message", "string", "Why it is not, or what cannot be told."),
            Parameter("display", "string", "The right display."),
        ),
        standard="CodeSystem-validate-code",
    ),
    Permission.TERMINOLOGY_READ,
    validate_code,
)

SUBSUMES = Operation(
    Definition(
        code="subsumes",
        title="How two codes relate",
        doc="Says whether one code of a system is a kind of another: equivalent, subsumes, subsumed-by, not-subsumed.",
        levels=("type", "instance"),
        types=("CodeSystem",),
        inputs=(
            Parameter("codeA", "code", "The first code; needs system on the type."),
            Parameter("codeB", "code", "The second code."),
            _SYSTEM,
            _VERSION,
            Parameter("codingA", "Coding", "The first code with its system."),
            Parameter("codingB", "Coding", "The second code with its system."),
        ),
        outputs=(Parameter("outcome", "code", "How the first relates to the second.", min=1),),
        standard="CodeSystem-subsumes",
    ),
    Permission.TERMINOLOGY_READ,
    subsumes,
)
