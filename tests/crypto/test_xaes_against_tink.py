# SPDX-License-Identifier: Apache-2.0
"""XAES-256-GCM against Tink's: what one seals the other opens, and neither opens what was altered."""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.exceptions import InvalidTag

from salus.crypto.xaes import NONCE_SIZE, Xaes256Gcm

_SEED = 20260101
_MESSAGES = 400


@pytest.fixture(scope="module")
def tinks() -> Callable[[bytes], Any]:
    """Makes Tink's primitive for a key, with 192-bit nonces and without a prefix."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of protobuf's generated code
        import tink
        from tink import aead, secret_key_access
        from tink.proto import tink_pb2, x_aes_gcm_pb2
    aead.register()
    template = aead.aead_key_templates.XAES_256_GCM_192_BIT_NONCE_NO_PREFIX

    def make(key: bytes) -> Any:
        params = x_aes_gcm_pb2.XAesGcmKeyFormat.FromString(template.value).params
        value = x_aes_gcm_pb2.XAesGcmKey(params=params, key_value=key)
        keyset = tink_pb2.Keyset(primary_key_id=1)
        row = keyset.key.add(status=tink_pb2.ENABLED, key_id=1, output_prefix_type=tink_pb2.RAW)
        row.key_data.type_url = template.type_url
        row.key_data.value = value.SerializeToString()
        row.key_data.key_material_type = tink_pb2.KeyData.SYMMETRIC
        handle = tink.proto_keyset_format.parse(keyset.SerializeToString(), secret_key_access.TOKEN)
        return handle.primitive(aead.Aead)

    return make


def test_each_opens_what_the_other_sealed(tinks: Callable[[bytes], Any]) -> None:
    draw = random.Random(_SEED)
    for _ in range(_MESSAGES):
        key, nonce = draw.randbytes(32), draw.randbytes(NONCE_SIZE)
        plain, associated = draw.randbytes(draw.randrange(0, 300)), draw.randbytes(draw.randrange(0, 60))
        ours, theirs = Xaes256Gcm(key), tinks(key)
        assert theirs.decrypt(nonce + ours.seal(nonce, plain, associated), associated) == plain
        sealed = theirs.encrypt(plain, associated)
        assert ours.open(sealed[:NONCE_SIZE], sealed[NONCE_SIZE:], associated) == plain


def test_neither_opens_what_was_altered(tinks: Callable[[bytes], Any]) -> None:
    import tink

    draw = random.Random(_SEED)
    for _ in range(_MESSAGES // 4):
        key, nonce = draw.randbytes(32), draw.randbytes(NONCE_SIZE)
        ours, theirs = Xaes256Gcm(key), tinks(key)
        altered = bytearray(nonce + ours.seal(nonce, draw.randbytes(draw.randrange(0, 40)), b"x"))
        altered[draw.randrange(len(altered))] ^= 1 << draw.randrange(8)
        with pytest.raises(tink.TinkError):
            theirs.decrypt(bytes(altered), b"x")
        with pytest.raises(InvalidTag):
            ours.open(bytes(altered[:NONCE_SIZE]), bytes(altered[NONCE_SIZE:]), b"x")
