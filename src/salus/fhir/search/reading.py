# SPDX-License-Identifier: Apache-2.0
"""Read one clause: a parameter of a type, perhaps with a modifier, and its values.

The names of searches, of the last step of a chain and of `_has` come through here alike. Controls (`_count`,
`_sort` …) are read in `controls`, whole searches in `query`. https://hl7.org/fhir/R4/search.html#modifiers
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from salus.fhir.definitions import resource_types
from salus.fhir.search import terms, words
from salus.fhir.search.clauses import (
    Clause,
    CompositeValue,
    MembersValue,
    PartValue,
    TokenValue,
    UriValue,
    Value,
    WordsValue,
)
from salus.fhir.search.hierarchy import upward
from salus.fhir.search.parameters import STANDARD, Parameter, Registry
from salus.fhir.search.spots import STORED, WORDY
from salus.fhir.search.terms import refuse, unanswered
from salus.fhir.terminology.protocol import Nothing, Terminology
from salus.kernel.errors import Issue, Kind, Problem

MAX_VALUES = 500

MODIFIERS: dict[str, tuple[str, ...]] = {
    "string": ("exact", "contains", "text"),
    "token": ("not", "text", "above", "below", "in", "not-in", "of-type"),
    "reference": ("identifier", "text", "above", "below"),
    "uri": ("above", "below"),
}
"""By kind; `:missing` goes with every kind, and the name of a resource type with references."""

_BY_OPENING = {"missing", "not", "not-in", "text", "contains", "ends"}
_MOST_MEMBERS = 10_000
_ON_STORED = {"_id": ("not",)}  # the store knows two parameters by itself; few modifiers make sense on them


@dataclass(slots=True)
class Setting:
    """What the meaning of a search depends on beside its text.

    Attributes:
        bases: the server's own base URLs, so that absolute own references are understood.
        now_ms: the present in ms since the epoch, for `ap` on dates.
        registry: which search parameters there are.
        terminology: gives what answers :in, :not-in, :above and :below on codes.
        any_case: tells of a code system whether case does not count in its codes.
        values: how many values the whole search has held so far.
    """

    bases: Sequence[str] = ()
    now_ms: int = 0
    registry: Registry = STANDARD
    terminology: Callable[[], Terminology] = Nothing
    any_case: Callable[[str], bool] = lambda _system: False
    values: int = 0


def parameter(type_: str, code: str, registry: Registry = STANDARD) -> Parameter:
    """A parameter of a type by its code, one that is answered.

    Raises:
        Problem: INCORRECT when there is none, or Salus does not answer it.
    """
    found = registry.parameters(type_).get(code)
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
    # `in` takes one value set; its URL may hold a comma.
    parts = [text] if modifier in ("in", "not-in") else terms.split(text, ",")
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
        values=tuple(_value(found, modifier, targets, part, setting) for part in parts),
        targets=targets,
        indexed=not found.low_cardinality and modifier not in _BY_OPENING,
        text=text,
        components=found.components,
    )


def _value(found: Parameter, modifier: str, targets: tuple[str, ...], text: str, setting: Setting) -> Value:
    if modifier == "missing":
        if text not in ("true", "false"):
            raise refuse("is not true or false")
        return TokenValue(None, text)
    if modifier == "text":
        return terms.string(text)
    if modifier == "identifier":
        return terms.token(text)
    if modifier in ("above", "below") and found.kind == "uri":
        return terms.url(text)
    if modifier in ("above", "below") and found.kind == "reference":
        read = terms.reference(text, targets, setting.bases)
        if read.id is None or (read.type is not None and upward(read.type) is None):
            raise refuse("names a record that has none above or below it")
        return read
    if found.kind == "token" and modifier in _CODES:
        return _CODES[modifier](text, setting)
    if found.kind == "composite":
        return _composite(found, text, setting)
    special = _SPECIAL.get(found.code)
    return special(text) if special else value(found.kind, targets, text, setting)


def value(kind: str, targets: tuple[str, ...], text: str, setting: Setting) -> PartValue:
    """A plain value of a kind, as it stands without modifier and between the `$` of a composite."""
    if kind == "reference":
        return terms.reference(text, targets, setting.bases)
    if kind == "date":
        return terms.day(text, setting.now_ms)
    if kind == "token":
        return _token(text, setting)
    return _READERS[kind](text)


def _token(text: str, setting: Setting) -> TokenValue:
    read = terms.token(text)
    if not read.system or not read.code or read.code.lower() == read.code.upper() or not setting.any_case(read.system):
        return read
    return TokenValue(read.system, read.code, any_case=True)


def _composite(found: Parameter, text: str, setting: Setting) -> CompositeValue:
    parts = terms.split(text, "$")
    if len(parts) != len(found.components) or not all(parts):
        raise refuse(f"does not have {len(found.components)} values joined by $")
    pairs = zip(found.components, parts, strict=True)
    return CompositeValue(tuple(value(part.kind, part.targets, each, setting) for part, each in pairs))


# ── what terminology says ────────────────────────────────────────────────────────────────────────────────────────────


def _members(text: str, setting: Setting) -> MembersValue:
    found = setting.terminology().members(terms.unescape(text), _MOST_MEMBERS)
    if found is None:
        raise _unknown("names a value set that is not known here, or whose members cannot be listed")
    return MembersValue(found)


def _hierarchy(text: str, setting: Setting, *, below: bool) -> MembersValue:
    read = terms.token(text)
    if not read.system or read.code is None:
        raise refuse("is not of the form system|code: above and below need the code system")
    known = setting.terminology()
    codes = known.descendants(read.system, read.code) if below else known.ancestors(read.system, read.code)
    if codes is None:
        raise _unknown("names a code or a code system that is not known here, or has no hierarchy")
    system = read.system.partition("|")[0]
    return MembersValue(frozenset((system, code) for code in codes))


def _unknown(what: str) -> Problem:
    return Problem(Kind.INCORRECT, what, issues=(Issue("not-found", what),))


def _check_modifier(found: Parameter, modifier: str) -> None:
    if found.code in STORED:
        allowed: Sequence[str] = _ON_STORED.get(found.code, ())
    elif found.code in _SPECIAL or found.kind == "composite":
        allowed = () if found.code in WORDY else ("missing",)
    else:
        allowed = ("missing", *MODIFIERS.get(found.kind, ()))
        if found.kind == "reference" and modifier in resource_types():
            if found.targets and modifier not in found.targets:
                raise refuse(f"never points to {modifier}")
            return
        if found.kind == "reference" and modifier in ("above", "below") and not any(map(upward, found.targets)):
            raise refuse("points to nothing that has records above or below it")
    if modifier not in allowed:
        raise unanswered("is not supported with this modifier")


_READERS: dict[str, Callable[[str], PartValue]] = {
    "string": terms.string,
    "number": terms.number,
    "quantity": terms.quantity,
    "uri": lambda text: UriValue(terms.unescape(text)),
}
_CODES: dict[str, Callable[[str, Setting], Value]] = {
    "in": _members,
    "not-in": _members,
    "below": partial(_hierarchy, below=True),
    "above": partial(_hierarchy, below=False),
    "of-type": lambda text, _setting: terms.of_type(text),
}
_SPECIAL: dict[str, Callable[[str], Value]] = {
    "phonetic": terms.phonetic,
    "near": terms.near,
    "_text": lambda text: WordsValue(words.read(terms.unescape(text))),
    "_content": lambda text: WordsValue(words.read(terms.unescape(text))),
}
