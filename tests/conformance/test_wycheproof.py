# SPDX-License-Identifier: Apache-2.0
"""The primitives under `salus.crypto` against Wycheproof (C2SP/wycheproof): known answers and attacks."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

ARCHIVE = Path(__file__).parents[2].parent / "shared" / "data" / "wycheproof.tar.gz"
pytestmark = pytest.mark.skipif(not ARCHIVE.exists(), reason="shared/data/wycheproof.tar.gz is not here")


def cases(name: str) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Groups and cases of one file."""
    with tarfile.open(ARCHIVE) as archive:
        member = archive.extractfile(f"wycheproof/{name}_test.json")
        assert member is not None
        for group in json.load(member)["testGroups"]:
            for case in group["tests"]:
                yield group, case


def raw(case: dict[str, Any], *names: str) -> list[bytes]:
    return [bytes.fromhex(case[name]) for name in names]


def test_aes_256_gcm_as_xaes_uses_it() -> None:
    count = 0
    for group, case in cases("aes_gcm"):
        if (group["keySize"], group["ivSize"], group["tagSize"]) != (256, 96, 128):
            continue  # XAES-256-GCM has no other sizes
        count += 1
        key, nonce, associated, message, ciphertext, tag = raw(case, "key", "iv", "aad", "msg", "ct", "tag")
        cipher = AESGCM(key)
        if case["result"] == "valid":
            assert cipher.encrypt(nonce, message, associated) == ciphertext + tag, case["tcId"]
            assert cipher.decrypt(nonce, ciphertext + tag, associated) == message, case["tcId"]
        else:
            with pytest.raises(InvalidTag):
                cipher.decrypt(nonce, ciphertext + tag, associated)
    assert count == 66


def test_hkdf_sha256() -> None:
    count = 0
    for _, case in cases("hkdf_sha256"):
        count += 1
        key, salt, info, expected = raw(case, "ikm", "salt", "info", "okm")
        if case["result"] == "valid":
            found = HKDF(hashes.SHA256(), case["size"], salt=salt, info=info).derive(key)
            assert found == expected, case["tcId"]
        else:
            with pytest.raises(ValueError, match="derive keys larger"):
                HKDF(hashes.SHA256(), case["size"], salt=salt, info=info)
    assert count == 86


def test_hmac_sha256() -> None:
    count = 0
    for group, case in cases("hmac_sha256"):
        count += 1
        key, message, tag = raw(case, "key", "msg", "tag")
        mac = hmac.HMAC(key, hashes.SHA256())
        mac.update(message)
        matches = mac.copy().finalize()[: group["tagSize"] // 8] == tag
        assert matches is (case["result"] == "valid"), case["tcId"]
        if case["result"] == "invalid":
            with pytest.raises(InvalidSignature):
                mac.verify(tag)
    assert count == 174
