# SPDX-License-Identifier: Apache-2.0
"""Which addresses an application may register. Pure; `salus.identity.oauth.redirects` compares them in requests.

An address is `https` and spelled in one way only, so that two programs cannot read it differently: lower-case host
without user, fragment, wildcard, dot segments or encoded ones (RFC 9700 section 4.1). Applications on a person's own
machine may use `http` on a loopback address, with any port at the time of the request (RFC 8252 section 7.3).
"""

from __future__ import annotations

import re

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9a-f:.]{{2,45}}\])"
_PORT = r"(?::[1-9][0-9]{0,4})?"
_REST = r"(?:/[A-Za-z0-9._~!$&'()+,;=:@%/-]*)?(?:\?[A-Za-z0-9._~!$&'()+,;=:@%/?-]*)?"
_LOOPBACK = r"(?:127\.0\.0\.1|\[::1\]|localhost)"
_HTTPS = re.compile(rf"https://{_HOST}{_PORT}{_REST}", re.ASCII)
_NATIVE = re.compile(rf"http://{_LOOPBACK}{_PORT}{_REST}", re.ASCII)
_ORIGIN = re.compile(rf"https://{_HOST}{_PORT}", re.ASCII)
_NATIVE_ORIGIN = re.compile(rf"http://{_LOOPBACK}{_PORT}", re.ASCII)
_ESCAPES = re.compile(r"%(?![0-9A-Fa-f]{2})|%2[eEfF]|%5[cC]|%[01][0-9A-Fa-f]|%7[fF]")
_DOTS = re.compile(r"/\.{1,2}(?=/|\?|$)")

LONGEST = 2_000


def is_https(text: str) -> bool:
    """Whether this is an `https` address in its one spelling."""
    return len(text) <= LONGEST and _HTTPS.fullmatch(text) is not None and _one_reading(text)


def is_loopback(text: str) -> bool:
    """Whether this is an `http` address on the machine of the person, in its one spelling (RFC 8252 section 7.3)."""
    return len(text) <= LONGEST and _NATIVE.fullmatch(text) is not None and _one_reading(text)


def is_origin(text: str, *, native: bool) -> bool:
    """Whether this is a web origin as browsers write it; `native` also takes `http` on loopback addresses."""
    if text.endswith((":443", ":80")) or len(text) > LONGEST:
        return False
    return _ORIGIN.fullmatch(text) is not None or (native and _NATIVE_ORIGIN.fullmatch(text) is not None)


def _one_reading(text: str) -> bool:
    path = text.split("://", 1)[1]
    return _ESCAPES.search(text) is None and _DOTS.search(path) is None and "//" not in path.split("?")[0]
