# SPDX-License-Identifier: Apache-2.0
"""Where an answer may be sent: exactly to a registered address, and how parameters are added to it.

RFC 9700 section 4.1.3: compared character by character, with one exception: the port of a loopback address, which a
native application learns from the operating system (RFC 8252 section 7.3).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import urlencode

_LOOPBACK = re.compile(r"(http://(?:127\.0\.0\.1|\[::1\]))(?::([0-9]{1,5}))?(/[^?#]*)?", re.ASCII)


def is_registered(asked: str, registered: Iterable[str]) -> bool:
    """Whether an address is one of those registered."""
    return any(asked == known or _same_but_port(asked, known) for known in registered)


def with_parameters(address: str, parameters: Iterable[tuple[str, str]]) -> str:
    """Add parameters to the query of an address, which may have one already (RFC 6749 section 3.1.2)."""
    query = urlencode(list(parameters))
    return f"{address}{'&' if '?' in address else '?'}{query}"


def _same_but_port(asked: str, known: str) -> bool:
    there, registered = _LOOPBACK.fullmatch(asked), _LOOPBACK.fullmatch(known)
    if there is None or registered is None or int(there[2] or 80) > 65535:
        return False
    return there[1] == registered[1] and (there[3] or "") == (registered[3] or "")
