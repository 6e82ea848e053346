# SPDX-License-Identifier: Apache-2.0
"""Forms that applications and browsers send (`application/x-www-form-urlencoded`), strictly read."""

from __future__ import annotations

from salus.http.message import Request, pairs, text_of
from salus.identity.oauth.errors import OAuthError

_LONGEST = 64 * 1024
_MEDIA = "application/x-www-form-urlencoded"


async def form_pairs(request: Request) -> list[tuple[str, str]]:
    """The parameters of a body, in order.

    Raises:
        OAuthError: invalid_request for another media type.
        Problem: TOO_LARGE; INCORRECT for what is not UTF-8.
    """
    if request.header(b"content-type").partition(";")[0].strip().lower() != _MEDIA:
        raise OAuthError("invalid_request", f"Send a form, {_MEDIA}.")
    body = b"".join([piece async for piece in request.pieces(_LONGEST)])
    return pairs(text_of(body, "body"), "body")


def single(found: list[tuple[str, str]]) -> dict[str, str]:
    """The same as a mapping.

    Raises:
        OAuthError: invalid_request when a parameter is there more than once (RFC 6749 section 3.2).
    """
    form = dict(found)
    if len(form) != len(found):
        raise OAuthError("invalid_request", "A parameter is there more than once.")
    # What has no value is treated as if it were not there (section 3.2).
    return {name: value for name, value in form.items() if value}
