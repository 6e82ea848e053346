# SPDX-License-Identifier: Apache-2.0
"""Addresses of pages, and which of those that somebody hands in may be gone to."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

_PATH = re.compile(r"/(?:[A-Za-z0-9_.~$,=:@!*'()%-]+/?)*(?:\?[A-Za-z0-9_.~$,=:@!*'()%&+;/?-]*)?")
_LONGEST = 2000


def prefix_of(tenant: str) -> str:
    """What stands before every path of a tenant."""
    return "" if tenant == "default" else f"/t/{tenant}"


def local_path(address: str, tenant: str) -> str:
    """Say whether an address is a page of this tenant, and nothing else: no host, no scheme, no way round.

    `//host`, a backslash (which browsers take for a slash), control characters and dot segments are not.

    Returns:
        The address as it is, or nothing.
    """
    if len(address) > _LONGEST or not _PATH.fullmatch(address) or "//" in address.partition("?")[0]:
        return ""
    path = address.partition("?")[0]
    if any(segment in {".", ".."} or "%2e" in segment.lower() for segment in path.split("/")):
        return ""
    prefix = prefix_of(tenant)
    if prefix:
        return address if path == prefix or path.startswith(f"{prefix}/") else ""
    return "" if path == "/t" or path.startswith("/t/") else address


def origin_of(address: str) -> str:
    """The origin of a registered address, for a page and its policy; of a native application its scheme."""
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}" if parts.scheme in {"https", "http"} else f"{parts.scheme}:"
