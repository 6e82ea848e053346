# SPDX-License-Identifier: Apache-2.0
"""Signing keys on schedule: the first are made when they are needed, later ones in time, retired ones go."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from salus.identity.oauth.signing import ALGORITHMS, SigningKeys
from salus.kernel.commit import Unit
from salus.kernel.errors import Kind, Problem

Commit = Callable[[Unit, str], Awaitable[None]]
"""Makes a unit durable together with an audit entry in these words (`EventType.OAUTH_KEY`)."""


async def tend(signing: SigningKeys, tenant: str, commit: Commit) -> list[str]:
    """Do what is due; what another process has done meanwhile is left as it is.

    Returns:
        What was done, in words.
    """
    done = []
    for algorithm, steps in signing.due(tenant).items():
        for step in steps:
            unit = Unit()
            if step == "make":
                words = signing.keep(unit, tenant, await signing.make(algorithm))
            elif step == "activate":
                words = signing.activate(unit, tenant, algorithm)
            else:
                words = signing.remove(unit, tenant, algorithm)
            try:
                await commit(unit, words)
            except Problem as problem:
                if problem.kind is not Kind.CONFLICT:
                    raise
            else:
                done.append(words)
    return done


async def replace(signing: SigningKeys, tenant: str, commit: Commit, *, at_once: bool) -> list[str]:
    """Rotate by hand.

    Args:
        at_once: a key may be known to others: new ones sign from now on. Else new ones are published as pending and
            begin to sign in a day; a second call puts them to use.
    """
    done = []
    for algorithm in ALGORITHMS:
        unit = Unit()
        waiting = any(key.algorithm == algorithm and key.state == "pending" for key in signing.all(tenant))
        if waiting:
            words = signing.activate(unit, tenant, algorithm)
        else:
            words = signing.keep(unit, tenant, await signing.make(algorithm), at_once=at_once)
        await commit(unit, words)
        done.append(words)
    return done
