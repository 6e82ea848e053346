# SPDX-License-Identifier: Apache-2.0
"""The primitives under `salus.crypto` against Wycheproof (C2SP/wycheproof): known answers and attacks."""

from __future__ import annotations

import ast
import json
import tarfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import load_der_private_key, load_der_public_key

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


def test_ed25519_of_checkpoints_and_key_providers() -> None:
    count = 0
    for group, case in cases("ed25519"):
        count += 1
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(group["publicKey"]["pk"]))
        message, signature = raw(case, "msg", "sig")
        if case["result"] == "valid":
            key.verify(signature, message)
        else:
            with pytest.raises(InvalidSignature):
                key.verify(signature, message)
    assert count == 151


def test_ecdsa_p256_of_certificates_and_key_providers() -> None:
    count = 0
    for group, case in cases("ecdsa_secp256r1_sha256"):
        count += 1
        key = load_der_public_key(bytes.fromhex(group["publicKeyDer"]))
        assert isinstance(key, EllipticCurvePublicKey)
        message, signature = raw(case, "msg", "sig")
        if case["result"] == "valid":
            key.verify(signature, message, ec.ECDSA(hashes.SHA256()))
        else:
            with pytest.raises(InvalidSignature):
                key.verify(signature, message, ec.ECDSA(hashes.SHA256()))
    assert count == 484


@cache
def _private_key(encoded: str) -> RSAPrivateKey:
    key = load_der_private_key(bytes.fromhex(encoded), None)
    assert isinstance(key, RSAPrivateKey)
    return key


def test_rsa_oaep_sha256_of_the_azure_provider() -> None:
    """The vault's SDK wraps with the public half through the same library."""
    count = 0
    for group, case in cases("rsa_oaep_2048_sha256_mgf1sha256"):
        count += 1
        key = _private_key(group["privateKeyPkcs8"])
        message, ciphertext, label = raw(case, "msg", "ct", "label")
        oaep = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), label)
        if case["result"] == "valid":
            assert key.decrypt(ciphertext, oaep) == message, case["tcId"]
        else:
            with pytest.raises(ValueError, match=r"."):
                key.decrypt(ciphertext, oaep)
    assert count == 37


# What `salus` imports of the cryptography library, and what stands behind it: a test above, or a reason.
KNOWN = {
    "AESGCM": test_aes_256_gcm_as_xaes_uses_it,
    "HKDF": test_hkdf_sha256,
    "hmac": test_hmac_sha256,
    "Ed25519PrivateKey": test_ed25519_of_checkpoints_and_key_providers,
    "Ed25519PublicKey": test_ed25519_of_checkpoints_and_key_providers,
    "ec": test_ecdsa_p256_of_certificates_and_key_providers,
    "EllipticCurvePublicNumbers": test_ecdsa_p256_of_certificates_and_key_providers,
    "SECP256R1": test_ecdsa_p256_of_certificates_and_key_providers,
    "encode_dss_signature": test_ecdsa_p256_of_certificates_and_key_providers,
    "Cipher": "the bare block cipher inside XAES-256-GCM, by the vectors of its specification and against Tink",
    "algorithms": "as Cipher",
    "modes": "as Cipher",
    "SHA256": "a hash, inside all of the above",
    "Hash": "a hash, inside all of the above",
    "hashes": "a hash, inside all of the above",
    "constant_time": "compares",
    "serialization": "formats",
    "Encoding": "formats",
    "PublicFormat": "formats",
    "load_pem_public_key": "formats",
    "PrivateFormat": "formats",
    "NoEncryption": "formats: what is written by it is sealed at once",
    "ed25519": "as Ed25519PublicKey; of proofs of applications, judged by joserfc",
    "rsa": "signs id_tokens and judges proofs of applications by joserfc, which has tests of its own",
}


def test_every_primitive_in_use_stands_in_the_list() -> None:
    used = set()
    for path in (Path(__file__).parents[2] / "src" / "salus").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("cryptography.hazmat"):
                used |= {alias.name for alias in node.names}
    assert used - KNOWN.keys() == set()
