# SPDX-License-Identifier: Apache-2.0
"""Making an account for somebody who comes from an identity provider for the first time, where that is allowed."""

from __future__ import annotations

from salus.identity.federation.links import Links
from salus.identity.federation.relying_party import Identified
from salus.identity.people import People
from salus.identity.provisioning.person import logins
from salus.kernel.commit import Unit
from salus.kernel.errors import Kind, Problem


def make_account(unit: Unit, tenant: str, who: Identified, people: People, links: Links) -> str:
    """Make and link an account with the roles that the provider is registered for.

    The proposed login name is a wish: one that somebody has is never taken over, the next free one is used.

    Args:
        unit: takes the changes.
        tenant: name of the tenant.
        who: somebody whom no account is linked to.
        people: the accounts.
        links: who there is who here.

    Returns:
        The login name.

    Raises:
        Problem: CONFLICT when no name is free; the commit fails with CONFLICT when somebody was first.
    """
    provider = who.provider
    for name in logins(who.login or who.name or provider.id):
        if people.users.find(tenant, name) is None:
            break
    else:
        raise Problem(Kind.CONFLICT, "No account can be made for you. Ask an administrator.", "no login name is free")
    people.life.expect(unit, tenant, name, roles=provider.roles, display=(who.name or name).strip() or name)
    links.link(unit, tenant, provider=provider.id, issuer=provider.issuer, subject=who.subject, name=name, new=True)
    return name
