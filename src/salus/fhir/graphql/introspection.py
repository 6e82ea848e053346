# SPDX-License-Identifier: Apache-2.0
"""What tools ask before they ask: `__type(name:)` and the names in `__schema`, from the definitions alone.

They say what R4 has and nothing of what is stored. The fields of all types at once would be a hundred megabytes, so
`__schema` gives names and kinds, and the fields are asked for type by type.
https://spec.graphql.org/October2021/#sec-Introspection
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from salus.fhir.definitions import PRIMITIVES, resource_types, structure
from salus.fhir.graphql.document import DIRECTIVES, Condition, Field, Selection, refuse
from salus.fhir.graphql.shape import QUERY, graphql_name
from salus.fhir.search.parameters import parameters
from salus.fhir.validate.members import members

Json = dict[str, Any]

_SEARCH = ("_count", "_sort", "_cursor")
_ON_LISTS = (("fhirpath", "String"), ("_offset", "Int"), ("_count", "Int"))
_PATHS = {graphql_name(path): path for path in structure().types} | {name: name for name in PRIMITIVES}
_OF_CONNECTION = {"count": "Int", "offset": "Int", "pagesize": "Int"} | dict.fromkeys(
    ("first", "previous", "next", "last"), "ID"
)


def asks_for_types(selections: Sequence[Selection]) -> bool:
    """Whether a query is about the schema; one that is about both is refused.

    Raises:
        Problem: INCORRECT for a mixture.
    """
    about = [isinstance(each, Field) and each.name in {"__schema", "__type"} for each in selections]
    if any(about) and not all(about):
        raise refuse("Ask for the schema in a query of its own.", "query", "not-supported")
    return any(about)


def described(selections: Sequence[Selection]) -> Json:
    """Answer a query about the schema.

    Raises:
        Problem: INCORRECT for what is not described here.
    """
    data = {}
    for each in selections:
        if isinstance(each, Field):
            found = _schema() if each.name == "__schema" else _type(str(each.arguments.get("name", "")))
            data[each.key] = _picked(found, each)
    return data


def _picked(value: Any, one: Field) -> Any:
    if isinstance(value, list):
        return [_picked(each, one) for each in value]
    if not isinstance(value, dict):
        return value
    out: Json = {}
    for each in one.selections:
        if isinstance(each, Condition):
            out |= _picked(value, Field(one.key, one.name, {}, {}, each.selections, one.place))
        elif each.name == "__typename":
            out[each.key] = "__Type"
        elif each.name not in value:
            raise refuse("This is not described here; ask `__type(name:)`.", each.place, "not-supported")
        else:
            found = value[each.name]
            out[each.key] = _picked(found() if callable(found) else found, each)
    return out


# ── what there is ────────────────────────────────────────────────────────────────────────────────────────────────────


def _schema() -> Json:
    names = [*_PATHS, QUERY, "ID", "Int", "Float", "String", "Boolean"]
    return {
        "description": None,
        "queryType": {"name": QUERY, "kind": "OBJECT"},
        "mutationType": None,
        "subscriptionType": None,
        "types": [{"name": name, "kind": _kind(name), "description": None} for name in names],
        "directives": [
            {
                "name": name,
                "description": None,
                "locations": ["FIELD"],
                "args": [_input(argument, "String") for argument in sorted(arguments)],
            }
            for name, arguments in DIRECTIVES.items()
        ],
    }


def _kind(name: str) -> str:
    if name in {"Resource", "DomainResource"}:
        return "INTERFACE"
    return "SCALAR" if name in PRIMITIVES or name in {"ID", "Int", "Float", "String", "Boolean"} else "OBJECT"


def _named(name: str, *, many: bool = False) -> Json:
    one: Json = {"name": graphql_name(name) if name not in PRIMITIVES else name, "kind": _kind(name), "ofType": None}
    return {"name": None, "kind": "LIST", "ofType": one} if many else one


def _input(name: str, type_: str) -> Json:
    return {"name": name, "description": None, "type": _named(type_), "defaultValue": None}


def _output(name: str, type_: Json, arguments: Sequence[Json] = ()) -> Json:
    return {
        "name": name,
        "description": None,
        "args": list(arguments),
        "type": type_,
        "isDeprecated": False,
        "deprecationReason": None,
    }


def _type(name: str) -> Json | None:
    """One type with its fields; None when there is none of this name."""
    fields = _fields_of(name)
    if fields is None:
        return None
    kind = _kind(name)
    return {
        "name": name,
        "kind": kind,
        "description": None,
        "fields": None if kind == "SCALAR" else fields,
        "inputFields": None,
        "interfaces": [],
        "enumValues": None,
        "possibleTypes": lambda: [_named(type_) for type_ in resource_types()] if kind == "INTERFACE" else None,
        "ofType": None,
    }


def _fields_of(name: str) -> Callable[[], list[Json]] | None:
    if name == QUERY:
        return lambda: [*_by_id(), *_searches(inside=False)]
    if name in {f"{type_}Connection" for type_ in resource_types()}:
        type_ = name.removesuffix("Connection")
        numbers = [_output(each, _named(kind)) for each, kind in _OF_CONNECTION.items()]
        return lambda: [*numbers, _output("edges", _named(f"{type_}Edge", many=True))]
    if name in {f"{type_}Edge" for type_ in resource_types()}:
        plain = [_output("mode", _named("String")), _output("score", _named("Float"))]
        return lambda: [*plain, _output("resource", _named(name.removesuffix("Edge")))]
    path = _PATHS.get(name)
    if path is None:
        return None
    return list if path in PRIMITIVES else lambda: _elements(path)


def _elements(path: str) -> list[Json]:
    found = []
    for name, member in members(path).items():
        many = member.field.many
        arguments = [_input(*each) for each in _ON_LISTS] if many else []
        found.append(_output(name, _named(member.type, many=many), arguments))
    if path == "Reference":
        arguments = [_input("type", "String"), _input("optional", "Boolean")]
        found.append(_output("resource", _named("Resource"), arguments))
    if structure().types[path].kind == "resource":
        found += [_output("resourceType", _named("String")), *_searches(inside=True)]
    return found


def _by_id() -> list[Json]:
    return [_output(type_, _named(type_), [_input("id", "ID")]) for type_ in resource_types()]


def _searches(*, inside: bool) -> list[Json]:
    """Searches of every type. Inside a record their arguments are those of the root, and `_reference`."""
    found = []
    for type_ in resource_types():
        names = [*_SEARCH, *sorted(code.replace("-", "_") for code in parameters(type_))] if not inside else []
        arguments = [_input(name, "String") for name in (["_reference"] if inside else names)]
        found.append(_output(f"{type_}List", _named(type_, many=True), arguments))
        found.append(_output(f"{type_}Connection", _named(f"{type_}Connection"), arguments))
    return found
