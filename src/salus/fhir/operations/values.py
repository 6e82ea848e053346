# SPDX-License-Identifier: Apache-2.0
"""One value of a parameter: from the text of a query, or from `value[x]` of a `Parameters` resource."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import Any

from salus.fhir.definitions import PRIMITIVES
from salus.fhir.operations.definition import Parameter
from salus.fhir.validate.primitives import SCHEMAS, WORDS

_WHOLE = {"integer", "positiveInt", "unsignedInt"}
# Clients do not agree on which of these to send; what counts is that the text is one of the declared type.
_KIN = (
    {"string", "code", "id", "markdown", "uri", "url", "canonical", "oid", "uuid"},
    {"date", "dateTime", "instant", "string"},
    {"integer", "positiveInt", "unsignedInt"},
    {"decimal", "integer", "positiveInt", "unsignedInt"},
)
_WHOLE_NUMBER = re.compile(r"[+-]?[0-9]{1,10}")


def from_text(known: Parameter, text: str) -> tuple[Any, str]:
    """Read a value of a query.

    Returns:
        The value and "", or None and what is wrong, in words that follow the name of the parameter.
    """
    if known.type == "boolean":
        return (text == "true", "") if text in {"true", "false"} else (None, "must be true or false")
    if known.type in _WHOLE:
        return _checked(known.type, int(text) if _WHOLE_NUMBER.fullmatch(text) else None)
    if known.type == "decimal":
        try:
            number = Decimal(text)
        except InvalidOperation:
            return None, "must be a number"
        return (number, "") if number.is_finite() else (None, "must be a number")
    return _checked(known.type, text)


def from_body(known: Parameter, sent: dict[str, Any]) -> tuple[Any, str]:
    """Read `value[x]` of a parameter whose structure was checked; returns as `from_text`."""
    name = type_sent(sent)
    if name is None:
        return None, f"must have a value of type {known.type}"
    if name == _member(known.type):
        return sent[name], ""  # the check of the whole has judged it
    if not any(known.type in kin and name in {_member(each) for each in kin} for kin in _KIN):
        return None, f"must be of type {known.type}"
    return _checked(known.type, sent[name])


def type_sent(sent: dict[str, Any]) -> str | None:
    """The member `value[x]` that a parameter carries."""
    return next((name for name in sent if name.startswith("value")), None)


def _member(type_: str) -> str:
    return f"value{type_[0].upper()}{type_[1:]}"


def _checked(type_: str, value: Any) -> tuple[Any, str]:
    return (value, "") if type_ in PRIMITIVES and _fits(type_, value) else (None, WORDS[type_])


def _fits(type_: str, value: Any) -> bool:
    schema = SCHEMAS[type_]
    if isinstance(value, str):
        return schema["type"] == "string" and _expression(type_).fullmatch(value) is not None
    if isinstance(value, bool) or value is None or schema["type"] == "string":
        return False
    return bool(schema.get("minimum", value) <= value <= schema.get("maximum", value))


@cache
def _expression(type_: str) -> re.Pattern[str]:
    return re.compile(SCHEMAS[type_].get("pattern", r"(?s).+"))
