# SPDX-License-Identifier: Apache-2.0
"""The part of a decision that needs no record: which roles and grants of the policy stand for this request.

Deny by default. Roles count only for the purposes they were given for; several roles add up; a hard rule
beats them all; scopes of the session can only narrow. What is refused has a reason from a closed list, for
the audit log and for `explain`; whoever asked is told no more than that they may not.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from salus.access.permissions import SYSTEM, Permission
from salus.access.policy import Grant, Policy, Role
from salus.access.scopes import ALL, Opening, narrowed, openings
from salus.kernel.actor import Actor
from salus.kernel.errors import Kind, Problem


class Reason(StrEnum):
    """Why a request is refused before any record is looked at."""

    NO_POLICY = "no-policy"
    NO_ROLE = "no-role"
    UNKNOWN_ROLE = "unknown-role"
    PURPOSE = "purpose"
    PARTY = "party"
    NEVER = "never"
    NO_GRANT = "no-grant"
    SCOPE = "scope"


@dataclass(frozen=True, slots=True)
class Standing:
    """What the policy gives for one actor, permission and type.

    Attributes:
        roles: roles that give it.
        grants: grants that give it; empty for a permission not about records.
        openings: the parts of the records that the scopes of the session leave of them.
    """

    roles: tuple[str, ...]
    grants: tuple[Grant, ...]
    openings: tuple[Opening, ...]


def refusal(reason: Reason, words: str) -> Problem:
    """The refusal: FORBIDDEN; the reason stands in `detail` only, so that nobody learns what is hidden."""
    return Problem(Kind.FORBIDDEN, "Your account may not do this.", f"{reason}: {words}")


def stand(policy: Policy | None, actor: Actor, permission: Permission, type_: str, letters: str = "") -> Standing:
    """Find what gives this permission.

    Args:
        policy: the policy in force, or None.
        actor: who asks.
        permission: for what.
        type_: FHIR type, or "" for a permission not about records.
        letters: letters of a scope that are needed instead of those of the permission.

    Raises:
        Problem: FORBIDDEN; `detail` starts with a `Reason`.
    """
    if policy is None:
        raise refusal(Reason.NO_POLICY, "no policy is loaded")
    roles = _active(policy, actor)
    asked = f"{permission} on {type_}" if type_ else str(permission)
    if permission in SYSTEM:
        if narrowed(actor) and not _within_scopes(actor, permission):
            raise refusal(Reason.SCOPE, "scopes give records only")
        giving = tuple(role.name for role in roles if permission in role.permissions)
        if not giving or type_:
            raise refusal(Reason.NO_GRANT, f"{_names(roles)} does not give {asked}")
        return Standing(giving, (), ALL)
    rule = policy.never(permission, type_, actor.roles)
    if rule is not None:
        raise refusal(Reason.NEVER, f"hard rule {rule.id}: {rule.why}")
    grants = tuple(
        grant for role in roles for grant in role.grants if permission in grant.actions and type_ in grant.types
    )
    if not grants:
        raise refusal(Reason.NO_GRANT, f"{_names(roles)} does not give {asked}")
    left = openings(actor, permission, type_, letters)
    if not left:
        raise refusal(Reason.SCOPE, f"no scope of the session gives {asked}")
    return Standing(tuple(dict.fromkeys(grant.role for grant in grants)), grants, left)


def _within_scopes(actor: Actor, permission: Permission) -> bool:
    """Whether a session that is narrowed by scopes keeps a permission that is not about records.

    Only one does: who may read value sets may ask about codes, which an app that shows a form cannot do without.
    """
    left = openings(actor, Permission.RECORD_READ, "ValueSet")
    return permission is Permission.TERMINOLOGY_READ and any(one.shared and not one.params for one in left)


def _active(policy: Policy, actor: Actor) -> list[Role]:
    """The roles that count: all known, for the stated purpose, and with the party they demand."""
    if not actor.roles:
        raise refusal(Reason.NO_ROLE, "the account has no role")
    roles = []
    for name in actor.roles:
        role = policy.roles.get(name)
        if role is None:
            raise refusal(Reason.UNKNOWN_ROLE, f"the policy has no role {name}")
        roles.append(role)
    serving = [role for role in roles if actor.purpose in role.purposes]
    if not serving:
        raise refusal(Reason.PURPOSE, f"{_names(roles)} may not be used for the stated purpose of use")
    fitting = [role for role in serving if not role.party or actor.party.startswith(role.party + "/")]
    if not fitting:
        raise refusal(Reason.PARTY, f"{_names(serving)} needs an account that stands for a {serving[0].party}")
    return fitting


def _names(roles: list[Role]) -> str:
    return "role " + ", ".join(role.name for role in roles)
