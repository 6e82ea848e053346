# SPDX-License-Identifier: Apache-2.0
"""Whether the content of a record lies within what a permit opens.

Most permits are told by facts alone, in SQL. A scope with search parameters (`Observation.rs?category=…|laboratory`)
speaks of the content: it is judged here, on the opened record, by the very rules by which a search with these
parameters is judged. The index only proposes: where its tokens say it all, a search need not open what it finds.
`Reader` asks before it gives a row away, so no way to a record goes past it.

Only parameters of R4 count; one that a tenant defines itself could be redefined, and a scope would grow.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from salus.access.facts import Facts
from salus.access.permit import Permit
from salus.crypto.keyring import TenantKeys
from salus.fhir.search.clauses import Clause
from salus.fhir.search.match import matcher
from salus.fhir.smart.conditions import Parameters, clauses
from salus.kernel.errors import Kind, Problem
from salus.records.lens import lens
from salus.records.store.index import Plan, plan
from salus.records.store.registries import Registries

_KEPT = 4_096
_Matcher = Callable[[list[tuple[Any, ...]]], bool]


class Covering:
    """Judges content for the permits of one process.

    Args:
        keys: the keys of a tenant, for its index.
        registries: tells whether the index of a tenant can be relied on.
        base: FHIR base address of a tenant, so that its absolute references count as local.
    """

    def __init__(self, keys: Callable[[str], TenantKeys], registries: Registries, base: Callable[[str], str]) -> None:
        self._keys = keys
        self._registries = registries
        self._base = base
        self._plans: dict[tuple[str, int, str, tuple[Parameters, ...]], tuple[str, bool]] = {}

    def holds(self, permit: Permit, facts: Facts, resource: dict[str, Any]) -> bool:
        """Whether a record with this content is covered; the permit must allow its facts besides."""
        if not permit.extents:
            return True
        extractor = lens(self._base(permit.actor.tenant)).extractor
        for extent in permit.extents:
            if extent.test is not None and not extent.test(facts):
                continue
            asked, tests = _compiled(permit.type, extent.params)
            rows = [*extractor.rows_for(resource, asked), ("_id", "token", "", resource.get("id", ""))]
            if all(test(rows) for test in tests):
                return True
        return False

    def narrowing(self, permit: Permit) -> tuple[str, bool]:
        """What the index can say of it.

        Returns:
            An expression over tokens that every covered record fulfils ("" when there is none), and whether every
            current record that fulfils it and the permit's SQL is covered.
        """
        tenant = permit.actor.tenant
        state = self._registries.of(tenant)[0]
        if state.outdated:  # no token can be relied on
            return "", False
        key = (tenant, state.key, permit.type, tuple(extent.params for extent in permit.extents))
        known = self._plans.get(key)
        if known is None:
            if len(self._plans) >= _KEPT:
                self._plans.clear()
            known = self._plans[key] = self._lowered(*key)
        expression, exact = known
        return expression, exact and all(extent.test is None for extent in permit.extents)

    def _lowered(self, tenant: str, number: int, type_: str, parts: tuple[Parameters, ...]) -> tuple[str, bool]:
        index = self._keys(tenant).index(number)
        plans = [plan(type_, _compiled(type_, params)[0], index) for params in parts]
        if not all(_narrows(one) for one in plans):
            return "", False
        if len(plans) == 1:
            return plans[0].expression, plans[0].exact
        return " OR ".join(f"({one.expression})" for one in plans), all(one.exact for one in plans)


def _narrows(found: Plan) -> bool:
    return bool(found.expression) and found.ids is None


@lru_cache(maxsize=_KEPT)
def _compiled(type_: str, params: Parameters) -> tuple[tuple[Clause, ...], tuple[_Matcher, ...]]:
    """The clauses of a condition, and the functions that judge rows by them.

    Raises:
        Problem: FAULT when a condition came here that cannot be judged: it must not count as fulfilled.
    """
    asked = clauses(type_, params) if params else ()
    if bool(params) != bool(asked):
        raise Problem(Kind.FAULT, "Access was not decided.", "a scope with a condition that cannot be judged")
    return asked, tuple(matcher(clause) for clause in asked)
