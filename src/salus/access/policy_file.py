# SPDX-License-Identifier: Apache-2.0
"""Reads a policy from TOML, strictly.

A policy that is not fully understood is refused, with words that name the place: an unknown key or word, a
repeated grant id, an empty `when`, all types together with all actions. A typing error must never widen
access, and must not narrow it unseen either. TOML because its keys and values mean what they look like
(YAML reads `on:` and `NO` as booleans).
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from typing import Any

from salus.access.facts import CONFIDENTIALITY
from salus.access.permissions import RECORD_ACTIONS, SYSTEM, Permission
from salus.access.policy import Clearance, Condition, Example, Grant, Never, Policy, Role
from salus.access.purposes import PURPOSES
from salus.fhir.definitions import fields, resource_types
from salus.kernel.errors import Kind, Problem

_ASSURANCE = {"aal2": 2, "aal3": 3}
_NORMAL = Clearance(CONFIDENTIALITY["N"], frozenset())


def refuse(place: str, words: str) -> Problem:
    """The problem that stops a policy from being loaded."""
    return Problem(Kind.INVALID, f"The access policy is refused: {place}: {words}", "policy refused")


class Table:
    """One TOML table: hands out its keys by type, and at the end complains of those that nobody asked for."""

    def __init__(self, place: str, content: object) -> None:
        if not isinstance(content, dict):
            raise refuse(place, "must be a table")
        self.place = place
        self._left: dict[str, Any] = dict(content)

    def text(self, key: str, default: str | None = None) -> str:
        """A string that is not empty; the default when the key is absent, an error when there is none."""
        value = self._take(key, default)
        if not isinstance(value, str) or (not value.strip() and value != default):
            raise refuse(self.place, f"`{key}` must be a text that is not empty")
        return value

    def whole(self, key: str) -> int:
        """A whole number above zero."""
        value = self._take(key, None)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise refuse(self.place, f"`{key}` must be a whole number above zero")
        return value

    def texts(self, key: str, default: tuple[str, ...] | None = None) -> tuple[str, ...]:
        """A list of different strings. One that is required must not be empty."""
        value = self._take(key, default)
        if value is default and default is not None:
            return default
        if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
            raise refuse(self.place, f"`{key}` must be a list of texts")
        if len(set(value)) != len(value):
            raise refuse(self.place, f"`{key}` names something twice")
        if not value and default is None:
            raise refuse(self.place, f"`{key}` must not be empty")
        return tuple(value)

    def table(self, key: str) -> Table | None:
        """A table inside this one, or None when absent."""
        value = self._left.pop(key, None)
        return None if value is None else Table(f"{self.place}.{key}", value)

    def tables(self, key: str) -> list[Table]:
        """A list of tables; empty when absent."""
        value = self._left.pop(key, [])
        if not isinstance(value, list):
            raise refuse(self.place, f"`{key}` must be written as [[…]]")
        return [Table(f"{self.place}.{key}[{index}]", item) for index, item in enumerate(value, 1)]

    def named(self, key: str) -> dict[str, object]:
        """A table whose keys are names; empty when absent."""
        value = self._left.pop(key, {})
        if not isinstance(value, dict):
            raise refuse(self.place, f"`{key}` must be a table")
        return value

    def done(self) -> None:
        """Refuse what nobody asked for."""
        if self._left:
            raise refuse(self.place, f"unknown key `{sorted(self._left)[0]}`")

    def _take(self, key: str, default: object) -> object:
        if key not in self._left and default is None:
            raise refuse(self.place, f"`{key}` is missing")
        return self._left.pop(key, default)


def read_policy(text: str) -> Policy:
    """Read a policy; its examples are read but not run, see `load`.

    Args:
        text: TOML 1.0.

    Raises:
        Problem: INVALID, with the place and the reason.
    """
    try:
        top = Table("policy", tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise refuse("policy", f"not TOML: {error}") from None
    name, version = top.text("policy"), top.whole("version")
    sets = {key: _set(key, value) for key, value in top.named("sets").items()}
    roles = {key: _role(key, value, sets) for key, value in top.named("role").items()}
    nevers = tuple(_never(table, sets, roles) for table in top.tables("never"))
    examples = tuple(_example(table, roles) for table in top.tables("test"))
    profiles = {key: _profiles(key, value) for key, value in top.named("profiles").items()}
    top.done()
    ids = [grant.id for role in roles.values() for grant in role.grants] + [rule.id for rule in nevers]
    for id_ in ids:
        if ids.count(id_) > 1:
            raise refuse("policy", f"the id `{id_}` is used twice")
    return Policy(name, version, roles, nevers, examples, sets, profiles)


def _profiles(name: str, value: object) -> tuple[str, ...]:
    """Canonicals that every record of one type must fulfil."""
    table = Table("profiles", {name: value})
    _known(table, name, resource_types(), "type")
    canonicals = table.texts(name)
    for canonical in canonicals:
        if ":" not in canonical or any(mark.isspace() for mark in canonical):
            raise refuse("profiles", f"`{name}` must list the canonical URLs of profiles")
    return canonicals


def _set(name: str, value: object) -> frozenset[str]:
    table = Table("sets", {name: value})
    return frozenset(_known(table, type_, resource_types(), "type") for type_ in table.texts(name))


def _role(name: str, value: object, sets: Mapping[str, frozenset[str]]) -> Role:
    table = Table(f"role.{name}", value)
    title = table.text("title")
    purposes = tuple(_known(table, code, PURPOSES, "purpose of use") for code in table.texts("purposes"))
    clearance = _clearance(table, _NORMAL)
    known = [permission.value for permission in SYSTEM]
    permissions = frozenset(
        Permission(_known(table, text, known, "permission")) for text in table.texts("permissions", ())
    )
    party = table.text("party", "")
    if party:
        _known(table, party, resource_types(), "type")
    assurance = _known(table, table.text("assurance", "aal2"), list(_ASSURANCE), "level of assurance")
    grants = tuple(_grant(name, rule, clearance, sets) for rule in table.tables("allow"))
    table.done()
    return Role(name, title, purposes, permissions, party, grants, _ASSURANCE[assurance])


def _grant(role: str, table: Table, clearance: Clearance, sets: Mapping[str, frozenset[str]]) -> Grant:
    id_ = table.text("id")
    table.place += f" ({id_})"
    why = table.text("why")
    actions, types = _reach(table, sets, limited=True)
    conditions = tuple(Condition(_known(table, text, list(Condition), "condition")) for text in table.texts("when"))
    if Condition.ANY in conditions and len(conditions) > 1:
        raise refuse(table.place, "`any` makes the other conditions meaningless")
    grant = Grant(
        id=id_,
        why=why,
        role=role,
        actions=actions,
        types=types,
        when=conditions,
        category=table.texts("category", ()),
        mask=_mask(table, types),
        clearance=_clearance(table, clearance),
    )
    table.done()
    return grant


def _never(table: Table, sets: Mapping[str, frozenset[str]], roles: Mapping[str, Role]) -> Never:
    id_, why = table.text("id"), table.text("why")
    actions, types = _reach(table, sets, limited=False)
    bound = frozenset(_known(table, name, roles, "role") for name in table.texts("roles", ()))
    table.done()
    return Never(id_, why, actions, types, bound)


def _example(table: Table, roles: Mapping[str, Role]) -> Example:
    name = table.text("name")
    who, record = table.table("as"), table.table("on") or Table("on", {})
    if who is None:
        raise refuse(table.place, "`as` is missing")
    held = tuple(_known(who, role, roles, "role") for role in who.texts("roles"))
    do, expect = table.text("do"), table.text("expect")
    permission = RECORD_ACTIONS.get(do) or Permission(_known(table, do, list(Permission), "action"))
    rank = _known(record, record.text("confidentiality", "N"), CONFIDENTIALITY, "confidentiality")
    type_ = record.text("type", "")
    if type_:
        _known(record, type_, resource_types(), "type")
    example = Example(
        name=name,
        roles=held,
        party=who.text("party", ""),
        purpose=_known(who, who.text("purpose", roles[held[0]].purposes[0]), PURPOSES, "purpose of use"),
        care=who.texts("care", ()),
        permission=permission,
        type=type_,
        patients=record.texts("patient", ()),
        author=record.text("author", ""),
        category=record.texts("category", ()),
        sensitivity=record.texts("sensitivity", ()),
        rank=CONFIDENTIALITY[rank],
        allowed=_known(table, expect, ("allow", "deny"), "answer") == "allow",
        mask=frozenset(mask) if (mask := table.texts("mask", ())) else None,
    )
    for part in (who, record, table):
        part.done()
    return example


def _reach(
    table: Table, sets: Mapping[str, frozenset[str]], *, limited: bool
) -> tuple[frozenset[Permission], frozenset[str]]:
    """Actions and types of a rule, `*` and `@sets` written out."""
    named_actions, named_types = table.texts("actions"), table.texts("types")
    if limited and "*" in named_actions and "*" in named_types:
        raise refuse(table.place, "all actions on all types is no rule: name the actions or the types")
    actions: set[Permission] = set()
    for text in named_actions:
        if text == "*":
            actions.update(RECORD_ACTIONS.values())
        else:
            actions.add(RECORD_ACTIONS[_known(table, text, RECORD_ACTIONS, "action")])
    types: set[str] = set()
    for text in named_types:
        if text == "*":
            types.update(resource_types())
        elif text.startswith("@"):
            types |= sets[_known(table, text[1:], sets, "type set")]
        else:
            types.add(_known(table, text, resource_types(), "type"))
    return frozenset(actions), frozenset(types)


def _clearance(table: Table, default: Clearance) -> Clearance:
    inner = table.table("clearance")
    if inner is None:
        return default
    code = _known(inner, inner.text("confidentiality"), CONFIDENTIALITY, "confidentiality")
    codes = inner.texts("sensitivity", ())
    inner.done()
    return Clearance(CONFIDENTIALITY[code], None if codes == ("*",) else frozenset(codes))


def _mask(table: Table, types: frozenset[str]) -> frozenset[str]:
    names = table.texts("mask", ())
    for name in names:
        if name in {"id", "meta"} or not any(name in fields(type_) for type_ in types):
            raise refuse(table.place, f"no type of this grant has an element `{name}` that can be hidden")
        if name.endswith("[x]"):
            raise refuse(table.place, f"`{name}` has a choice of types and cannot be hidden")
    # The narrative repeats what the elements say (https://hl7.org/fhir/R4/narrative.html), so it goes with
    # any of them.
    return frozenset((*names, "text")) if names else frozenset()


def _known(table: Table, word: str, known: Any, what: str) -> str:
    if word not in known:
        raise refuse(table.place, f"unknown {what} `{word}`")
    return word
