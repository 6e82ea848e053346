# SPDX-License-Identifier: Apache-2.0
"""Constraints of the definitions, written in FHIRPath, as JSON Schema where that can say the same.

About half of R4's constraints only ask which direct children exist, or compare one with a code:
`code.empty() or system.exists()`, `type = 'group' implies item.exists()`. Those are translated here once,
so that they cost next to nothing on the hot path. The translation is exact for elements that are present; a
comparison with an absent element counts as false. Whatever else an expression uses (deeper paths,
functions, order) makes it untranslatable, and `None` says so: those are left to `salus.fhir.validate.constraints`.

https://hl7.org/fhir/R4/conformance-rules.html#constraints
"""

from __future__ import annotations

import re
from typing import Any, Final

from salus.fhir.definitions import structure
from salus.fhir.validate.members import names

Schema = dict[str, Any]

_TOKEN: Final = re.compile(r"\s*(?:('[^'\\]*')|(\.(?:exists|empty|not|hasValue)\(\))|([A-Za-z]\w*)|(!=|[=().|]))")
_FUNCTIONS: Final = frozenset({".exists()", ".empty()", ".not()", ".hasValue()"})
_WORDS: Final = frozenset({"and", "or", "xor", "implies", "in"})


_TERMS: Final = "http://terminology.hl7.org/CodeSystem/"


def _has_code(element: str, system: str, *codes: str) -> Schema:
    """The CodeableConcept holds a coding with one of these codes."""
    coding = {"required": ["system", "code"]}
    inside = {"system": {"const": _TERMS + system}, "code": {"enum": list(codes)}}
    listed = {
        "required": ["coding"],
        "properties": {"coding": {"contains": {**coding, "properties": inside}}},
    }
    return {"required": [element], "properties": {element: listed}}


def _when(condition: Schema, then: Schema) -> Schema:
    return {"if": condition, "then": then}


def _is(element: str, *codes: str) -> Schema:
    return {"required": [element], "properties": {element: {"enum": list(codes)}}}


def _each(element: str, schema: Schema) -> Schema:
    return {"properties": {element: {"items": schema}}}


def _entries(part: str, *types: str) -> Schema:
    """Every Bundle entry has the part if the Bundle is of one of the types, and else none has it."""
    having = {"required": [part]}
    return {
        "if": _is("type", *types),
        "then": _each("entry", having),
        "else": _each("entry", {"not": having}),
    }


def _first_entry(kind: str) -> Schema:
    resource = {"required": ["resource"], "properties": {"resource": _is("resourceType", kind)}}
    return {"required": ["entry"], "properties": {"entry": {"items": [resource]}}}


_ABATED: Final = {
    "anyOf": [{"required": [f"abatement{kind}"]} for kind in ("DateTime", "Age", "Period", "Range", "String")]
}
_UCUM: Final = "http://unitsofmeasure.org"
_COUNTED: Final = {"if": {"required": ["value"]}, "then": {"required": ["code"]}}
_TIMINGS: Final = ("timingTiming", "timingReference", "timingDate", "timingDateTime")
_ERRONEOUS_ALLERGY: Final = _has_code("verificationStatus", "allergyintolerance-verification", "entered-in-error")
_NO_CLINICAL_STATUS: Final = {"not": {"required": ["clinicalStatus"]}}
_WRITTEN: Final[dict[str, dict[str, Schema]]] = {
    "AllergyIntolerance": {
        "ait-1": {"anyOf": [_ERRONEOUS_ALLERGY, {"required": ["clinicalStatus"]}]},
        "ait-2": _when(_ERRONEOUS_ALLERGY, _NO_CLINICAL_STATUS),
    },
    "Bundle": {
        "bdl-2": _when({"not": _is("type", "searchset")}, _each("entry", {"not": {"required": ["search"]}})),
        "bdl-3": _entries("request", "batch", "transaction", "history"),
        "bdl-4": _entries("response", "batch-response", "transaction-response", "history"),
        "bdl-11": _when(_is("type", "document"), _first_entry("Composition")),
        "bdl-12": _when(_is("type", "message"), _first_entry("MessageHeader")),
        "bdl-9": _when(
            _is("type", "document"),
            {"required": ["identifier"], "properties": {"identifier": {"required": ["system", "value"]}}},
        ),
    },
    "Bundle.entry": {"bdl-8": {"properties": {"fullUrl": {"not": {"pattern": "/_history/"}}}}},
    "Condition": {
        "con-4": _when(_ABATED, _has_code("clinicalStatus", "condition-clinical", "resolved", "remission", "inactive")),
        "con-5": _when(
            _has_code("verificationStatus", "condition-ver-status", "entered-in-error"), _NO_CLINICAL_STATUS
        ),
    },
    "Age": {
        "age-1": {"allOf": [_COUNTED, {"properties": {"system": {"const": _UCUM}, "value": {"exclusiveMinimum": 0}}}]}
    },
    # That a count is written without a point is looked at elsewhere: to a schema, 3.0 is a whole number.
    "Count": {
        "cnt-3": {"allOf": [_COUNTED, {"properties": {"system": {"const": _UCUM}, "code": {"const": "1"}}}]},
    },
    "Distance": {"dis-1": {"allOf": [_COUNTED, {"properties": {"system": {"const": _UCUM}}}]}},
    "Duration": {
        "drt-1": _when(
            {"required": ["code"]}, {"required": ["value", "system"], "properties": {"system": {"const": _UCUM}}}
        )
    },
    "TriggerDefinition": {
        "trd-3": {
            "allOf": [
                _when(_is("type", "named-event"), {"required": ["name"]}),
                _when(_is("type", "periodic"), {"anyOf": [{"required": [name]} for name in _TIMINGS]}),
                _when({"required": ["type"], "properties": {"type": {"pattern": "^data-"}}}, {"required": ["data"]}),
            ]
        }
    },
    "Organization": {"org-1": {"anyOf": [{"required": ["identifier"]}, {"required": ["name"]}]}},
    "Linkage": {"lnk-1": {"properties": {"item": {"minItems": 2}}}},
    "RiskAssessment.prediction": {"ras-2": {"properties": {"probabilityDecimal": {"maximum": 100}}}},
    "InsurancePlan": {"ipn-1": {"anyOf": [{"required": ["identifier"]}, {"required": ["name"]}]}},
    "Timing.repeat": {
        "tim-4": {"properties": {"duration": {"minimum": 0}}},
        "tim-5": {"properties": {"period": {"minimum": 0}}},
    },
}


class _UntranslatableError(Exception):
    """The expression leaves the subset."""


def translate(path: str, expression: str) -> Schema | None:
    """JSON Schema for an invariant on a type.

    Args:
        path: type or backbone path that the constraint stands on.
        expression: FHIRPath of the constraint.

    Returns:
        a schema that a valid instance of the type fulfils, or None when the subset cannot say it.
    """
    try:
        return _Parser(path, _tokens(expression)).whole()
    except (_UntranslatableError, KeyError):
        return None


def translated(path: str) -> list[tuple[str, str, Schema]]:
    """The translatable error constraints on a type: (key, words, schema)."""
    found = []
    for rule in structure().constraints.get(path, ()):
        if rule.severity == "error" and not rule.key.startswith("dom-"):
            schema = translate(path, rule.expression)
            if schema is not None:
                found.append((rule.key, rule.human, schema))
    return found


def written(path: str) -> list[tuple[str, str, Schema]]:
    """Constraints that only a hand-written schema can say: (key, words, schema)."""
    words = {rule.key: rule.human for rule in structure().constraints.get(path, ())}
    return [(key, words[key], schema) for key, schema in _WRITTEN.get(path, {}).items()]


def _tokens(expression: str) -> list[str]:
    found, at = [], 0
    text = expression.rstrip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise _UntranslatableError
        found.append(match[0].strip())
        at = match.end()
    return found


class _Parser:
    """Recursive descent, lowest precedence first: implies; or, xor; and; comparison; term."""

    def __init__(self, path: str, tokens: list[str]) -> None:
        self.path = path
        self.tokens = tokens
        self.at = 0

    def whole(self) -> Schema:
        schema = self.implies()
        if self.at != len(self.tokens):
            raise _UntranslatableError
        return schema

    def peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self, *wanted: str) -> str:
        token = self.peek()
        if not token or (wanted and token not in wanted):
            raise _UntranslatableError
        self.at += 1
        return token

    def implies(self) -> Schema:
        left = self.either()
        while self.peek() == "implies":
            self.take()
            left = {"anyOf": [_no(left), self.either()]}
        return left

    def either(self) -> Schema:
        left = self.both()
        while self.peek() in ("or", "xor"):
            keyword = "anyOf" if self.take() == "or" else "oneOf"
            left = {keyword: [left, self.both()]}
        return left

    def both(self) -> Schema:
        left = self.equal()
        while self.peek() == "and":
            self.take()
            left = {"allOf": [left, self.equal()]}
        return left

    def equal(self) -> Schema:
        """Comparison of two truths: `start.exists() = end.exists()`."""
        left = self.term()
        if self.peek() in ("=", "!="):
            different = self.take() == "!="
            one = {"oneOf": [left, self.term()]}
            return one if different else _no(one)
        return left

    def term(self) -> Schema:
        if self.peek() == "(":
            self.take()
            schema = self.implies()
            self.take(")")
            while self.peek() == ".not()":
                self.take()
                schema = _no(schema)
            return schema
        element = self.element()
        following = self.peek()
        if following in _FUNCTIONS:
            return self.existence(element)
        if following in ("=", "!=", "in"):
            return self.comparison(element)
        raise _UntranslatableError

    def element(self) -> str:
        name = self.take()
        if name == self.path and self.peek() == ".":
            self.take()
            name = self.take()
        if not name[0].isalpha() or name in _WORDS:
            raise _UntranslatableError
        return name

    def existence(self, element: str) -> Schema:
        present: Schema = _present(names(self.path, element))
        schema = _no(present) if self.take() == ".empty()" else present
        while self.peek() == ".not()":
            self.take()
            schema = _no(schema)
        return schema

    def comparison(self, element: str) -> Schema:
        operator = self.take()
        allowed = self.literals() if operator == "in" else [self.literal()]
        name = next(n for n in names(self.path, element) if not n.startswith("_"))
        within: Schema = {"enum": allowed}
        return {"required": [name], "properties": {name: _no(within) if operator == "!=" else within}}

    def literals(self) -> list[str | bool]:
        self.take("(")
        found = [self.literal()]
        while self.peek() == "|":
            self.take()
            found.append(self.literal())
        self.take(")")
        return found

    def literal(self) -> str | bool:
        word = self.take()
        if word in ("true", "false"):
            return word == "true"
        if word[0] != "'":
            raise _UntranslatableError
        return word[1:-1]


def _present(found: tuple[str, ...]) -> Schema:
    return {"required": [found[0]]} if len(found) == 1 else {"anyOf": [{"required": [name]} for name in found]}


def _no(schema: Schema) -> Schema:
    return schema["not"] if list(schema) == ["not"] else {"not": schema}
