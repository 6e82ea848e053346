# SPDX-License-Identifier: Apache-2.0
"""Forms: what a browser sends, and whether it was our page that made it send it.

Two walls against forged requests, each enough by itself:
- where a browser says from where a request comes (`Sec-Fetch-Site`, `Origin`), it has to be this origin;
- every form carries a token: an HMAC of the address that it is sent to, under the secret in the cookie. It is worth
  nothing in another browser, in another session or at another address.

SameSite=Lax on the cookies is a third.
"""

from __future__ import annotations

import base64
import hashlib
import hmac

from salus.http.message import Request, pairs, text_of
from salus.kernel.errors import Issue, Kind, Problem

FIELD = "csrf"
_LARGEST = 64 * 1024  # bytes; the largest form carries the answer of an authenticator
_URLENCODED = "application/x-www-form-urlencoded"

Form = dict[str, str]


def token(secret: str, address: str) -> str:
    """The token of a form.

    Args:
        secret: of the session or of the door, from the cookie.
        address: path that the form is sent to, with the tenant.
    """
    key = hashlib.sha256(b"salus form token\0" + secret.encode()).digest()
    mac = hmac.digest(key, address.encode(), "sha256")
    return base64.urlsafe_b64encode(mac).rstrip(b"=").decode()


async def receive(request: Request, secret: str, base_url: str) -> Form:
    """Read a form that our own page made the browser send.

    Args:
        request: a POST.
        secret: of the session or of the door, from the cookie; empty if there is none.
        base_url: address of this server as others know it.

    Returns:
        The fields; of a name that was sent more than once, the values joined by spaces.

    Raises:
        Problem: FORBIDDEN when it came from elsewhere or its page is out of date; FORMAT; TOO_LARGE; INCORRECT.
    """
    check_origin(request, base_url)
    if request.header(b"content-type").partition(";")[0].strip().lower() != _URLENCODED:
        words = "Send the form as a browser does."
        raise Problem(Kind.FORMAT, words, issues=(Issue("not-supported", words, "http.Content-Type"),))
    raw = b"".join([piece async for piece in request.pieces(_LARGEST)])
    fields: Form = {}
    for name, value in pairs(text_of(raw, "body"), "body"):
        fields[name] = f"{fields[name]} {value}" if name in fields else value
    sent = fields.pop(FIELD, "")
    if not secret or not hmac.compare_digest(sent.encode(), token(secret, request.path).encode()):
        raise Problem(
            Kind.FORBIDDEN,
            "This page is out of date: it was opened in another session. Open it again and try once more.",
            "form token does not fit",
        )
    return fields


def check_origin(request: Request, base_url: str) -> None:
    """Refuse what another site made a browser send (https://www.w3.org/TR/fetch-metadata/).

    Raises:
        Problem: FORBIDDEN.
    """
    site = request.header(b"sec-fetch-site")
    origin = request.header(b"origin")
    ours = {base_url, f"https://{request.header(b'host')}"}
    if (site and site != "same-origin") or (origin and origin not in ours) or not (site or origin):
        raise Problem(Kind.FORBIDDEN, "This form was not sent by a page of this server.", "request from another origin")
