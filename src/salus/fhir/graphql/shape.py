# SPDX-License-Identifier: Apache-2.0
"""Which fields there are on which type, and whether a query asks for nothing else.

Names of types are FHIR's; a backbone element is called by its path without dots, `PatientContact`. Fields are the JSON
names: `valueQuantity`, `_birthDate`. https://hl7.org/fhir/R4/graphql.html
"""

from __future__ import annotations

from collections.abc import Sequence

from salus.fhir.definitions import resource_types, structure
from salus.fhir.graphql.document import Condition, Field, Selection, refuse
from salus.fhir.validate.members import members

QUERY = "Query"
"""The root of a system query."""
ANY = "Resource"
CONNECTION = "Connection"
EDGE = "Edge"

_RESOURCES = frozenset(resource_types())
_ABSTRACT = frozenset({"Resource", "DomainResource"})
_LIST_ARGUMENTS = frozenset({"fhirpath", "_count", "_offset"})
_CONNECTION = {"count", "offset", "pagesize", "first", "previous", "next", "last"}
_EDGE = {"mode", "score"}


def is_resource(path: str) -> bool:
    """Whether a type is a resource, or stands for any."""
    return path in _RESOURCES or path in _ABSTRACT


def searched(name: str) -> tuple[str, str] | None:
    """`PatientList` and `PatientConnection` as type and kind; None for every other field."""
    for kind in ("List", CONNECTION):
        type_ = name.removesuffix(kind)
        if type_ != name and type_ in _RESOURCES:
            return type_, kind
    return None


def graphql_name(path: str) -> str:
    """The name of a type in `__typename` and in type conditions."""
    return "".join(part[:1].upper() + part[1:] for part in path.split("."))


def applies(condition: str, path: str) -> bool:
    """Whether `... on condition` holds for a value of this type."""
    return condition in {"", graphql_name(path)} or (condition in _ABSTRACT and is_resource(path))


def check(selections: Sequence[Selection], path: str) -> None:
    """Hold a query against the types.

    Args:
        path: type of what the selections are made from: `Query`, a resource, a data type or a backbone path.

    Raises:
        Problem: INCORRECT for the first field, argument or condition that does not fit.
    """
    for each in selections:
        if isinstance(each, Condition):
            check(each.selections, _narrowed(each, path))
        else:
            _field(each, path)


def _narrowed(condition: Condition, path: str) -> str:
    if applies(condition.type, path):
        return path
    if path in _ABSTRACT and condition.type in _RESOURCES:
        return condition.type
    raise refuse("The condition can never hold here.", condition.place, "structure")


def _field(field: Field, path: str) -> None:
    if field.name == "__typename":
        return _leaf(field)
    if path == QUERY:
        return _root(field)
    if path in {CONNECTION, EDGE}:
        return _around(field, path)
    if is_resource(path):
        if field.name == "resourceType":
            return _leaf(field)
        found = searched(field.name)
        if found is not None:
            return _search(field, *found)
    if path == "Reference" and field.name == "resource":
        return _resolved(field)
    member = members(path).get(field.name) if path in structure().types else None
    if member is None:
        raise refuse("There is no such field here.", field.place, "structure")
    if field.arguments and not member.field.many:
        raise refuse("Only lists take arguments.", field.place, "structure")
    known = {name for name, each in members(member.type).items() if each.primitive} if not member.primitive else set()
    if unknown := field.arguments.keys() - _LIST_ARGUMENTS - known:
        raise refuse(f"{len(unknown)} of the arguments cannot be used here.", field.place, "structure")
    if member.primitive:
        return _leaf(field, arguments=True)
    return _branch(field, member.type)


def _root(field: Field) -> None:
    found = searched(field.name)
    if found is not None:
        return _search(field, *found)
    if field.name not in _RESOURCES:
        raise refuse("There is no such field here.", field.place, "structure")
    if field.arguments.keys() != {"id"} or not isinstance(field.arguments["id"], str):
        raise refuse("A record is asked for by its id.", field.place, "structure")
    return _branch(field, field.name)


def _search(field: Field, type_: str, kind: str) -> None:
    """Arguments are search parameters; the search itself refuses what it does not know."""
    _branch(field, type_ if kind == "List" else CONNECTION)
    if kind == CONNECTION:
        for edges in _named(field.selections, "edges"):
            for resource in _named(edges.selections, "resource"):
                _branch(resource, type_)


def _named(selections: Sequence[Selection], name: str) -> list[Field]:
    found = []
    for each in selections:
        if isinstance(each, Condition):
            found += _named(each.selections, name)
        elif each.name == name:
            found.append(each)
    return found


def _around(field: Field, path: str) -> None:
    if field.arguments:
        raise refuse("This field takes no arguments.", field.place, "structure")
    if path == CONNECTION and field.name == "edges":
        return _branch(field, EDGE)
    if path == EDGE and field.name == "resource":
        return None  # `_search` knows its type
    if field.name not in (_CONNECTION if path == CONNECTION else _EDGE):
        raise refuse("There is no such field here.", field.place, "structure")
    return _leaf(field)


def _resolved(field: Field) -> None:
    type_, optional = field.arguments.get("type"), field.arguments.get("optional", False)
    if field.arguments.keys() - {"type", "optional"} or not isinstance(optional, bool):
        raise refuse("resource takes `type` and `optional`.", field.place, "structure")
    if type_ is not None and type_ not in _RESOURCES:
        raise refuse("`type` must be a resource type.", field.place, "structure")
    return _branch(field, type_ or ANY)


def _leaf(field: Field, *, arguments: bool = False) -> None:
    if field.selections:
        raise refuse("This field has no fields of its own.", field.place, "structure")
    if field.arguments and not arguments:
        raise refuse("This field takes no arguments.", field.place, "structure")


def _branch(field: Field, path: str) -> None:
    if not field.selections:
        raise refuse("Say which fields of this you want.", field.place, "structure")
    check(field.selections, path)
