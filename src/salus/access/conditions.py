# SPDX-License-Identifier: Apache-2.0
"""Turns a grant of the policy into a predicate for one actor: their standing, the category, the labels.

Labels follow dominance: the confidentiality of the record is at most that of the clearance, and every
sensitivity code on it is cleared (HL7 healthcare privacy and security classification,
https://hl7.org/fhir/R4/security-labels.html#hcs).
"""

from __future__ import annotations

from collections.abc import Callable

from salus.access.facts import CONFIDENTIALITY
from salus.access.policy import Clearance, Condition, Grant
from salus.access.predicate import (
    Always,
    AtMost,
    Contains,
    Equal,
    Never,
    OneOf,
    Predicate,
    Related,
    Subset,
    either,
    every,
)
from salus.kernel.actor import Actor

Surrogate = Callable[[str, str, str], bytes]
"""(tenant, kind, value) -> 16 bytes; the kinds are those of `decide.Access`."""

_TOP = max(CONFIDENTIALITY.values())


def predicate_of(grant: Grant, actor: Actor, surrogate: Surrogate) -> Predicate:
    """What a record must fulfil for this grant to cover it; `Never` when the actor cannot use the grant."""
    standing = either(_condition(condition, actor, surrogate) for condition in grant.when)
    category = either(Contains("labels", surrogate(actor.tenant, "category", code)) for code in grant.category)
    return every((standing, category if grant.category else Always(), _cleared(grant.clearance, actor, surrogate)))


def own_record(actor: Actor, surrogate: Surrogate) -> Predicate:
    """Records that the actor alone owns, as a patient.

    A record of two patients is nobody's own: it would show one of them the other's data.
    """
    kind, _, id_ = actor.party.partition("/")
    if kind != "Patient" or not id_ or "/" in id_:
        return Never()
    return owned_by(id_, actor, surrogate)


def owned_by(patient: str, actor: Actor, surrogate: Surrogate, *, shared: bool = False) -> Predicate:
    """Records that this patient of the actor's tenant alone owns, with `shared` also those that nobody owns."""
    owner = surrogate(actor.tenant, "Patient", patient)
    return OneOf("owners", (owner, b"")) if shared else Equal("owners", owner)


def _condition(condition: Condition, actor: Actor, surrogate: Surrogate) -> Predicate:
    match condition:
        case Condition.ANY:
            return Always()
        case Condition.OWN_RECORD:
            return own_record(actor, surrogate)
        case Condition.CARE_RELATIONSHIP if actor.party:
            return Related(actor.tenant, surrogate(actor.tenant, "party", actor.party))
        case Condition.AUTHORED if actor.party:
            return Equal("author", surrogate(actor.tenant, "party", actor.party))
        case _:
            return Never()


def _cleared(clearance: Clearance, actor: Actor, surrogate: Surrogate) -> Predicate:
    rank: Predicate = Always() if clearance.rank >= _TOP else AtMost(clearance.rank)
    if clearance.sensitivity is None:
        return rank
    codes = sorted(clearance.sensitivity)
    allowed = tuple(surrogate(actor.tenant, "sensitivity", code) for code in codes)
    return every((rank, Subset("sensitivity", allowed)))
