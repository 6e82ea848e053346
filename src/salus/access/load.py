# SPDX-License-Identifier: Apache-2.0
"""Loads a policy: reads it, then runs the examples inside it. A policy whose examples fail is refused.

The examples run through the same `Access.decide()` as every request, over facts built from what the example
says.
"""

from __future__ import annotations

import hashlib
from importlib import resources

from salus.access.decide import Access
from salus.access.facts import Facts
from salus.access.permissions import SYSTEM
from salus.access.policy import Example, Policy
from salus.access.policy_file import read_policy, refuse
from salus.kernel.actor import Actor
from salus.kernel.errors import Problem


def default_policy_text() -> str:
    """The policy that Salus ships, as TOML."""
    return resources.files("salus.access").joinpath("default_policy.toml").read_text("utf-8")


def load_policy(text: str | None = None) -> Policy:
    """Read a policy and run its examples.

    Args:
        text: TOML; None loads the shipped policy.

    Raises:
        Problem: INVALID, naming the place that is not understood or the example that fails.
    """
    policy = read_policy(default_policy_text() if text is None else text)
    for example in policy.examples:
        words = _run(policy, example)
        if words:
            raise refuse(f"test “{example.name}”", words)
    return policy


class _Care:
    """The care relationships that an example states."""

    def __init__(self, patients: tuple[str, ...]) -> None:
        self._owners = {_surrogate("example", "Patient", patient) for patient in patients}

    def related(self, tenant: str, party: bytes, owner: bytes) -> bool:
        """Whether the example says so."""
        return owner in self._owners


def _surrogate(tenant: str, kind: str, value: str) -> bytes:
    # No key: these surrogates never leave the example.
    return hashlib.sha256(f"{tenant}|{kind}|{value}".encode()).digest()[:16]


def _joined(kind: str, values: tuple[str, ...]) -> bytes:
    return b"".join(_surrogate("example", kind, value) for value in values)


def _run(policy: Policy, example: Example) -> str:
    """Run one example; returns what is wrong, or ""."""
    actor = Actor("example", "example", "user", example.roles, example.purpose, example.party)
    facts = Facts(
        owners=_joined("Patient", example.patients),
        author=_joined("party", (example.author,)) if example.author else b"",
        labels=_joined("category", example.category),
        sensitivity=_joined("sensitivity", example.sensitivity),
        rank=example.rank,
    )
    try:
        permit = Access(policy, _Care(example.care), _surrogate).decide(actor, example.permission, example.type)
    except Problem as problem:
        return f"refused ({problem.detail})" if example.allowed else ""
    allowed = example.permission in SYSTEM or permit.allows(facts)
    if allowed != example.allowed:
        return "allowed, but must be refused" if allowed else "the record is not covered, but must be"
    if example.mask is not None and permit.mask(facts) != example.mask:
        return f"hides {sorted(permit.mask(facts))}, but must hide {sorted(example.mask)}"
    return ""
