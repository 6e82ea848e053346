# SPDX-License-Identifier: Apache-2.0
"""Applications that act for people of the clinic: the person's own token, seen through scopes and a launch context.

Who the person is, and whether their token still counts, is asked of the real house at every request.
"""

from __future__ import annotations

from dataclasses import replace

from salus.kernel.actor import Actor
from salus.kernel.ids import uuid7
from tests.support.clinic import Client, Clinic


class _Launches:
    """Stands before the credentials of an application."""

    def __init__(self, credentials: object) -> None:
        self._credentials = credentials
        self.known: dict[str, tuple[str, dict[str, object]]] = {}

    def lookup(self, tenant: str, token: str) -> Actor:
        own, changes = self.known.get(token, (token, {}))
        actor: Actor = self._credentials.lookup(tenant, own)  # type: ignore[attr-defined]
        return replace(actor, **changes) if changes else actor  # type: ignore[arg-type]


def launched(clinic: Clinic, name: str, *scopes: str, patient: str = "", kind: str = "user") -> Client:
    """An application with these scopes that acts for somebody of `PEOPLE`.

    Args:
        patient: id of the patient in the context of the launch.
        kind: `user`, or `service` for a backend service.
    """
    launches = clinic.application._credentials
    if not isinstance(launches, _Launches):
        launches = _Launches(launches)
        clinic.application._credentials = launches  # type: ignore[assignment]
    handle = uuid7()
    changes: dict[str, object] = {
        "kind": kind,
        "client": "app",
        "scopes": scopes,
        "patient": patient,
        "session": handle,
    }
    launches.known[handle] = (clinic.token(name), changes)
    return Client(clinic, {"authorization": f"Bearer {handle}"})
