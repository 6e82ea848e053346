# SPDX-License-Identifier: Apache-2.0
"""Files over a real connection: in and out in pieces, and what a client sees of a content that breaks off."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from tests.support.served import Served, salus


def _pieces(count: int) -> Iterator[bytes]:
    for number in range(count):
        yield number.to_bytes(4) * 16_384


def test_a_large_file_over_tls(served: Served) -> None:
    token = salus("token", "issue", "feed", "--data-dir", served.folder).stdout.strip()
    with served.client(token) as client:
        patient = client.put("/fhir/Patient/x", json={"resourceType": "Patient", "id": "x"})
        assert patient.status_code == 201, patient.text
        headers = {"content-type": "application/dicom", "x-security-context": "Patient/x"}
        made = client.post("/fhir/Binary", content=_pieces(160), headers=headers)
        assert made.status_code == 201, made.text
        path = made.headers["location"].partition("/_history")[0]
        digest = hashlib.sha256()
        with client.stream("GET", path) as answer:
            for piece in answer.iter_bytes():
                digest.update(piece)
        assert digest.digest() == hashlib.sha256(b"".join(_pieces(160))).digest()
        part = client.get(path, headers={"range": "bytes=65536-65539"})
        assert (part.status_code, part.content) == (206, (1).to_bytes(4))
        refused = client.post(
            "/fhir/Binary", content=_pieces(160), headers={**headers, "x-security-context": "Patient/y"}
        )
        assert refused.status_code == 422
