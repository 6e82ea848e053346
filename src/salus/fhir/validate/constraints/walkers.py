# SPDX-License-Identifier: Apache-2.0
"""Python code, one function per type, that visits just the places where a constraint stands.

The code is made from the definitions alone, when a type is first asked for; nothing of a resource gets into it. Data
types whose constraints the schema holds are not visited, extensions neither: what may stand there (`Range`, `Count`) is
looked at in the quick walk.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, Final

from salus.fhir.definitions import PRIMITIVES, Field, structure
from salus.fhir.fhirpath.node import Node
from salus.fhir.fhirpath.parser import parse
from salus.fhir.validate.constraints.presence import ALWAYS, Presence
from salus.fhir.validate.constraints.rules import Rule, rules
from salus.fhir.validate.places import known

Walker = Callable[[dict[str, Any], Node], bool]
"""Takes an object, and the node of the resource that it is in."""

_ANY: Final = frozenset({"Resource", "DomainResource"})
_HOLDERS: Final = frozenset({"Bundle", "Parameters"})
# Data types with constraints of their own that no extension may hold; all others are met in the quick walk.
_VISITED: Final = frozenset({"ElementDefinition"})


def breaks(resource: dict[str, Any]) -> bool:
    """Whether a resource breaks a constraint of severity `error` that is judged by expression.

    Args:
        resource: of a known type, that fits the schema.
    """
    kind = resource["resourceType"]
    walker = _walker(kind)
    return walker is not None and walker(resource, Node(resource, kind))


def _nested(resource: Any, holder: Node) -> bool:
    """A resource inside another is the `%resource` of its own constraints, and may refer to its neighbours."""
    kind = resource.get("resourceType") if type(resource) is dict else None
    if type(kind) is not str or not known(kind):
        return False
    walker = _walker(kind)
    key = "resource" if holder.type in _HOLDERS else "contained"
    return walker is not None and walker(resource, Node(resource, kind, holder, key))


@cache
def _walker(path: str) -> Walker | None:
    """The function for a type, None where there is nothing to look at."""
    return _Writer(path).made() if _leads(path) else None


@cache
def _leads(path: str) -> bool:
    """Whether a constraint stands on a type or anywhere below it."""
    seen: set[str] = set()
    waiting = [path]
    while waiting:
        current = waiting.pop()
        if current in seen:
            continue
        seen.add(current)
        if _errors(current):
            return True
        for field in structure().types[current].fields:
            if _errors(f"{current}.{field.name}") or _ANY.intersection(field.types):
                # `contained` is nearly always absent; a look is cheaper than leaving it out would be right.
                return True
            waiting += [code for code in map(_visited, field.types) if code]
    return False


def _visited(code: str) -> str:
    """Path of a type that is walked into, or ""."""
    return code[1:] if code[0] == "#" else code if code in _VISITED else ""


@cache
def _errors(path: str) -> tuple[Rule, ...]:
    return tuple(rule for rule in rules(path) if rule.error)


class _Writer:
    """Writes the function for one type."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.names: dict[str, Any] = {"nested": _nested}
        self.lines: list[str] = ["def walk(n, r):"]

    def made(self) -> Walker:
        for rule in _errors(self.path):
            self.test(rule, self.path, "n", " ")
        for field in structure().types[self.path].fields:
            self.field(field)
        self.lines.append(" return False")
        exec("\n".join(self.lines), self.names)  # noqa: S102 - written from the definitions, see above
        walker: Walker = self.names["walk"]
        return walker

    def field(self, field: Field) -> None:
        here = f"{self.path}.{field.name}"
        own = _errors(here) if f"#{here}" not in field.types else ()
        stem = field.name.removesuffix("[x]")
        for code in field.types:
            key = stem + code[0].upper() + code[1:] if field.name.endswith("[x]") else stem
            inner = self.inner(code)
            if not own and not inner:
                continue
            self.lines.append(f" v = n.get({key!r})")
            self.lines.append(" if v is not None:")
            self.lines.append(f"  for x in {'v' if field.many else '(v,)'}:")
            kind = code.removeprefix("#")
            for rule in own:
                self.test(rule, kind, "x", "   ")
            if inner:
                self.lines.append(f"   if {inner}(x, r): return True")
            elif not own:
                self.lines.append("   pass")

    def inner(self, code: str) -> str:
        """Name of the function for the values of a field, "" where nothing is to be looked at."""
        if code in _ANY:
            return "nested"
        path = _visited(code)
        if not path or not _leads(path):
            return ""
        name = "walk_" + path.replace(".", "_")
        self.names[name] = _later(path)
        return name

    def test(self, rule: Rule, kind: str, variable: str, indent: str) -> None:
        name = f"rule_{len(self.names)}"
        self.names[name] = _judge(rule, kind)
        primitive = kind in PRIMITIVES
        condition = ALWAYS if primitive else Presence(kind, variable).may_fail(parse(rule.expression.text))
        lead = "" if condition == ALWAYS else f"{condition} and "
        self.lines.append(f"{indent}if {lead}{name}({variable}, r): return True")


def _judge(rule: Rule, kind: str) -> Callable[[Any, Node], bool]:
    """Evaluates a constraint on an element of a resource."""

    def judge(value: Any, around: Node) -> bool:
        return rule.broken(around if value is around.value else Node(value, kind, around))

    return judge


def _later(path: str) -> Walker:
    """The function for a type that may hold itself: looked up when it is called."""

    def walk(node: dict[str, Any], resource: Node) -> bool:
        walker = _walker(path)
        return walker is not None and walker(node, resource)

    return walk
