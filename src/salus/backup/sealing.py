# SPDX-License-Identifier: Apache-2.0
"""Chunks sealed to somebody who is not here: age (https://age-encryption.org/v1), through pyrage.

The server knows recipients, which are public. Identities, which open, lie elsewhere and are given to a command that
restores. There is no way to open what was sealed without one, for this program either.
"""

from __future__ import annotations

import pyrage

from salus.kernel.errors import Kind, Problem


class Recipients:
    """Whoever may open backups.

    Args:
        text: recipients (`age1…`) with spaces between them; each of them can open alone.

    Raises:
        Problem: INCORRECT when there is none, or one is not an age recipient.
    """

    def __init__(self, text: str) -> None:
        if not text.split():
            raise Problem(
                Kind.INCORRECT,
                "[backup] recipient is missing: make an identity with `age-keygen` or `salus backup identity`, "
                "away from this server, and set its public half here.",
            )
        try:
            self._recipients = [pyrage.x25519.Recipient.from_str(word) for word in text.split()]
        except pyrage.RecipientError:
            raise Problem(Kind.INCORRECT, "[backup] recipient holds something that is no age recipient.") from None

    def seal(self, plain: bytes) -> bytes:
        """Seal one chunk."""
        return bytes(pyrage.encrypt(plain, self._recipients))


class Identity:
    """What opens backups.

    Args:
        text: the content of an identity file as `age-keygen` writes it: lines, of which `#` begins a comment.

    Raises:
        Problem: INCORRECT when it holds no identity.
    """

    def __init__(self, text: str) -> None:
        words = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
        try:
            self._identities = [pyrage.x25519.Identity.from_str(word) for word in words]
        except pyrage.IdentityError:
            self._identities = []
        if not self._identities:
            raise Problem(Kind.INCORRECT, "This is not an age identity.")

    def open(self, sealed: bytes) -> bytes:
        """Open one chunk.

        Raises:
            Problem: INVALID when it was sealed to somebody else or is damaged.
        """
        try:
            return bytes(pyrage.decrypt(sealed, self._identities))
        except pyrage.DecryptError:
            raise Problem(Kind.INVALID, "The identity does not open this backup, or a chunk is damaged.") from None


def new_identity() -> tuple[str, str]:
    """Make an identity: the text of its file, and its recipient."""
    made = pyrage.x25519.Identity.generate()
    recipient = str(made.to_public())
    return f"# public key: {recipient}\n{made}\n", recipient
