# SPDX-License-Identifier: Apache-2.0
"""Searches that reach into other records: chains, `_has` and `_list`.

`subject:Patient.name=x` asks for records whose subject is a Patient that fulfils `name=x`;
`_has:Observation:patient:code=x` for records that an Observation with `code=x` points to. What stands behind the
dot or the last colon is a search of its own, again with a chain or a `_has` if need be, to any depth. Pure
grammar: which records a step may see is decided where it is answered.
https://hl7.org/fhir/R4/search.html#chaining  https://hl7.org/fhir/R4/search.html#has
"""

from __future__ import annotations

import re
from collections.abc import Callable

from salus.fhir.definitions import resource_types
from salus.fhir.search.clauses import Chain, Clause, Has, Join, Listed, Step
from salus.fhir.search.parameters import Parameter
from salus.fhir.search.reading import Setting, clause, parameter
from salus.fhir.search.terms import refuse, split, unanswered
from salus.kernel.errors import Kind, Problem

MAX_STEPS = 200
"""Steps of one parameter, all branches counted: what a client may make the server look up."""

_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")


def is_join(type_: str, name: str) -> bool:
    """Whether a parameter of this name reaches into other records."""
    return name.partition(":")[0] in {"_has", "_list"} or ("." in name)


Last = Callable[[Parameter, str | None, str, Setting], Clause]
"""Reads the clause at the end of a chain, as `reading.clause` does."""


def join(type_: str, name: str, text: str, setting: Setting, *, read: Last = clause) -> Join:
    """Read a chain, a `_has` or a `_list`.

    Args:
        type_: resource type that is searched.
        name: as written, with `:` and `.`.
        text: the values as written.
        setting: see there.
        read: reads the end of the chain.

    Raises:
        Problem: INCORRECT for what is not understood; TOO_COSTLY for more than 200 steps or 500 values.
    """
    return Join(name, text, _Steps(text, setting, read).step(type_, name))


class _Steps:
    """Reads the steps of one parameter and counts them."""

    def __init__(self, text: str, setting: Setting, read: Last) -> None:
        self._text = text
        self._setting = setting
        self._read = read
        self._held = setting.values
        self._count = 0

    def step(self, type_: str, name: str) -> Step:
        self._count += 1
        if self._count > MAX_STEPS:
            text = "The chain branches too often; name the types, as in subject:Patient.name."
            raise Problem(Kind.TOO_COSTLY, text)
        if name == "_list":
            return self._listed()
        if name.startswith("_list:"):
            raise unanswered("is not supported with a modifier")
        if name.partition(":")[0] == "_has":
            return self._has(type_, name)
        if is_join(type_, name):
            return self._chain(type_, name)
        code, colon, modifier = name.partition(":")
        self._setting.values = self._held  # the same values for each branch
        found = parameter(type_, code, self._setting.registry)
        return self._read(found, modifier if colon else None, self._text, self._setting)

    def _listed(self) -> Listed:
        ids = tuple(dict.fromkeys(split(self._text, ",")))
        if any(id_.startswith("$") for id_ in ids):
            raise unanswered("is not supported at the end of a chain for lists that a server makes up")
        if not all(_ID.fullmatch(id_) for id_ in ids):
            raise refuse("is not the id of a List")
        return Listed(ids)

    def _has(self, type_: str, name: str) -> Has:
        parts = name.split(":", 3)
        if len(parts) < 4 or not all(parts):
            raise refuse("is not of the form _has:Type:parameter:search")
        _, source, code, rest = parts
        if source not in resource_types():
            raise refuse("names something that is not a resource type")
        known = self._reference(source, code)
        if known.targets and type_ not in known.targets:
            raise refuse(f"never points to {type_}")
        return Has(source, code, known.families, self.step(source, rest))

    def _chain(self, type_: str, name: str) -> Chain:
        first, _, rest = name.partition(".")
        code, colon, target = first.partition(":")
        known = self._reference(type_, code)
        if colon and (target not in resource_types() or (known.targets and target not in known.targets)):
            raise refuse("names a type that the chain does not lead to")
        if not rest:
            raise refuse("ends with a dot")
        branches: list[tuple[str, Step]] = []
        first_problem: Problem | None = None
        for leading_to in (target,) if colon else known.targets or resource_types():
            try:
                branches.append((leading_to, self.step(leading_to, rest)))
            except Problem as problem:
                if problem.kind is not Kind.INCORRECT:
                    raise
                first_problem = first_problem or problem
        if not branches:  # none of the types knows what is asked of it
            raise first_problem or refuse("leads nowhere")
        return Chain(code, known.families, tuple(branches))

    def _reference(self, type_: str, code: str) -> Parameter:
        found = parameter(type_, code, self._setting.registry)
        if found.kind != "reference":
            raise refuse(f"leads through something that is not a reference of {type_}")
        return found
