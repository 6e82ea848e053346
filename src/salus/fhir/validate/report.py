# SPDX-License-Identifier: Apache-2.0
"""What a failed schema means, in words a person can act on.

JSON Schema speaks of `anyOf` and `additionalProperties`; here each error is traced to the `x-rule` mark of
the rule it broke and said again as FHIR. Values are never repeated: they may be patient data.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import jsonschema_rs

from salus.fhir.definitions import structure
from salus.fhir.validate.members import members
from salus.fhir.validate.places import place, sayable
from salus.fhir.validate.primitives import WORDS
from salus.fhir.validate.schema import schema, validator
from salus.kernel.errors import Issue

Error = jsonschema_rs.ValidationError
Kinds = jsonschema_rs.ValidationErrorKind

_LISTED: Final = 12  # codes named in a message; a longer list is no help
_LARGE: Final = 2000  # values
_LONG: Final = 50  # items
_KEPT: Final = 20
_PLAIN: Final = {
    "absolute": ("value", "must be an absolute URI; an OID or UUID is written urn:oid:1.2.3 or urn:uuid:…"),
    "content-type": ("value", "must be a media type such as image/png"),
    "language": ("value", "must be a language tag such as de or de-CH"),
    "currency": ("value", "must be three capital letters of ISO 4217"),
    "dom-2": ("invariant", "must not hold contained resources itself (dom-2)"),
    "dom-4": ("invariant", "must not have a versionId, a lastUpdated or security labels (dom-4, dom-5)"),
    "empty": ("invariant", "must have a value or children besides its id (ele-1)"),
    "type": ("structure", "must be a resource of a type that R4 knows"),
}


def schema_issues(resource: dict[str, Any], most: int) -> list[Issue]:
    """What is wrong with a resource by the schema.

    Args:
        resource: a resource of a known type.
        most: how many issues to give at most.

    Returns:
        issues without repetition, in the order of the schema; empty when the resource fits it. For a resource of
        more than 2,000 values, the first issue and those in the first 20 items of every long array.
    """
    found: dict[Issue, None] = {}
    for issue in _issues(resource, _errors(resource)):
        found.setdefault(issue)
        if len(found) >= most:
            break
    return list(found)


def _errors(resource: dict[str, Any]) -> Iterator[Error]:
    """Errors of the schema, at a bounded cost: a single one can take a millisecond to describe."""
    if not _large(resource):
        yield from validator().iter_errors(resource)
        return
    try:
        validator().validate(resource)
    except jsonschema_rs.ValidationError as error:
        yield error
    short = _shortened(resource)
    if not _large(short):
        yield from validator().iter_errors(short)


def _large(resource: dict[str, Any]) -> bool:
    left = _LARGE
    waiting: list[Any] = [resource]
    while waiting:
        node = waiting.pop()
        left -= len(node)
        if left < 0:
            return True
        inside = node.values() if isinstance(node, dict) else node
        waiting.extend(value for value in inside if isinstance(value, (dict, list)))
    return False


def _shortened(node: Any) -> Any:
    """A copy that keeps the beginning of long arrays, so that places stay right."""
    if isinstance(node, dict):
        return {name: _shortened(value) for name, value in node.items()}
    if isinstance(node, list):
        return [_shortened(value) for value in (node[:_KEPT] if len(node) > _LONG else node)]
    return node


def _issues(resource: dict[str, Any], errors: Iterable[Error]) -> Iterator[Issue]:
    for error in errors:
        rule, marked = _rule(error.schema_path)
        if isinstance(error.kind, Kinds.AnyOf) and not marked:
            # An array of primitives, whose items may be null: the message is what is wrong with the value.
            yield from _issues(resource, error.kind.context[0])
        else:
            at = error.instance_path
            for code, inner, words in _meaning(rule, error):
                where = place(resource, [*at, *inner])
                yield Issue(code, f"`{where}` {words}.", where)


def _rule(path: Sequence[str | int]) -> tuple[list[str], bool]:
    """The deepest `x-rule` on the way to a keyword, and whether the keyword's own schema carries it."""
    node: Any = schema()
    rule: list[str] = []
    marked = False
    for step in path:
        if isinstance(node, dict):
            marked = "x-rule" in node
            rule = node.get("x-rule", rule)
        node = node[int(step) if isinstance(node, list) else step]
    return rule, marked


def _meaning(rule: list[str], error: Error) -> Iterator[tuple[str, Sequence[str], str]]:
    """Codes, further steps of the place, and words for one error."""
    kind, *rest = rule or [""]
    if kind in _PLAIN:
        yield (_PLAIN[kind][0], (), _PLAIN[kind][1])
    elif kind == "dom":
        yield (_PLAIN[rest[0]][0], (), _PLAIN[rest[0]][1])
    elif kind == "invariant":
        yield "invariant", (), f"breaks {rest[0]}: {rest[1].strip().removesuffix('.')}"
    elif kind == "required":
        yield "required", (rest[0],), "is required"
    elif kind == "single":
        yield "structure", (rest[0],), "may have a value of one type only"
    elif kind in ("binding", "coded"):
        yield "code-invalid", (), _binding(kind, rest[0])
    elif kind == "primitive":
        yield "structure" if isinstance(error.kind, Kinds.Type) else "value", (), WORDS[rest[0]]
    elif kind == "reference":
        yield "value", (), _reference(rest)
    elif kind == "array":
        yield "structure", (), "must be an array that is not empty"
    else:
        yield from _object(rest[0] if rest else "", error.kind)


def _object(path: str, kind: Kinds) -> Iterator[tuple[str, Sequence[str], str]]:
    """Errors of an object as such: unknown, missing or no elements."""
    match kind:
        case Kinds.AdditionalProperties(unexpected=names):
            for name in names:
                inner = (name,) if sayable(name) else ()
                yield "structure", inner, _unknown(path, name) if inner else f"has a member unknown to {path}"
        case Kinds.Required(property=name):
            yield "required", (name,), "is required"
        case Kinds.Type():
            yield "structure", (), "must be a single JSON object"
        case Kinds.MinProperties():
            yield "structure", (), "must not be empty"
        case _:
            yield "structure", (), "is not what R4 allows here"


def _unknown(path: str, name: str) -> str:
    spelled = {known.lower(): known for known in members(path)} if path in structure().types else {}
    meant = spelled.get(name.lower())
    return f"is not an element of {path}" + (f"; did you mean `{meant}`" if meant else "")


def _binding(kind: str, url: str) -> str:
    codes = structure().value_sets[url]
    subject = "must have a coding with one of the codes" if kind == "coded" else "must be one of"
    if len(codes) > _LISTED:
        return f"{subject} in the value set {url}" if kind == "coded" else f"must be a code of the value set {url}"
    systems = f" of {', '.join(structure().systems[url])}" if kind == "coded" else ""
    return f"{subject} {', '.join(codes)}{systems}"


def _reference(targets: list[str]) -> str:
    which = "Type/id" if not targets or len(targets) > _LISTED else ", ".join(f"{t}/id" for t in targets)
    return f"must be a reference of the form {which}, #id, an absolute URL, or a URN"
