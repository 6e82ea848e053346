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
        acr: how surely the person was recognised: `urn:salus:aal1`, `aal2` or `aal3`; empty for services.
        proved_ms: when they last proved to be there with a second factor, milliseconds since the epoch; 0 if never.
        client: identifier of the application that acts for them; empty if none.
        patient: id of the patient in the application's launch context; empty if none.
        encounter: id of the encounter in the application's launch context; empty if none.
    """

    tenant: str
    id: str
    kind: str
    roles: tuple[str, ...]
    purpose: str
    party: str = ""
    session: str = ""
    scopes: tuple[str, ...] = ()
    acr: str = ""
    proved_ms: int = 0
    client: str = ""
    patient: str = ""
    encounter: str = ""
