# SPDX-License-Identifier: Apache-2.0
"""Who is asking. Plain values only: `identity` fills them in, `access` alone turns them into decisions."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Actor:
    """The person, service or operator behind a request.

    Attributes:
        tenant: name of the tenant whose wall the actor stands behind.
        id: stable account name, e.g. `dr.amara`, `lab-feed`, `operator:root`.
        kind: `user`, `service` or `operator` (someone with a shell on the server, acting through the command line).
        roles: names of policy roles, active for this session.
        purpose: purpose of use (HL7 v3 PurposeOfUse code: TREAT, HPAYMT, HOPERAT, PATRQT …).
        party: the FHIR reference that stands for the actor, e.g. `Practitioner/123` or `Patient/9`; empty if none.
        session: identifier of the token or command run, for the audit log; never the token itself.
        scopes: granted scopes as plain text; empty means that no scope narrows the roles.
    """

    tenant: str
    id: str
    kind: str
    roles: tuple[str, ...]
    purpose: str
    party: str = ""
    session: str = ""
    scopes: tuple[str, ...] = ()
