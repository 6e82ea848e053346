# SPDX-License-Identifier: Apache-2.0
"""The one place where access is decided.

`Access.decide()` answers a request with a `Permit` or raises the refusal. It is asked once for each
request, before any record is looked at; the permit then says which records it covers. Permits are kept for
actors who come back: what may change between two requests (care relationships, facts of records) is asked
afresh each time a permit is used.
"""

from __future__ import annotations

from collections.abc import Sequence

from salus.access.conditions import Surrogate, owned_by, predicate_of
from salus.access.permissions import Permission
from salus.access.permit import _MAKER, Extent, Permit
from salus.access.policy import CONDITION_DOC, Grant, Policy
from salus.access.predicate import Always, Never, Predicate, either, every, to_python, to_sql
from salus.access.relations import CareRelations
from salus.access.scopes import Opening
from salus.access.standing import Reason, Standing, refusal, stand
from salus.fhir.search.parameters import parameters
from salus.kernel.actor import Actor
from salus.kernel.errors import Problem

_KEPT = 8192  # permits; about 2 KB each

_Asked = tuple[Actor, Permission, str, str]
"""Actor, permission, type, letters of a scope in place of the permission's own."""


class Access:
    """Decides by one policy.

    Args:
        policy: the policy in force; None refuses everyone.
        relations: care relationships, asked whenever a permit that depends on them is used.
        surrogate: (tenant, kind, value) -> 16 bytes, the tenant's surrogate of a value; kinds `Patient`
            (value: the id), `party` (a reference such as `Practitioner/123`), `category` and `sensitivity`
            (codes).
    """

    def __init__(self, policy: Policy | None, relations: CareRelations, surrogate: Surrogate) -> None:
        self.policy = policy
        self._relations = relations
        self._surrogate = surrogate
        self._levels: dict[tuple[str, ...], int] = {}
        self._permits: dict[_Asked, Permit] = {}

    def decide(self, actor: Actor, permission: Permission, type: str = "", *, letters: str = "") -> Permit:  # noqa: A002
        """Decide whether the actor may do this at all, and to which records.

        Args:
            actor: who asks.
            permission: what for.
            type: FHIR type for `record:*`, else "".
            letters: letters of a SMART scope that this takes, where they are not those of the permission.

        Returns:
            The permit. Warm: under 3 microseconds.

        Raises:
            Problem: FORBIDDEN. Its `detail` starts with a `standing.Reason` and a colon; `public` says
                nothing of it.
        """
        key = (actor, permission, type, letters)
        permit = self._permits.get(key)
        if permit is None:
            permit = self._work_out(key)
            if len(self._permits) >= _KEPT:
                self._permits.clear()
            self._permits[key] = permit
        return permit

    def assurance(self, roles: tuple[str, ...]) -> int:
        """The level of assurance (2 or 3) that these roles demand of a person who signs in."""
        level = self._levels.get(roles)
        if level is None:
            level = 2 if self.policy is None else self.policy.assurance(roles)
            self._levels[roles] = level
        return level

    def purposes(self, roles: tuple[str, ...]) -> tuple[str, ...]:
        """The purposes of use that these roles serve, in the order of the policy; the first is the usual one."""
        known = {} if self.policy is None else self.policy.roles
        return tuple(dict.fromkeys(code for name in roles if name in known for code in known[name].purposes))

    def explain(self, actor: Actor, permission: Permission, type: str = "") -> list[str]:  # noqa: A002
        """Say in sentences why the actor may or may not do this; for an operator, not for the actor."""
        asked = f"{permission} on {type}" if type else str(permission)
        roles = ", ".join(actor.roles) or "no role"
        lines = [f"{actor.id} ({roles}; purpose of use {actor.purpose}) asks for {asked}."]
        try:
            permit = self.decide(actor, permission, type)
        except Problem as problem:
            return [*lines, f"Refused. {problem.detail}."]
        lines.append(f"Allowed by {permit.reason}.")
        if self.policy is None or not type:
            return lines
        for role in self.policy.roles.values():
            lines += [_sentence(grant) for grant in role.grants if grant.id in permit.grants]
        if actor.scopes:
            lines.append("The scopes of the session narrow this further: " + " ".join(actor.scopes) + ".")
        if permit.unrestricted:
            lines.append("Every record of this type is covered.")
        return lines

    def _work_out(self, asked: _Asked) -> Permit:
        actor, permission, type_, letters = asked
        standing = stand(self.policy, actor, permission, type_, letters)
        label = f"{self.policy.name} version {self.policy.version}" if self.policy else ""
        if not standing.grants:
            return self._permit(asked, standing.roles, f"{label}, role", ())
        parts = self._parts(actor, type_, standing)
        whole = either(extent for extent, _ in parts)
        covers = [(grant, every((whole, predicate_of(grant, actor, self._surrogate)))) for grant in standing.grants]
        usable = [(grant, predicate) for grant, predicate in covers if not isinstance(predicate, Never)]
        if not usable:
            raise refusal(Reason.PARTY, "the grants need an account that stands for a patient or practitioner")
        names = tuple(grant.id for grant, _ in usable)
        return self._permit(asked, names, f"{label}, grant", usable, _extents(parts))

    def _parts(self, actor: Actor, type_: str, standing: Standing) -> list[tuple[Predicate, Opening]]:
        """What the scopes leave, as predicates. A condition over a hidden element would tell its value, and is none."""
        hidden = frozenset[str]().union(*(grant.mask for grant in standing.grants))
        parts = [
            (self._reach(actor, opening), opening)
            for opening in standing.openings
            if not hidden or not any(_reads(type_, name, hidden) for name, _ in opening.params)
        ]
        if not parts:
            raise refusal(Reason.SCOPE, "the conditions of the scopes read hidden elements")
        return parts

    def _reach(self, actor: Actor, opening: Opening) -> Predicate:
        if not opening.patient:
            return Always()
        return owned_by(opening.patient, actor, self._surrogate, shared=opening.shared)

    def _permit(
        self,
        asked: _Asked,
        names: tuple[str, ...],
        label: str,
        usable: Sequence[tuple[Grant, Predicate]],
        extents: tuple[Extent, ...] = (),
    ) -> Permit:
        actor, permission, type_, _ = asked
        whole = either(predicate for _, predicate in usable)
        related = self._relations.related
        masked = _masked(usable)
        return Permit(
            maker=_MAKER,
            actor=actor,
            permission=permission,
            type=type_,
            purpose=actor.purpose,
            grants=names,
            reason=f"{label} {', '.join(names)}",
            masked=masked,
            unrestricted=isinstance(whole, Always) and not extents,
            _test=to_python(whole, related),
            _fragment=to_sql(whole),
            _masks=tuple((to_python(test, related), grant.mask) for grant, test in usable) if masked else (),
            extents=extents,
        )


def _extents(parts: list[tuple[Predicate, Opening]]) -> tuple[Extent, ...]:
    """What is left to be judged on the content; nothing when no scope has a condition."""
    if not any(opening.params for _, opening in parts):
        return ()
    alike = len({extent for extent, _ in parts}) == 1  # then the permit's own predicate holds it already
    return tuple(Extent(None if alike else to_python(extent, _nobody), opening.params) for extent, opening in parts)


def _nobody(_tenant: str, _party: bytes, _owner: bytes) -> bool:
    return False


def _reads(type_: str, name: str, hidden: frozenset[str]) -> bool:
    known = parameters(type_).get(name)
    return known is None or "*" in known.elements or bool(known.elements & hidden)


def _masked(usable: Sequence[tuple[Grant, Predicate]]) -> frozenset[str]:
    """Elements that a grant hides and that no other grant shows which covers at least the same records."""
    hidden: set[str] = set()
    for grant, predicate in usable:
        shown = [other.mask for other, wider in usable if wider == predicate or isinstance(wider, Always)]
        hidden |= grant.mask.intersection(*shown)
    return frozenset(hidden)


def _sentence(grant: Grant) -> str:
    conditions = " or ".join(CONDITION_DOC[condition] for condition in grant.when)
    text = f"{grant.id}: {grant.why}. It covers {conditions}"
    if grant.category:
        text += f", in category {' or '.join(grant.category)}"
    if grant.mask:
        text += f"; hidden: {', '.join(sorted(grant.mask))}"
    codes = grant.clearance.sensitivity
    cleared = "any sensitivity code" if codes is None else ", ".join(sorted(codes)) or "no sensitivity code"
    return f"{text}; up to confidentiality rank {grant.clearance.rank} and with {cleared}."
