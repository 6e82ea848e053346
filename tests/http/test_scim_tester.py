# SPDX-License-Identifier: Apache-2.0
"""Every check of scim2-tester (PyPI), which others wrote, against a served Salus."""

from __future__ import annotations

from typing import Any

import httpx
from scim2_client import BaseSyncSCIMClient
from scim2_tester import Status, check_server
from tests.support.served import Served, salus


class Connected(BaseSyncSCIMClient):
    """The client of others over a connection of ours, which trusts the local authority."""

    def __init__(self, connection: httpx.Client) -> None:
        super().__init__()
        self.connection = connection

    def _stays_under_base_url(self, endpoint: str) -> bool:
        url = self.connection.build_request("GET", endpoint).url
        return url.raw_path.startswith(self.connection.base_url.raw_path)

    def _parse_json(self, response: Any) -> Any:
        return response.json()

    def request(self, method: str, url: str, **kwargs: Any) -> httpx.Response:
        return self.connection.request(method, url, **kwargs)


def test_every_check_of_scim2_tester_passes(served: Served) -> None:
    salus("user", "add", "directory", "--service", "--role", "provisioner", "--data-dir", served.folder)
    issued = salus("token", "issue", "directory", "--purpose", "HOPERAT", "--data-dir", served.folder)
    with served.client(issued.stdout.strip()) as connection:
        connection.base_url = httpx.URL(f"{served.base}/scim/v2")
        results = check_server(Connected(connection))
    failed = [f"{each.title} {each.resource_type}: {each.reason}" for each in results if each.status is Status.ERROR]
    assert failed == []
    skipped = {f"{each.title}: {each.reason}" for each in results if each.status is Status.SKIPPED}
    assert skipped == set()
    assert sum(each.status is Status.SUCCESS for each in results) > 50
    assert {each.resource_type for each in results} >= {"User", "Group"}
