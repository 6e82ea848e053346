# SPDX-License-Identifier: Apache-2.0
"""What every key provider must do, over the most real thing that runs here (see `tests.support.key_services`)."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key

from salus.crypto.kms.provider import KeyProvider
from salus.kernel.errors import Kind, Problem
from tests.support.key_services import PROVIDERS

KEY = bytes(range(32))
CONTEXT = {"tenant": "default", "purpose": "tenant-root", "epoch": "1"}


@pytest.fixture(scope="module", params=PROVIDERS)
def provider(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeyProvider]:
    folder = tmp_path_factory.mktemp(request.param)
    folder.chmod(0o700)
    with PROVIDERS[request.param](folder) as made:
        yield made


def refused(provider: KeyProvider, blob: bytes, context: dict[str, str] = CONTEXT) -> Problem:
    with pytest.raises(Problem) as caught:
        provider.unwrap(blob, context)
    assert caught.value.kind is Kind.UNAVAILABLE
    assert caught.value.retry_after
    return caught.value


def test_what_is_wrapped_unwraps(provider: KeyProvider) -> None:
    blob = provider.wrap(KEY, CONTEXT)
    key = provider.unwrap(blob, dict(reversed(CONTEXT.items())))
    assert key == KEY
    assert isinstance(key, bytearray)  # so that it can be wiped
    assert KEY not in blob
    assert provider.wrap(KEY, CONTEXT) != blob
    provider.health()


@pytest.mark.parametrize(
    "other",
    [
        {**CONTEXT, "tenant": "north"},
        {**CONTEXT, "purpose": "page-key"},
        {**CONTEXT, "epoch": "2"},
        {"tenant": "default", "purpose": "tenant-root"},
        {**CONTEXT, "more": ""},
    ],
)
def test_attack_unwrap_for_something_else(provider: KeyProvider, other: dict[str, str]) -> None:
    refused(provider, provider.wrap(KEY, CONTEXT), other)


def test_attack_alter_a_wrapped_key(provider: KeyProvider) -> None:
    blob = provider.wrap(KEY, CONTEXT)
    for place in range(0, len(blob), 1 if len(blob) < 200 else 7):
        altered = bytearray(blob)
        altered[place] ^= 0x01
        _refused_through_the_breaker(provider, bytes(altered))
    for length in (0, 1, len(blob) // 2, len(blob) - 1):
        _refused_through_the_breaker(provider, blob[:length])
    _refused_through_the_breaker(provider, blob + b"\0")


def _refused_through_the_breaker(provider: KeyProvider, blob: bytes) -> None:
    """Each try must reach the provider itself, not a breaker that has opened."""
    refused(getattr(provider, "_provider", provider), blob)


def test_an_error_tells_nothing_of_the_key(provider: KeyProvider) -> None:
    blob = provider.wrap(KEY, CONTEXT)
    problem = refused(provider, blob, {"purpose": "other"})
    said = f"{problem!r}{problem.detail}{problem.public}"
    assert KEY.hex() not in said
    assert blob.decode("latin-1") not in said
    assert problem.__cause__ is None


def test_several_threads_may_share_a_provider(provider: KeyProvider) -> None:
    keys = [bytes([number] * 32) for number in range(12)]
    with ThreadPoolExecutor(4) as pool:
        blobs = list(pool.map(lambda key: provider.wrap(key, CONTEXT), keys))
        assert list(pool.map(lambda blob: bytes(provider.unwrap(blob, CONTEXT)), blobs)) == keys


def test_signatures_verify_with_the_public_half(provider: KeyProvider) -> None:
    signature = provider.sign(b"checkpoint")
    public = load_der_public_key(provider.verification_key())
    if isinstance(public, Ed25519PublicKey):
        assert provider.capabilities.signature == "Ed25519"
        public.verify(signature, b"checkpoint")
        with pytest.raises(InvalidSignature):
            public.verify(signature, b"another")
    else:
        assert isinstance(public, ec.EllipticCurvePublicKey)
        assert provider.capabilities.signature == "ECDSA-P256-SHA256"
        public.verify(signature, b"checkpoint", ec.ECDSA(hashes.SHA256()))
        with pytest.raises(InvalidSignature):
            public.verify(signature, b"another", ec.ECDSA(hashes.SHA256()))


def test_versions_rotate_rewrap_and_are_destroyed(provider: KeyProvider) -> None:
    old = provider.wrap(KEY, CONTEXT)
    provider.rotate()
    assert provider.unwrap(old, CONTEXT) == KEY
    new = provider.rewrap(old, CONTEXT)
    assert new != old
    assert provider.unwrap(new, CONTEXT) == KEY
    with pytest.raises(Problem):
        provider.rewrap(old, {**CONTEXT, "tenant": "north"})
    with pytest.raises(Problem) as caught:
        provider.destroy_version("999")
    assert caught.value.kind in {Kind.INCORRECT, Kind.UNAVAILABLE}
    if not provider.capabilities.destroys:
        with pytest.raises(Problem) as caught:
            provider.destroy_version("1")
        assert caught.value.kind is Kind.INCORRECT
        return
    assert provider.destroy_version("1")
    refused(provider, old)
    assert provider.unwrap(new, CONTEXT) == KEY
    with pytest.raises(Problem):
        provider.destroy_version("2")  # the newest one


def test_a_wrapped_key_of_another_provider_is_refused(provider: KeyProvider) -> None:
    for foreign in (b"vault:v1:AAAA", b"\x94\x01\x01\xc4\x0c", bytes(130), b'{"a": 1}'):
        _refused_through_the_breaker(provider, foreign)
