# SPDX-License-Identifier: Apache-2.0
"""The files of JSONTestSuite, sent through every door that reads JSON: what is not JSON is refused, nothing fails."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.outcomes import assert_outcome
from tests.support.served import Served, free_port, salus

FILES = Path(__file__).parents[2].parent / "shared" / "data" / "json-parsing.tar.gz"
pytestmark = pytest.mark.skipif(not FILES.is_file(), reason="the shared test data is not on this machine")

JSON = "application/fhir+json"
DOORS = (
    ("POST", "/fhir/Patient", JSON),
    ("PATCH", "/fhir/Patient/ada", "application/json-patch+json"),
    ("POST", "/fhir/$graphql", "application/json"),
)


def files() -> Iterator[tuple[str, bytes]]:
    with tarfile.open(FILES) as tar:
        for member in tar:
            file = tar.extractfile(member)
            if file is not None and member.name.endswith(".json"):
                yield Path(member.name).name, file.read()


def within(content: bytes) -> bytes:
    """A Patient that holds it where R4 has no element."""
    return b'{"resourceType": "Patient", "unheard-of": ' + content + b"}"


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """A real server that takes as many requests as come."""
    folder, port = tmp_path / "data", free_port()
    salus("init", "--data-dir", folder, "--port", str(port))
    salus("user", "add", "feed", "--service", "--role", "service", "--data-dir", folder)
    unlimited = {"SALUS_LIMITS_REQUESTS_PER_SECOND": "100000", "SALUS_LIMITS_BURST": "100000"}
    server = Served(folder, port, env=unlimited)
    yield server
    server.stop()


def test_what_is_not_json_is_refused_and_nothing_fails(served: Served) -> None:
    token = salus("token", "issue", "feed", "--data-dir", served.folder).stdout.strip()
    seen = 0
    with served.client(token) as client:
        ada = {"resourceType": "Patient", "id": "ada"}
        assert client.put("/fhir/Patient/ada", json=ada, headers={"content-type": JSON}).status_code == 201
        for name, content in files():
            seen += 1
            for method, path, kind in DOORS:
                answer = client.request(method, path, content=content, headers={"content-type": kind})
                expected = (400,) if name.startswith("n_") else (200, 400, 422)  # an empty JSON Patch is one
                assert answer.status_code in expected, (name, path, answer.text)
                if answer.status_code != 200:
                    assert_outcome(answer)
            answer = client.post("/fhir/Patient", content=within(content), headers={"content-type": JSON})
            read = name.startswith("y_") and "duplicated_key" not in name  # R4 has no repeated names, nor has RFC 7493
            assert answer.status_code in ((422,) if read else (400, 422)), (name, answer.text)
    assert seen == 318
