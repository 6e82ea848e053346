# SPDX-License-Identifier: Apache-2.0
"""A directory that keeps accounts of a clinic through SCIM."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx

from salus.audit.reading import Filter
from salus.identity.accounts.store import Statement, add
from salus.identity.accounts.users import User
from salus.kernel.commit import Unit
from tests.support.clinic import Client, Clinic

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
NAME = "directory"


class Directory:
    """Its connection, and what an operator does for it."""

    def __init__(self, clinic: Clinic, client: Client) -> None:
        self.clinic = clinic
        self.client = client
        self._accounts = {bytes(row[0]) for row in clinic.house.db.execute("select handle from account")}
        self._begun = self._entries()

    def clean(self) -> None:
        """Forget everyone who was provisioned, so that many tests can share one clinic."""
        unit, db = Unit(), self.clinic.house.db
        for name in ("scim_user", "scim_group", "scim_member", "scim_role", "scim_gone"):
            add(unit, Statement(f"delete from {name}", ()))
        for (handle,) in db.execute("select handle from account").fetchall():
            if handle not in self._accounts:
                for name in ("account", "token", "standing", "notice", "invitation"):
                    add(unit, Statement(f"delete from {name} where handle = ?", (handle,), revokes=True))
        self.clinic.run(self.clinic._commit(unit))
        self._begun = self._entries()

    def _entries(self) -> int:
        entries = self.clinic.log().page("default", Filter(), limit=1).entries
        return entries[0][0] + 1 if entries else 0

    def request(self, method: str, path: str, body: Any = None, **more: Any) -> httpx.Response:
        headers = {**more.pop("headers", {})}
        if body is not None:
            headers.setdefault("content-type", "application/scim+json")
        return self.client.request(method, f"/scim/v2/{path}", json=body, headers=headers, **more)

    def get(self, path: str, **more: Any) -> httpx.Response:
        return self.request("GET", path, **more)

    def post(self, path: str, body: Any, **more: Any) -> httpx.Response:
        return self.request("POST", path, body, **more)

    def put(self, path: str, body: Any, **more: Any) -> httpx.Response:
        return self.request("PUT", path, body, **more)

    def patch(self, path: str, body: Any, **more: Any) -> httpx.Response:
        return self.request("PATCH", path, body, **more)

    def delete(self, path: str, **more: Any) -> httpx.Response:
        return self.request("DELETE", path, **more)

    def person(self, name: str, **more: Any) -> str:
        """Provision somebody; their id."""
        answer = self.post("Users", {"schemas": [USER], "userName": name, **more})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def group(self, name: str, *members: str) -> str:
        """Make a group; its id."""
        body = {"schemas": [GROUP], "displayName": name, "members": [{"value": id_} for id_ in members]}
        answer = self.post("Groups", body)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def map(self, group: str, role: str) -> None:
        """An operator lets a group stand for a role."""
        mappings = self.clinic.house.directories.provisioning.mappings
        self.clinic.run(self.commit(lambda unit: mappings.add(unit, "default", group, role)))

    async def commit(self, change: Callable[[Unit], object]) -> None:
        unit = Unit()
        change(unit)
        await self.clinic.house.writer.submit(unit)

    def log(self) -> list[tuple[str, str]]:
        """What the directory did since the test began: events with their reasons, oldest first."""
        entries = self.clinic.log().page("default", Filter(actor=NAME), limit=200).entries
        return [(str(e.event.type), e.event.reason) for index, e in reversed(entries) if index >= self._begun]

    @staticmethod
    def token_of(clinic: Clinic, user: User, purpose: str = "TREAT") -> str:
        unit = Unit()
        token, _ = clinic.house.tokens.issue(unit, user, purpose)
        clinic.run(clinic._commit(unit))
        return token


def directory(clinic: Clinic) -> Directory:
    """A service account with the role of a directory, and its token."""
    unit = Unit()
    clinic.house.users.add_service(unit, "default", NAME, roles=("provisioner",), display="Directory")
    clinic.run(clinic._commit(unit))
    user = clinic.house.users.find("default", NAME)
    assert user is not None
    token = Directory.token_of(clinic, user, "HOPERAT")
    return Directory(clinic, Client(clinic, {"authorization": f"Bearer {token}"}))
