# SPDX-License-Identifier: Apache-2.0
"""Inclusion and consistency proofs of transparency-dev/merkle: six hold, the other 95 are forgeries to be refused."""

from __future__ import annotations

import json
import tarfile
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from salus.audit.merkle import verify_consistency, verify_inclusion

ARCHIVE = Path(__file__).parents[2].parent / "shared" / "data" / "merkle-proofs.tar.gz"
pytestmark = pytest.mark.skipif(not ARCHIVE.exists(), reason="shared/data/merkle-proofs.tar.gz is not here")


def cases(kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and content of every proof of one kind."""
    with tarfile.open(ARCHIVE) as archive:
        for member in archive:
            file = archive.extractfile(member) if f"/{kind}/" in member.name else None
            if file is not None:
                yield member.name, json.load(file)


def hashes(values: list[str] | None) -> list[bytes]:
    return [b64decode(value) for value in values or ()]


def test_inclusion() -> None:
    count = 0
    for name, case in cases("inclusion"):
        leaf, root = b64decode(case["leafHash"]), b64decode(case["root"])
        holds = verify_inclusion(case["leafIdx"], case["treeSize"], leaf, root, hashes(case["proof"]))
        assert holds is not case["wantErr"], name
        count += 1
    assert count > 40


def test_consistency() -> None:
    count = 0
    for name, case in cases("consistency"):
        before, after = b64decode(case["root1"]), b64decode(case["root2"])
        holds = verify_consistency(case["size1"], case["size2"], before, after, hashes(case["proof"]))
        assert holds is not case["wantErr"], name
        count += 1
    assert count > 40
