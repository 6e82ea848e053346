# SPDX-License-Identifier: Apache-2.0
"""Passwords: the rules for choosing one, and how they are kept.

Rules (NIST SP 800-63B-4 section 3.1.1): 12 characters or more, since a second factor is always asked for;
any characters; no composition rules; no forced change; whole values and obvious derivations of common or
personal words are refused, and what is known to have leaked (`breached`). The standard asks for 8 characters beside a
second factor, and for 15 where there is none.

Kept as Argon2id (RFC 9106) with t=2, m=64 MiB, p=1 over an HMAC-SHA256 of the password under a key that is
not in the database (a pepper), so a copy of the database alone cannot be guessed at. Hashing runs in two
threads; when more wait than a limit, the request is refused rather than the memory exhausted.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import os
import re
import secrets
import unicodedata
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from importlib import resources
from itertools import pairwise
from typing import TypeVar

from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import Type, hash_secret, verify_secret

from salus.crypto.wiping import Secret
from salus.identity.factors.breached import Breached
from salus.kernel.errors import Issue, Kind, Problem

T = TypeVar("T")

MIN_LENGTH = 12
MAX_LENGTH = 256

_AT_ONCE = 2
_WAITING = 16
_SALT = 16
_HASH = 32
_LETTERS = re.compile(r"[^\W\d_]+")
_DECORATION = re.compile(r"^[\W\d_]+|[\W\d_]+$")
_LOOKALIKES = str.maketrans("013457@$", "oleastas")
_ROWS = (
    "01234567890",
    "qwertyuiop",
    "qwertzuiop",
    "azertyuiop",
    "asdfghjkl",
    "zxcvbnm",
    "abcdefghijklmnopqrstuvwxyz",
)
_CONSONANTS = "bdfghjklmnprstvz"
_VOWELS = "aeiou"


@dataclass(frozen=True, slots=True)
class Cost:
    """Argon2id parameters: passes, memory in KiB, lanes. The least that OWASP names is t=2, m=19456, p=1."""

    passes: int = 2
    memory_kib: int = 64 * 1024
    lanes: int = 1


class PasswordHasher:
    """Hashes and verifies, a few at a time.

    Args:
        cost: parameters of new hashes; a hash carries those it was made with.
        breached: passwords that have leaked; the built-in list when left out.
    """

    def __init__(self, cost: Cost | None = None, breached: Breached | None = None) -> None:
        self._cost = cost or Cost()
        self._breached = breached or Breached()
        self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="salus-argon2")
        self._waiting = 0
        # Nobody knows a password for it, but to find that out takes as long as for any other.
        filler = (base64.b64encode(os.urandom(n)).rstrip(b"=").decode() for n in (_SALT, _HASH))
        head = f"$argon2id$v=19$m={self._cost.memory_kib},t={self._cost.passes},p={self._cost.lanes}"
        self._nobody = "$".join((head, *filler))

    async def hash(self, pepper: Secret, password: str) -> str:
        """Hash a password with a fresh salt.

        Args:
            pepper: 32-byte key from outside the database.
            password: as the person typed it.

        Returns:
            The encoded hash, `$argon2id$v=19$…`.

        Raises:
            Problem: THROTTLED when too many wait.
        """
        return await self._run(self._hash, _peppered(pepper, password))

    async def verify(self, pepper: Secret, encoded: str | None, password: str) -> bool:
        """Whether the password belongs to the hash.

        Args:
            pepper: the key the hash was made with.
            encoded: the hash; None (no such account) does the same work and is false.
            password: as the person typed it.

        Raises:
            Problem: THROTTLED when too many wait.
        """
        return await self._run(_verify, encoded or self._nobody, _peppered(pepper, password))

    def outdated(self, encoded: str | None) -> bool:
        """Whether a hash was made with less work than those of today."""
        cost = self._cost
        return encoded is not None and not encoded.startswith(
            f"$argon2id$v=19$m={cost.memory_kib},t={cost.passes},p={cost.lanes}$"
        )

    def check_new(self, password: str, context: Iterable[str]) -> None:
        """Judge a password that someone wants to set; as the function of this name."""
        check_new(password, context, self._breached)

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown()

    def _hash(self, secret: bytes) -> str:
        cost = self._cost
        salt = os.urandom(_SALT)
        return hash_secret(secret, salt, cost.passes, cost.memory_kib, cost.lanes, _HASH, Type.ID).decode()

    async def _run(self, work: Callable[..., T], *values: str | bytes) -> T:
        if self._waiting >= _WAITING:
            raise Problem(Kind.THROTTLED, "Too many people are signing in. Please try again.", retry_after=2)
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work, *values)
        finally:
            self._waiting -= 1


def check_new(password: str, context: Iterable[str], breached: Breached) -> None:
    """Judge a password that someone wants to set.

    Args:
        password: the candidate.
        context: words it must not be made of: login name, names of the person, clinic and product.
        breached: passwords that have leaked.

    Raises:
        Problem: INVALID with the reason; never repeats the password.
    """
    normal = _normal(password)
    if not MIN_LENGTH <= len(normal) <= MAX_LENGTH or len(password) > MAX_LENGTH:
        raise _unfit(f"A password has {MIN_LENGTH} to {MAX_LENGTH} characters.")
    folded = normal.casefold()
    if len(set(folded)) < 5 or _is_run(folded):
        raise _unfit("This password is a repetition or a row of the keyboard.")
    personal = {word for text in context for word in _LETTERS.findall(text.casefold()) if len(word) > 2}
    if any(_is_made_of(text, _common_words() | personal) for text in _readings(folded)):
        raise _unfit("This password is easy to guess: it is made of common or personal words.")
    if breached.known({normal, folded, *_readings(folded)}):
        raise _unfit("This password has leaked elsewhere: it is on lists that attackers try first.")


def generate() -> str:
    """Make a password to hand to someone: five invented words, 82 bits of chance, easy to read out."""
    return "-".join(
        "".join(secrets.choice(alphabet) for alphabet in (_CONSONANTS, _VOWELS) * 2) + secrets.choice(_CONSONANTS)
        for _ in range(5)
    )


def _readings(folded: str) -> set[str]:
    """What the letters spell: as they are, and with digits as letters, with and without decorated ends."""
    bare = _DECORATION.sub("", folded)
    readings = (folded, folded.translate(_LOOKALIKES), bare.translate(_LOOKALIKES))
    return {"".join(_LETTERS.findall(text)) for text in readings}


def _is_made_of(text: str, words: frozenset[str]) -> bool:
    """Whether the text is one of the words, or up to three of them in a row."""
    fewest = {0: 0}
    for end in range(1, len(text) + 1):
        counts = [n + 1 for start, n in fewest.items() if n < 3 and text[start:end] in words]
        if counts:
            fewest[end] = min(counts)
    return bool(text) and len(text) in fewest


def _is_run(text: str) -> bool:
    """Whether nearly every character is the neighbour of the one before it: a row, an alphabet, a count."""
    neighbours = {a + b for row in _ROWS for a, b in pairwise(row)}
    neighbours |= {pair[::-1] for pair in neighbours}
    steps = list(pairwise(text))
    return sum(a == b or a + b in neighbours for a, b in steps) >= len(steps) * 0.8


@cache
def _common_words() -> frozenset[str]:
    text = resources.files("salus.identity.factors").joinpath("common_passwords.txt").read_text("utf-8")
    lines = (line for line in text.splitlines() if not line.startswith("#"))
    return frozenset(word for line in lines for word in line.split())


def _normal(password: str) -> str:
    # One person types é as one character, another keyboard as two (NIST SP 800-63B-4 section 3.1.1.2).
    return unicodedata.normalize("NFKC", password)


def _peppered(pepper: Secret, password: str) -> bytes:
    return hmac.digest(pepper, _normal(password[: MAX_LENGTH + 1]).encode("utf-8", "surrogatepass"), "sha256")


def _verify(encoded: str, secret: bytes) -> bool:
    try:
        return verify_secret(encoded.encode(), secret, Type.ID)
    except (VerificationError, InvalidHashError):
        return False


def _unfit(words: str) -> Problem:
    return Problem(Kind.INVALID, words, issues=(Issue("value", words, "password"),))
