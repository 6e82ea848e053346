# SPDX-License-Identifier: Apache-2.0
"""Faults that show only when places are compared or a text is read, each with its place and words.

Rules: null alignment of primitive arrays (https://hl7.org/fhir/R4/json.html#primitive), numbers, per-1,
ref-1, dom-3, conditional references outside transactions, and narrative. This walk knows the type of every
element. It runs only after `walk.suspicious` or a failed schema, and stands any content: what the schema
refuses, it passes over.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from salus.fhir.validate.members import Member, members
from salus.fhir.validate.narrative import fault
from salus.fhir.validate.period import backwards
from salus.fhir.validate.places import known
from salus.fhir.validate.primitives import LARGEST_EXPONENT, WORDS
from salus.fhir.validate.walk import absurd
from salus.kernel.errors import Issue

Json = dict[str, Any]

_WHOLE: Final = frozenset({"integer", "positiveInt", "unsignedInt"})
_LINKS: Final = frozenset({"canonical", "uri", "url"})
# Bundles in which a reference may be a search (https://hl7.org/fhir/R4/http.html#trules).
_CONDITIONAL: Final = frozenset({"transaction", "batch"})
_ANY: Final = frozenset({"Resource", "DomainResource"})


def findings(resource: Json) -> list[Issue]:
    """Every fault of these kinds.

    Args:
        resource: a resource of a known type; its content may break the schema.
    """
    kind = resource["resourceType"]
    inspection = _Inspection(conditional=kind == "Bundle" and resource.get("type") in _CONDITIONAL)
    inspection.resource(resource, kind)
    return inspection.found


class _Scope:
    """One resource with what it contains: where local references resolve."""

    def __init__(self) -> None:
        self.used: dict[str, str] = {}  # local reference -> place of its first use
        self.linked: set[str] = set()  # fragments in canonicals and URIs, which count as use but need not resolve
        self.to_container: list[str] = []  # places that refer to the container itself


class _Inspection:
    """A walk over one resource and all it holds."""

    def __init__(self, *, conditional: bool) -> None:
        self.conditional = conditional
        self.found: list[Issue] = []

    def report(self, code: str, place: str, words: str) -> None:
        self.found.append(Issue(code, f"`{place}` {words}.", place))

    def resource(self, resource: Json, place: str) -> None:
        """A resource that is not contained in another: it is its own scope."""
        scope = _Scope()
        self.node(resource, resource["resourceType"], place, scope)
        contained = resource.get("contained")
        items = contained if type(contained) is list else []
        ids: set[str] = set()
        for index, item in enumerate(items):
            identifier = item.get("id") if type(item) is dict else None
            self.contained(identifier, f"{place}.contained[{index}]", ids, scope)
        for local, where in scope.used.items():
            if local != "#" and local[1:] not in ids:
                self.report("invariant", where, "points to a contained resource that is not there (ref-1)")

    def contained(self, identifier: Any, place: str, ids: set[str], scope: _Scope) -> None:
        if type(identifier) is not str or identifier in ids:
            self.report("invariant", place, "must have an id that no other contained resource has")
            return
        ids.add(identifier)
        back = any(where.startswith(place + ".") for where in scope.to_container)
        if f"#{identifier}" not in {*scope.used, *scope.linked} and not back:
            self.report("invariant", place, "must be referred to from elsewhere in the resource (dom-3)")

    def node(self, node: Json, path: str, place: str, scope: _Scope) -> None:
        """An object of a known type."""
        known_members = members(path)
        for name, value in node.items():
            member = known_members.get(name)
            if member is None:
                continue
            inner = f"{place}.{member.place}"
            if member.field.many:
                if type(value) is list:
                    self.array(node, member, value, inner, scope)
            else:
                self.value(value, member, inner, scope)
        if path == "Reference":
            self.reference(node.get("reference"), f"{place}.reference", scope)
        elif path == "Period":
            start, end = node.get("start"), node.get("end")
            if type(start) is str and type(end) is str and backwards(start, end):
                self.report("invariant", place, "must not end before it starts (per-1)")

    def array(self, node: Json, member: Member, values: list[Any], place: str, scope: _Scope) -> None:
        partner = node.get(member.name[1:] if member.sibling else "_" + member.name)
        others = partner if type(partner) is list else []
        for index, value in enumerate(values):
            if value is not None:
                self.value(value, member, f"{place}[{index}]", scope)
            elif (member.primitive or member.sibling) and (index >= len(others) or others[index] is None):
                self.report("structure", f"{place}[{index}]", "is null here and has nothing in its sibling array")

    def value(self, value: Any, member: Member, place: str, scope: _Scope) -> None:
        kind = type(value)
        if kind is dict:
            if member.type in _ANY:
                self.nested(value, member, place, scope)
            elif not member.primitive:
                self.node(value, member.type, place, scope)
        elif kind is Decimal:
            if member.type in _WHOLE:
                self.report("value", place, WORDS[member.type])
            elif absurd(value):
                self.report("value", place, f"has too many digits, or an exponent beyond {LARGEST_EXPONENT}")
        elif kind is str:
            if member.type == "xhtml":
                wrong = fault(value)
                if wrong:
                    self.report("invariant", place, wrong)
            elif member.type in _LINKS and value[:1] == "#":
                scope.linked.add(value)

    def nested(self, value: Json, member: Member, place: str, scope: _Scope) -> None:
        if not known(value.get("resourceType")):
            return
        if member.field.name == "contained":
            self.node(value, value["resourceType"], place, scope)
        else:
            self.resource(value, place)

    def reference(self, reference: Any, place: str, scope: _Scope) -> None:
        if type(reference) is not str:
            return
        if reference == "#":
            scope.to_container.append(place)
        elif reference[:1] == "#":
            scope.used.setdefault(reference, place)
        elif "?" in reference and "://" not in reference and not self.conditional:
            self.report("value", place, "may be a search only within a transaction or batch")
