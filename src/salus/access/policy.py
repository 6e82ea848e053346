# SPDX-License-Identifier: Apache-2.0
"""The policy as values: roles with their grants, hard rules, and the examples that prove it.

`policy_file` reads it from TOML and refuses what it does not understand; `standing` and `decide` apply it.
Nothing here knows an actor or a record.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from salus.access.permissions import Permission


class Condition(StrEnum):
    """How an actor must stand to a record; a grant names one or more, any of which is enough."""

    ANY = "any"
    OWN_RECORD = "own-record"
    CARE_RELATIONSHIP = "care-relationship"
    AUTHORED = "authored"


CONDITION_DOC: dict[Condition, str] = {
    Condition.ANY: "every record of the clinic",
    Condition.OWN_RECORD: "records that belong to the actor alone, as a patient",
    Condition.CARE_RELATIONSHIP: "records whose every patient the actor cares for, by CareTeam or Encounter",
    Condition.AUTHORED: "records that the actor wrote",
}


@dataclass(frozen=True, slots=True)
class Clearance:
    """How sensitive a record may be.

    Attributes:
        rank: highest confidentiality rank, see `facts.CONFIDENTIALITY`.
        sensitivity: sensitivity codes that are cleared; a record may carry no other. None means all codes.
    """

    rank: int
    sensitivity: frozenset[str] | None


@dataclass(frozen=True, slots=True)
class Grant:
    """One permission rule of a role.

    Attributes:
        id: unique in the policy; written to the audit log.
        why: reason in a sentence.
        role: name of the role.
        actions: record permissions.
        types: FHIR types.
        when: conditions, any of which is enough.
        category: category codes, one of which the record must carry; empty means any record.
        mask: elements hidden from whoever relies on this grant.
        clearance: clearance of the role, or of this grant where it names its own.
    """

    id: str
    why: str
    role: str
    actions: frozenset[Permission]
    types: frozenset[str]
    when: tuple[Condition, ...]
    category: tuple[str, ...]
    mask: frozenset[str]
    clearance: Clearance


@dataclass(frozen=True, slots=True)
class Role:
    """What a kind of person or service may do.

    Attributes:
        name: as in the policy, e.g. `front-desk`.
        title: for people.
        purposes: purposes of use for which the role may be used, in the order of the policy.
        permissions: permissions that are not about records.
        party: type of the reference that must stand for the actor, e.g. `Patient`; empty for any or none.
        grants: rules about records.
        assurance: how surely the actor must have been recognised: 2 for AAL2, 3 for AAL3 (NIST SP 800-63B-4).
    """

    name: str
    title: str
    purposes: tuple[str, ...]
    permissions: frozenset[Permission]
    party: str
    grants: tuple[Grant, ...]
    assurance: int = 2


@dataclass(frozen=True, slots=True)
class Never:
    """A hard rule that no role overrides.

    Attributes:
        id: unique in the policy.
        why: reason in a sentence.
        actions: record permissions.
        types: FHIR types.
        roles: for whoever holds one of these roles, whatever else they hold; empty means for everyone.
    """

    id: str
    why: str
    actions: frozenset[Permission]
    types: frozenset[str]
    roles: frozenset[str]


@dataclass(frozen=True, slots=True)
class Example:
    """A test inside the policy, run when it is loaded.

    Attributes:
        name: what it shows.
        roles: roles of the actor.
        party: reference of the actor, or empty.
        purpose: stated purpose of use.
        care: ids of the patients whom the actor cares for.
        permission: what is asked for.
        type: FHIR type of the record; empty for a permission not about records.
        patients: ids of the patients who own the record.
        author: reference of its author, or empty.
        category: its category codes.
        sensitivity: its sensitivity codes.
        rank: its confidentiality.
        allowed: what the answer must be.
        mask: the elements that must be hidden; None when the example does not say.
    """

    name: str
    roles: tuple[str, ...]
    party: str
    purpose: str
    care: tuple[str, ...]
    permission: Permission
    type: str
    patients: tuple[str, ...]
    author: str
    category: tuple[str, ...]
    sensitivity: tuple[str, ...]
    rank: int
    allowed: bool
    mask: frozenset[str] | None


@dataclass(frozen=True, slots=True)
class Policy:
    """A whole policy.

    Attributes:
        name: its name.
        version: counts up with each change.
        roles: by name.
        nevers: hard rules.
        examples: tests.
        sets: type sets by name without `@`.
        profiles: canonicals of the profiles that every record of a type must fulfil, by type.
    """

    name: str
    version: int
    roles: Mapping[str, Role]
    nevers: tuple[Never, ...] = ()
    examples: tuple[Example, ...] = ()
    sets: Mapping[str, frozenset[str]] = field(default_factory=dict)
    profiles: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def assurance(self, roles: tuple[str, ...]) -> int:
        """How surely somebody with these roles must have been recognised, 2 or 3; unknown roles demand nothing."""
        return max((role.assurance for name in roles if (role := self.roles.get(name)) is not None), default=2)

    def never(self, permission: Permission, type_: str, roles: tuple[str, ...]) -> Never | None:
        """The first hard rule that stands against this, if any."""
        for rule in self.nevers:
            if (
                permission in rule.actions
                and type_ in rule.types
                and (not rule.roles or not rule.roles.isdisjoint(roles))
            ):
                return rule
        return None


def matrix(policy: Policy) -> list[tuple[str, str, str, str, str]]:
    """The policy as a table, for the documentation and the command line.

    Returns:
        Rows (role, type, action, conditions, hidden elements), sorted; one row for each grant that covers
        the pair.
        Permissions not about records have an empty type. What a hard rule forbids for the role has no row.
    """
    rows = []
    for role in policy.roles.values():
        rows += [(role.name, "", permission.value, "any", "") for permission in role.permissions]
        for grant in role.grants:
            conditions = " or ".join(grant.when)
            if grant.category:
                conditions += f", category {'/'.join(grant.category)}"
            hidden = ", ".join(sorted(grant.mask))
            rows += [
                (role.name, type_, action.action, conditions, hidden)
                for type_ in grant.types
                for action in grant.actions
                if policy.never(action, type_, (role.name,)) is None
            ]
    return sorted(rows)
