# SPDX-License-Identifier: Apache-2.0
"""A clinic as access sees it: people in roles, records by their facts, relationships in a real database."""

from __future__ import annotations

import hashlib

import pytest

from salus.access.decide import Access
from salus.access.facts import CONFIDENTIALITY, Facts
from salus.access.permissions import Permission
from salus.access.permit import Permit
from salus.access.policy import Policy
from salus.access.relations import Relations, RelationWrites, Replace
from salus.kernel.actor import Actor
from salus.kernel.db import Connection
from salus.kernel.errors import Kind, Problem

TENANT = "default"


def surrogate(tenant: str, kind: str, value: str) -> bytes:
    return hashlib.sha256(f"{tenant}|{kind}|{value}".encode()).digest()[:16]


MASKING = """
policy = "masking"
version = 1
[role.clerk]
title = "Clerk"
purposes = ["HPAYMT", "TREAT"]
[[role.clerk.allow]]
id = "clerk-codes"
why = "Clerks see codes and no notes"
actions = ["read", "search"]
types = ["Condition"]
when = ["any"]
mask = ["note", "evidence"]
[role.author]
title = "Author"
purposes = ["HPAYMT", "TREAT"]
[[role.author.allow]]
id = "author-own"
why = "Authors see what they wrote"
actions = ["read", "search"]
types = ["Condition"]
when = ["authored"]
mask = ["evidence"]
[role.reader]
title = "Reader"
purposes = ["TREAT"]
[[role.reader.allow]]
id = "reader-all"
why = "Readers see everything"
actions = ["read", "search"]
types = ["Condition"]
when = ["any"]
"""
"""A policy of three roles: one sees with a mask, one what they wrote with a smaller one, one everything."""


class Clinic:
    def __init__(self, db: Connection, policy: Policy | None) -> None:
        self.db = db
        self.access = Access(policy, Relations(db), surrogate)

    def actor(self, role: str, party: str = "", **changes: object) -> Actor:
        assert self.access.policy
        known = self.access.policy.roles.get(role)
        fields: dict[str, object] = {
            "tenant": TENANT,
            "id": role,
            "kind": "service" if role == "service" else "user",
            "roles": (role,),
            "purpose": known.purposes[0] if known else "TREAT",
            "party": party,
        }
        return Actor(**(fields | changes))  # type: ignore[arg-type]

    def facts(
        self,
        *patients: str,
        author: str = "",
        category: tuple[str, ...] = (),
        sensitivity: tuple[str, ...] = (),
        label: str = "N",
        tenant: str = TENANT,
    ) -> Facts:
        return Facts(
            owners=b"".join(surrogate(tenant, "Patient", p) for p in patients),
            author=surrogate(tenant, "party", author) if author else b"",
            labels=b"".join(surrogate(tenant, "category", c) for c in category),
            sensitivity=b"".join(surrogate(tenant, "sensitivity", c) for c in sensitivity),
            rank=CONFIDENTIALITY[label],
        )

    def cares(self, party: str, *patients: str, source: str = "CareTeam/1") -> None:
        """The record `source` says: this party cares for these patients, and nothing else."""
        relations = tuple(
            (surrogate(TENANT, "party", party), surrogate(TENANT, "Patient", p), "care-team") for p in patients
        )
        RelationWrites().apply(self.db, [[Replace(TENANT, surrogate(TENANT, "record", source), relations)]])

    def permit(self, actor: Actor, action: str, type_: str = "") -> Permit:
        permission = Permission(action if ":" in action else f"record:{action}")
        return self.access.decide(actor, permission, type_)

    def sees(self, permit: Permit, facts: Facts) -> bool:
        """Ask both ways, for the one record and by SQL, and insist that they agree."""
        sql, values = permit.sql()
        row = (facts.owners, facts.author, facts.labels, facts.sensitivity, facts.rank)
        record = "with r(owners, author, labels, sensitivity, rank) as (values(?,?,?,?,?))"
        by_sql = self.db.execute(f"{record} select 1 from r where {sql}", (*row, *values)).fetchone() is not None
        assert by_sql == permit.allows(facts)
        return by_sql


def reason(clinic: Clinic, *request: object) -> str:
    with pytest.raises(Problem) as caught:
        clinic.permit(*request)
    assert caught.value.kind is Kind.FORBIDDEN
    assert caught.value.public == "Your account may not do this."  # the same words for every reason
    return caught.value.detail.partition(":")[0]
