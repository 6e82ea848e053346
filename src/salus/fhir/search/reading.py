# SPDX-License-Identifier: Apache-2.0
"""Read one clause: a parameter of a type, perhaps with a modifier, and its values.

The names of searches, of the last step of a chain and of `_has` come through here alike. Controls (`_count`,
`_sort` …) are read in `controls`, whole searches in `query`. https://hl7.org/fhir/R4/search.html#modifiers
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from salus.fhir.definitions import resource_types
from salus.fhir.search import terms
from salus.fhir.search.clauses import Clause, TokenValue, UriValue, Value
from salus.fhir.search.parameters import Parameter, parameters
from salus.fhir.search.terms import refuse, unanswered
from salus.kernel.errors import Kind, Problem

MAX_VALUES = 500

_BY_OPENING = {"missing", "not", "text", "contains"}
MODIFIERS = {"string": {"exact", "contains"}, "token": {"not", "text"}, "reference": {"identifier"}}


@dataclass(slots=True)
class Setting:
    """What the meaning of a value depends on beside its text.

    Attributes:
        bases: the server's own base URLs, so that absolute own references are understood.
        now_ms: the present in ms since the epoch, for `ap` on dates.
        values: how many values the whole search has held so far.
    """

    bases: Sequence[str] = ()
    now_ms: int = 0
    values: int = 0


def parameter(type_: str, code: str) -> Parameter:
    """A parameter of a type by its code, one that is answered.

    Raises:
        Problem: INCORRECT when there is none, or Salus does not answer it.
    """
    found = parameters(type_).get(code)
    if found is None:
        raise unanswered(f"is not a search parameter of {type_}")
    if found.unsupported:
        raise unanswered(f"is not supported: {found.unsupported}")
    return found


def clause(found: Parameter, modifier: str | None, text: str, setting: Setting) -> Clause:
    """Read the values of a parameter.

    Args:
        found: from `parameter`.
        modifier: what stood behind the colon; None without a colon.
        text: the values as written, separated by commas.
        setting: see there; counts the values.

    Raises:
        Problem: INCORRECT for what is not understood; TOO_COSTLY beyond 500 values in one search.
    """
    if modifier is not None:
        _check_modifier(found, modifier)
    modifier = modifier or ""
    targets = (modifier,) if modifier in resource_types() else found.targets
    parts = terms.split(text, ",")
    setting.values += len(parts)
    if setting.values > MAX_VALUES:
        raise Problem(Kind.TOO_COSTLY, f"A search takes at most {MAX_VALUES} values.")
    if not all(parts):
        raise refuse("has an empty value")
    return Clause(
        parameter=found.code,
        kind=found.kind,
        families=found.families,
        modifier=modifier,
        values=tuple(_value(found.kind, modifier, targets, part, setting) for part in parts),
        targets=targets,
        indexed=not found.low_cardinality and modifier not in _BY_OPENING,
        text=text,
    )


def _value(kind: str, modifier: str, targets: tuple[str, ...], text: str, setting: Setting) -> Value:
    if modifier == "missing":
        if text not in ("true", "false"):
            raise refuse("is not true or false")
        return TokenValue(None, text)
    if modifier == "text":
        return terms.string(text)
    if modifier == "identifier":
        return terms.token(text)
    if kind == "reference":
        return terms.reference(text, targets, setting.bases)
    if kind == "date":
        return terms.day(text, setting.now_ms)
    return _READERS[kind](text)


def _check_modifier(found: Parameter, modifier: str) -> None:
    if found.code not in ("_id", "_lastUpdated"):
        if modifier == "missing" or modifier in MODIFIERS.get(found.kind, ()):
            return
        if found.kind == "reference" and modifier in resource_types():
            if found.targets and modifier not in found.targets:
                raise refuse(f"never points to {modifier}")
            return
    raise unanswered("is not supported with this modifier")


_READERS: dict[str, Callable[[str], Value]] = {
    "token": terms.token,
    "string": terms.string,
    "number": terms.number,
    "quantity": terms.quantity,
    "uri": lambda text: UriValue(terms.unescape(text)),
}
