# SPDX-License-Identifier: Apache-2.0
"""A GraphQL query, read: fragments put in their places, variables replaced, `@include` and `@skip` decided.

https://spec.graphql.org/October2021/  What is too deep or too large is refused before anything is read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from graphql.error import GraphQLSyntaxError
from graphql.language import (
    DirectiveNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    Node,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    VariableNode,
    parse,
    print_ast,
)
from graphql.utilities import value_from_ast_untyped

from salus.kernel.errors import Issue, Kind, Problem

LONGEST = 20_000
"""Characters of a query."""
DEEPEST = 15
"""Levels of selections."""
MOST_FIELDS = 1_000
"""Fields of a query, fragments counted wherever they are used."""

DIRECTIVES: dict[str, frozenset[str]] = {
    "flatten": frozenset(),
    "first": frozenset(),
    "singleton": frozenset(),
    "slice": frozenset({"path"}),
    "include": frozenset({"if"}),
    "skip": frozenset({"if"}),
}
"""Directives and their arguments."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field that is asked for.

    Attributes:
        key: its name in the answer: the alias, or the name.
        arguments: values with variables replaced.
        directives: arguments by directive.
        selections: what is asked of its value; empty for a primitive.
        place: line and column in the query.
    """

    key: str
    name: str
    arguments: Mapping[str, Any]
    directives: Mapping[str, Mapping[str, Any]]
    selections: tuple[Selection, ...]
    place: str


@dataclass(frozen=True, slots=True)
class Condition:
    """`... on Type { … }`; type "" always holds."""

    type: str
    selections: tuple[Selection, ...]
    place: str


Selection = Field | Condition


def read(text: str, variables: Mapping[str, Any] | None = None, operation: str = "") -> tuple[Selection, ...]:
    """Read a query.

    Args:
        text: the document.
        variables: values from beside it.
        operation: which of several operations is meant.

    Raises:
        Problem: INCORRECT with line and column; TOO_COSTLY beyond a limit. No words repeat a value.
    """
    if len(text) > LONGEST:
        raise Problem(Kind.TOO_COSTLY, f"A query may have {LONGEST} characters.")
    try:
        document = parse(text, max_tokens=LONGEST)
    except GraphQLSyntaxError as error:
        at = error.locations[0] if error.locations else None
        raise refuse("This is not GraphQL.", f"query:{at.line}:{at.column}" if at else "query", "structure") from None
    except RecursionError:
        raise Problem(Kind.TOO_COSTLY, f"A query may be {DEEPEST} levels deep.") from None
    chosen = _operation(document, operation)
    if chosen.operation is not OperationType.QUERY:
        raise refuse("Only queries are answered; nothing is changed through GraphQL.", _place(chosen), "not-supported")
    fragments = {each.name.value: each for each in document.definitions if isinstance(each, FragmentDefinitionNode)}
    return _Reader(fragments, _variables(chosen, variables or {})).selections(chosen.selection_set, ())


def refuse(text: str, place: str, code: str = "value") -> Problem:
    """A query that cannot be answered; `place` is `query:line:column`."""
    return Problem(Kind.INCORRECT, text, issues=(Issue(code, text, place),))


def _operation(document: DocumentNode, name: str) -> OperationDefinitionNode:
    known = [each for each in document.definitions if isinstance(each, OperationDefinitionNode)]
    if name:
        known = [each for each in known if each.name is not None and each.name.value == name]
    if len(known) != 1:
        raise refuse("The query must have one operation, or operationName must name it.", "query", "structure")
    return known[0]


def _variables(operation: OperationDefinitionNode, given: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for definition in operation.variable_definitions or ():
        name, type_ = definition.variable.name.value, print_ast(definition.type)
        if name in given:
            value = given[name]
        elif definition.default_value is not None:
            value = value_from_ast_untyped(definition.default_value)
        else:
            value = None
        if not _fits(value, type_):
            raise refuse("A variable has no value of its type.", _place(definition), "value")
        found[name] = value
    return found


def _fits(value: Any, type_: str) -> bool:
    if type_.endswith("!"):
        return value is not None and _fits(value, type_[:-1])
    if value is None:
        return True
    if type_.startswith("["):
        return all(_fits(each, type_[1:-1]) for each in value) if isinstance(value, list) else _fits(value, type_[1:-1])
    if type_ == "Boolean":
        return isinstance(value, bool)
    if type_ == "Int":
        return isinstance(value, int) and not isinstance(value, bool)
    if type_ == "Float":
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, str) or (type_ == "ID" and isinstance(value, int) and not isinstance(value, bool))


class _Reader:
    """Turns syntax into selections; counts what it makes."""

    def __init__(self, fragments: Mapping[str, FragmentDefinitionNode], variables: Mapping[str, Any]) -> None:
        self._fragments = fragments
        self._variables = variables
        self._made = 0

    def selections(
        self, node: SelectionSetNode | None, inside: tuple[str, ...], depth: int = 1
    ) -> tuple[Selection, ...]:
        """Selections of a level.

        Args:
            inside: names of the fragments around, so that none holds itself.
        """
        if node is None:
            return ()
        if depth > DEEPEST:
            raise Problem(Kind.TOO_COSTLY, f"A query may be {DEEPEST} levels deep.")
        found = []
        for each in node.selections:
            directives = self._directives(each.directives or ())
            if directives.get("include", {}).get("if", True) is False or directives.get("skip", {}).get("if") is True:
                continue
            self._made += 1
            if self._made > MOST_FIELDS:
                raise Problem(Kind.TOO_COSTLY, f"A query may have {MOST_FIELDS} fields.")
            if isinstance(each, FieldNode):
                found.append(self._field(each, directives, inside, depth))
            else:
                found.append(self._condition(each, inside, depth))
        return tuple(found)

    def _field(
        self, node: FieldNode, directives: dict[str, dict[str, Any]], inside: tuple[str, ...], depth: int
    ) -> Selection:
        return Field(
            key=(node.alias or node.name).value,
            name=node.name.value,
            arguments={each.name.value: self._value(each.value) for each in node.arguments or ()},
            directives=directives,
            selections=self.selections(node.selection_set, inside, depth + 1),
            place=_place(node),
        )

    def _condition(self, node: Any, inside: tuple[str, ...], depth: int) -> Selection:
        if isinstance(node, InlineFragmentNode):
            type_ = node.type_condition.name.value if node.type_condition else ""
            return Condition(type_, self.selections(node.selection_set, inside, depth + 1), _place(node))
        assert isinstance(node, FragmentSpreadNode)  # noqa: S101  the grammar has no fourth kind
        name = node.name.value
        fragment = self._fragments.get(name)
        if fragment is None or name in inside:
            raise refuse("The fragment is not there, or holds itself.", _place(node), "structure")
        selections = self.selections(fragment.selection_set, (*inside, name), depth + 1)
        return Condition(fragment.type_condition.name.value, selections, _place(node))

    def _directives(self, nodes: Sequence[DirectiveNode]) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        for node in nodes:
            name = node.name.value
            arguments = {each.name.value: self._value(each.value) for each in node.arguments or ()}
            if DIRECTIVES.get(name) != arguments.keys():
                raise refuse("There is no such directive, or it takes other arguments.", _place(node), "not-supported")
            found[name] = arguments
        return found

    def _value(self, node: Any) -> Any:
        for variable in _used(node):
            if variable.name.value not in self._variables:
                raise refuse("The variable is not declared.", _place(variable), "structure")
        return value_from_ast_untyped(node, dict(self._variables))


def _used(node: Any) -> list[VariableNode]:
    if isinstance(node, VariableNode):
        return [node]
    return [each for value in getattr(node, "values", ()) for each in _used(value)]


def _place(node: Node) -> str:
    if node.loc is None:
        return "query"
    start = node.loc.start_token
    return f"query:{start.line}:{start.column}"
