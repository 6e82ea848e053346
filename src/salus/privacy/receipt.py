# SPDX-License-Identifier: Apache-2.0
"""The signed receipt of an erasure: what was done, without naming the person.

JSON with a detached Ed25519 signature over its canonical form (keys sorted, no spaces). The patient stands in it as the
tenant's surrogate, which only somebody with the tenant's keys can relate to an id.
"""

from __future__ import annotations

from typing import Any

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from salus.crypto.wiping import Secret
from salus.kernel.errors import Kind, Problem

SEED = "erasure-receipt"
"""Purpose of the tenant's derived key that gives the signing key."""
FORMAT = 1


class Receipt(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the receipt says.

    Attributes:
        subject: surrogate of the patient, hexadecimal.
        records: records by type that were taken away.
        shared, mentions: how many records of others stay that belong to the person too, or refer to them.
        ended_epoch: the last epoch under which the patient's key was wrapped.
        provider: name of the key provider.
        destroyed: versions of the provider's key that were destroyed, and when they are gone.
        copies: what remains to be done about old copies of the key table; empty when nothing does.
    """

    tenant: str
    erasure: str
    subject: str
    reason: str
    requested_by: str
    approved_by: str
    executed_by: str
    at: str
    records: dict[str, int]
    shared: int
    mentions: int
    ended_epoch: int
    provider: str
    destroyed: list[tuple[str, str]]
    copies: str
    format: int = FORMAT


class _Signed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    receipt: Receipt
    key: str
    signature: str


def signed(receipt: Receipt, seed: Secret) -> str:
    """Sign a receipt; gives it as text to keep."""
    private = Ed25519PrivateKey.from_private_bytes(seed)
    public = private.public_key().public_bytes_raw().hex()
    whole: Any = {"receipt": receipt, "key": public, "signature": private.sign(_canonical(receipt)).hex()}
    return msgspec.json.format(msgspec.json.encode(whole)).decode() + "\n"


def read(text: str, seed: Secret) -> Receipt:
    """Read a receipt and check its signature by the tenant's own key.

    Raises:
        Problem: INCORRECT when it is no receipt, was altered, or was signed by another tenant or installation.
    """
    try:
        whole = msgspec.json.decode(text, type=_Signed)
        signature = bytes.fromhex(whole.signature)
    except (msgspec.MsgspecError, UnicodeError, ValueError):
        raise Problem(Kind.INCORRECT, "This is no receipt of an erasure.") from None
    public: Ed25519PublicKey = Ed25519PrivateKey.from_private_bytes(seed).public_key()
    try:
        public.verify(signature, _canonical(whole.receipt))
    except InvalidSignature:
        raise Problem(Kind.INCORRECT, "The receipt was altered, or was signed by someone else.") from None
    return whole.receipt


def _canonical(receipt: Receipt) -> bytes:
    return msgspec.json.encode(receipt, order="sorted")
