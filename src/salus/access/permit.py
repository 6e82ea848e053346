# SPDX-License-Identifier: Apache-2.0
"""The permit: what the store asks for before it gives or takes a record.

Only `salus.access.decide` makes permits; the constructor refuses anyone else. A permit is about one actor,
one permission and one type. It does not say that a record may be touched but how to tell: for one record by
its facts, for many by SQL.
"""

from __future__ import annotations

from dataclasses import InitVar, dataclass, field

from salus.access.facts import Facts
from salus.access.permissions import Permission
from salus.access.predicate import Fragment, Test
from salus.fhir.smart.conditions import Parameters
from salus.kernel.actor import Actor
from salus.kernel.errors import Kind, Problem

_MAKER = object()
_NOTHING: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Extent:
    """A part of the records that the scopes of a session open, told by their content.

    Attributes:
        test: what must hold of the facts; None when the permit's own test says it already.
        params: search parameters that the content must fulfil, all of them; empty for any content.
    """

    test: Test | None
    params: Parameters


@dataclass(frozen=True, slots=True, eq=False)
class Permit:
    """An allowed kind of access.

    Attributes:
        actor: who may.
        permission: what may be done.
        type: FHIR type it holds for; empty for a permission that is not about records.
        purpose: purpose of use that the actor stated.
        grants: ids of the grants of the policy that allow it; names of roles for a permission not about
            records.
        reason: policy, version and grants in words, for the audit log.
        masked: elements hidden in some of the records that the permit shows: to search or sort by one must
            be refused,
            because the answer would tell the value.
        unrestricted: true when every record of the type (in the tenant) is covered.
        extents: parts of the records, one of which must hold a record besides what `allows` says of it; empty
            when the facts say it all. `salus.records.store` judges them, on the content.
    """

    maker: InitVar[object]
    actor: Actor
    permission: Permission
    type: str
    purpose: str
    grants: tuple[str, ...]
    reason: str
    masked: frozenset[str]
    unrestricted: bool
    _test: Test = field(repr=False)
    _fragment: Fragment = field(repr=False)
    _masks: tuple[tuple[Test, frozenset[str]], ...] = field(repr=False)
    extents: tuple[Extent, ...] = ()

    def __post_init__(self, maker: object) -> None:
        if maker is not _MAKER:
            raise Problem(Kind.FAULT, "Access was not decided.", "a Permit was made outside salus.access.decide")

    def allows(self, facts: Facts) -> bool:
        """Whether the record with these facts is covered, as far as facts can tell (see `extents`).

        Before a change ask it twice: for the record as it is and as it would be.
        """
        return self._test(facts)

    def sql(self) -> Fragment:
        """The same question for many records.

        Returns:
            A WHERE fragment over the alias `r` and the values to bind, in order. Tenant and type are not in
            it.
        """
        return self._fragment

    def mask(self, facts: Facts) -> frozenset[str]:
        """Names of top-level elements to leave out of this record, each with its `_name` sibling.

        An element is hidden only if every grant that covers the record hides it. Without a covering grant
        all are.
        """
        if not self._masks:
            return _NOTHING
        covering = [mask for test, mask in self._masks if test(facts)]
        if not covering:
            return frozenset[str]().union(*(mask for _, mask in self._masks))
        return frozenset.intersection(*covering)
