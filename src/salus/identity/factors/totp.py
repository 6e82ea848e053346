# SPDX-License-Identifier: Apache-2.0
"""Time-based one-time codes (RFC 6238): SHA-1, 30 seconds, six digits, as authenticator applications expect.

A code is accepted from one step before to one step after the present, and only once: the step of an
accepted code must be greater than that of the last one (RFC 6238 section 5.2). Keeping the last step is the
caller's part.
"""

from __future__ import annotations

import hmac

import pyotp

STEP_SECONDS = 30
_WINDOW = (-1, 0, 1)


def new_secret() -> str:
    """A random secret of 160 bits in base32 (RFC 4226 section 4, R6)."""
    return pyotp.random_base32(32)


def enrolment_uri(secret: str, tenant: str, name: str) -> str:
    """The `otpauth://` address that an authenticator reads from a QR code. It holds the secret."""
    return pyotp.TOTP(secret).provisioning_uri(name=name, issuer_name=f"Salus {tenant}")


def accepted_step(secret: str, code: str, now_ms: int, last_step: int) -> int | None:
    """Check a code.

    Args:
        secret: base32.
        code: what the person typed; blanks do not count.
        now_ms: milliseconds since the epoch.
        last_step: step of the code that was accepted last, or 0.

    Returns:
        The time step of the code (30-second steps since the epoch), or None when it is wrong, old or used
        before.
    """
    generator = pyotp.TOTP(secret)
    given = code.replace(" ", "").encode("utf-8", "surrogatepass")
    present = now_ms // 1000 // STEP_SECONDS
    found = None
    for offset in _WINDOW:  # all three each time: the time taken must not tell which one fits
        step = present + offset
        if hmac.compare_digest(generator.generate_otp(step).encode(), given) and step > last_step:
            found = step
    return found
