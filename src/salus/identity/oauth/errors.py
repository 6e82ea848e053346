# SPDX-License-Identifier: Apache-2.0
"""What goes wrong between an application and the authorization server, in the words of OAuth.

The codes are those of RFC 6749 (4.1.2.1, 5.2), RFC 6750 (3.1), RFC 7009, RFC 7591, RFC 9126, RFC 9449, RFC 9470 and
OpenID Connect Core (3.1.2.6). `http` writes such an error as JSON with its status, or adds it to the redirect address
when client and address were validated before.
Like a `Problem`, an `OAuthError` never repeats a value that somebody sent.
"""

from __future__ import annotations

from typing import Literal

Code = Literal[
    "access_denied",
    "consent_required",
    "insufficient_user_authentication",
    "interaction_required",
    "invalid_client",
    "invalid_client_metadata",
    "invalid_dpop_proof",
    "invalid_grant",
    "invalid_redirect_uri",
    "invalid_request",
    "invalid_request_object",
    "invalid_request_uri",
    "invalid_scope",
    "invalid_target",
    "invalid_token",
    "login_required",
    "request_not_supported",
    "server_error",
    "temporarily_unavailable",
    "unauthorized_client",
    "unsupported_grant_type",
    "unsupported_response_type",
    "unsupported_token_type",
    "use_dpop_nonce",
]


class OAuthError(Exception):
    """Something that stops a request of an application.

    Args:
        error: one of the closed list.
        description: words for whoever writes the application; printable ASCII without `"` and backslash (RFC 6749 5.2).
        status: of the answer, when it is not a redirect: 400, or 401 where a client or token was not accepted.
        detail: why, for the audit log; never a secret.
        challenge: value of `WWW-Authenticate` for a 401 whose request used that scheme (RFC 6749 5.2).
    """

    def __init__(
        self, error: Code, description: str, status: int = 400, *, detail: str = "", challenge: str = ""
    ) -> None:
        super().__init__(f"{error}: {description}")
        self.error = error
        self.description = description
        self.status = status
        self.detail = detail or description
        self.challenge = challenge

    def __repr__(self) -> str:
        return f"OAuthError({self.error}: {self.description})"


class Reused(OAuthError):  # noqa: N818  the field's word
    """A code or refresh token was shown a second time: what it gave has ended, for it may be in a thief's hands."""
