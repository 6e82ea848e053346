# SPDX-License-Identifier: Apache-2.0
"""The one place where access is decided.

`Access.decide()` answers a request with a `Permit` or raises the refusal. It is asked once for each
request, before any record is looked at; the permit then says which records it covers. Permits are kept for
actors who come back: what may change between two requests (care relationships, facts of records) is asked
afresh each time a permit is used.
"""

from __future__ import annotations

from collections.abc import Sequence

from salus.access.conditions import Surrogate, own_record, predicate_of
from salus.access.permissions import Permission
from salus.access.permit import _MAKER, Permit
from salus.access.policy import CONDITION_DOC, Grant, Policy
from salus.access.predicate import Always, Never, Predicate, either, every, to_python, to_sql
from salus.access.relations import CareRelations
from salus.access.scopes import Reach
from salus.access.standing import Reason, refusal, stand
from salus.kernel.actor import Actor
from salus.kernel.errors import Problem

_KEPT = 8192  # permits; about 2 KB each


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
        self._permits: dict[tuple[Actor, Permission, str], Permit] = {}

    def decide(self, actor: Actor, permission: Permission, type: str = "") -> Permit:  # noqa: A002
        """Decide whether the actor may do this at all, and to which records.

        Args:
            actor: who asks.
            permission: what for.
            type: FHIR type for `record:*`, else "".

        Returns:
            The permit. Warm: under 3 microseconds.

        Raises:
            Problem: FORBIDDEN. Its `detail` starts with a `standing.Reason` and a colon; `public` says
                nothing of it.
        """
        key = (actor, permission, type)
        permit = self._permits.get(key)
        if permit is None:
            permit = self._work_out(actor, permission, type)
            if len(self._permits) >= _KEPT:
                self._permits.clear()
            self._permits[key] = permit
        return permit

    def assurance(self, roles: tuple[str, ...]) -> int:
        """The level of assurance (2 or 3) that these roles demand of a person who signs in."""
        return 2 if self.policy is None else self.policy.assurance(roles)

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

    def _work_out(self, actor: Actor, permission: Permission, type_: str) -> Permit:
        standing = stand(self.policy, actor, permission, type_)
        label = f"{self.policy.name} version {self.policy.version}" if self.policy else ""
        if not standing.grants:
            return self._permit((actor, permission, type_), standing.roles, f"{label}, role", ())
        extent = own_record(actor, self._surrogate) if standing.reach is Reach.OWN else Always()
        covers = [(grant, every((extent, predicate_of(grant, actor, self._surrogate)))) for grant in standing.grants]
        usable = [(grant, predicate) for grant, predicate in covers if not isinstance(predicate, Never)]
        if not usable:
            raise refusal(Reason.PARTY, "the grants need an account that stands for a patient or practitioner")
        names = tuple(grant.id for grant, _ in usable)
        return self._permit((actor, permission, type_), names, f"{label}, grant", usable)

    def _permit(
        self,
        request: tuple[Actor, Permission, str],
        names: tuple[str, ...],
        label: str,
        usable: Sequence[tuple[Grant, Predicate]],
    ) -> Permit:
        actor, permission, type_ = request
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
            unrestricted=isinstance(whole, Always),
            _test=to_python(whole, related),
            _fragment=to_sql(whole),
            _masks=tuple((to_python(test, related), grant.mask) for grant, test in usable) if masked else (),
        )


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
