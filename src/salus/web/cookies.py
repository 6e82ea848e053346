# SPDX-License-Identifier: Apache-2.0
"""The cookies of the pages (RFC 6265, and its draft successor for the prefix).

`__Host-` makes a browser refuse the cookie unless it is Secure, has Path=/ and names no domain: no neighbouring host
can set or read it. Each tenant has a name of its own, so that somebody may be signed in to two of them. There are:

- `__Host-salus.TENANT` holds the secret of a session;
- `__Host-salus-door.TENANT` a random value for whoever has none yet: it ties forms, and a sign-in that is under way, to
  the browser that asked for them (login CSRF);
- `__Host-salus-ceremony.TENANT` the secret of a ceremony under way on the server: signing in, or showing factors again.
"""

from __future__ import annotations

import re
import secrets

from salus.http.message import Header, Request

_SECRET = re.compile(r"[A-Za-z0-9_-]{20,128}")


def session_name(tenant: str) -> str:
    """The cookie of a session."""
    return f"__Host-salus.{tenant}"


def door_name(tenant: str) -> str:
    """The cookie of whoever has not signed in yet."""
    return f"__Host-salus-door.{tenant}"


def ceremony_name(tenant: str) -> str:
    """The cookie of a ceremony that is under way."""
    return f"__Host-salus-ceremony.{tenant}"


def new_secret() -> str:
    """256 random bits."""
    return secrets.token_urlsafe(32)


def read(request: Request, name: str) -> str:
    """The value of a cookie; empty if there is none, if there are two (one of them is not ours), or if it is odd."""
    found = []
    for part in request.header(b"cookie").split(";"):
        key, _, value = part.strip().partition("=")
        if key == name:
            found.append(value)
    return found[0] if len(found) == 1 and _SECRET.fullmatch(found[0]) else ""


def written(name: str, value: str) -> Header:
    """A cookie for as long as the browser stays open; how long a session lasts, the server says."""
    return b"set-cookie", f"{name}={value}; Path=/; Secure; HttpOnly; SameSite=Lax".encode()


def dropped(name: str) -> Header:
    """Take a cookie away."""
    return b"set-cookie", f"{name}=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0".encode()
