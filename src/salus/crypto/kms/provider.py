# SPDX-License-Identifier: Apache-2.0
"""What Salus asks of a key provider (KMS).

A provider holds a key that never leaves it and wraps a handful of others: the page key of an installation and
the root key of each tenant. It is never called per record or per patient. The context is authenticated
together with the key, so that the root key of one tenant does not unwrap as that of another.

Every call may take its time or fail; `guard` puts a time limit and a circuit breaker around each.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from salus.crypto.wiping import Secret, random_key
from salus.kernel.errors import Kind, Problem


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a provider can do beyond wrapping and unwrapping.

    Attributes:
        rewraps_inside: `rewrap` happens in the provider; the key does not pass through Salus.
        binds_context: the provider itself authenticates the context. Where it does not, the provider wraps a
            key of its own for each blob, and an envelope under that key binds the context.
        rotates: `rotate` makes a new version of the key.
        destroys: `destroy_version` works.
        destroyed: when a destroyed version is gone: `at once`, or what the provider says about its waiting time.
        signature: algorithm of `sign`, `Ed25519` or `ECDSA-P256-SHA256`; empty when there is no signing key.
    """

    rewraps_inside: bool = False
    binds_context: bool = True
    rotates: bool = True
    destroys: bool = True
    destroyed: str = "at once"
    signature: str = ""


class KeyProvider(Protocol):
    """Wraps and unwraps keys.

    When the provider is away or refuses, every method raises `Problem` of kind UNAVAILABLE: callers fail closed.
    What a provider cannot do (see `capabilities`) is INCORRECT, with the reason.
    """

    @property
    def name(self) -> str:
        """Short name for logs and reports, e.g. `local`."""
        ...

    @property
    def capabilities(self) -> Capabilities:
        """What this provider can do; may ask it once."""
        ...

    def wrap(self, key: Secret, context: Mapping[str, str]) -> bytes:
        """Protect a key under the newest version of the provider's key.

        Args:
            key: the bytes to wrap, 32.
            context: what the key is for, e.g. `{"tenant": "default", "purpose": "tenant-root"}`; not secret.

        Returns:
            An opaque blob for `unwrap`.
        """
        ...

    def unwrap(self, blob: bytes, context: Mapping[str, str]) -> bytearray:
        """Give back a key that was wrapped with the same context under a version that still exists.

        Returns:
            A buffer of the caller's, to be wiped after use.
        """
        ...

    def rewrap(self, blob: bytes, context: Mapping[str, str]) -> bytes:
        """Wrap the same key under the newest version; the old blob stays valid until its version is destroyed."""
        ...

    def rotate(self) -> str:
        """Make a new version of the key, under which `wrap` works from now on; return its name."""
        ...

    def destroy_version(self, version: str) -> str:
        """Destroy a version, and so whatever is wrapped under it, in every copy.

        Returns:
            When it is gone: `at once`, or a date that the provider gives.

        Raises:
            Problem: INCORRECT for the newest version or one that is not there.
        """
        ...

    def sign(self, message: bytes) -> bytes:
        """Sign with a key that never leaves the provider; see `capabilities.signature`."""
        ...

    def verification_key(self) -> bytes:
        """The public half of the signing key: DER, SubjectPublicKeyInfo."""
        ...

    def health(self) -> None:
        """Prove that wrapping and unwrapping work now."""
        ...

    def close(self) -> None:
        """Let go of connections and of what is held in memory."""
        ...


PUBLIC_WORDS = "The keys are not available."
RETRY_SECONDS = 5

_encode = msgspec.msgpack.Encoder().encode


def bound(context: Mapping[str, str]) -> bytes:
    """A context as bytes, for providers that authenticate bytes: typed, length-prefixed, in order of the names."""
    return _encode(("salus/wrapped-key", *(part for item in sorted(context.items()) for part in item)))


def away(detail: str) -> Problem:
    """What every failure of a provider becomes; `detail` is for the operator and holds no secret."""
    return Problem(Kind.UNAVAILABLE, PUBLIC_WORDS, detail, retry_after=RETRY_SECONDS)


def cannot(what: str) -> Problem:
    """What is asked of a provider that cannot do it."""
    return Problem(Kind.INCORRECT, what)


@contextmanager
def asking(provider: str, code_of: Callable[[Any], object] = lambda _: "") -> Iterator[None]:
    """Turn whatever a provider's library raises into UNAVAILABLE, with the kind of error and its code only.

    Texts of libraries are left out: they may quote what was sent.

    Args:
        provider: name for the operator.
        code_of: takes a status or error code out of the library's exception.
    """
    try:
        yield
    except Problem:
        raise
    except Exception as error:  # noqa: BLE001  libraries raise what they like; nothing of it may pass
        try:
            code = str(code_of(error) or "")
        except (AttributeError, KeyError, TypeError):
            code = ""
        raise away(f"{provider}: {type(error).__name__}{f' ({code})' if code else ''}") from None


def library(module: str, extra: str) -> Any:
    """Import a provider's library, which is an optional part of the installation.

    Raises:
        Problem: INCORRECT with the command that installs it.
    """
    try:
        return importlib.import_module(module)
    except ImportError:
        raise Problem(
            Kind.INCORRECT, f"This needs a library that is not installed: pip install 'salus[{extra}]'"
        ) from None


def probe(provider: KeyProvider) -> None:
    """Have a key wrapped and unwrapped: what `KeyProvider.health` is for a service without a cheaper question.

    Raises:
        Problem: UNAVAILABLE when the service is away, refuses, or gives back another key.
    """
    key = random_key()
    context = {"purpose": "health"}
    if provider.unwrap(provider.wrap(key, context), context) != key:
        raise away(f"{provider.name}: the probe came back altered")
