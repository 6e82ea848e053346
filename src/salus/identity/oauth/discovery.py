# SPDX-License-Identifier: Apache-2.0
"""What the authorization server says about itself: one object, of which each discovery document shows a part.

SMART App Launch 2.2 "Conformance" (`.well-known/smart-configuration`), RFC 8414, OpenID Connect Discovery 1.0; the
extensions of RFC 9126, RFC 9207 and RFC 9449. What is listed here works; tests try it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from salus.fhir.smart.scopes import WORDS
from salus.identity.oauth import dpop
from salus.identity.oauth.levels import SUPPORTED
from salus.identity.oauth.pkce import METHOD
from salus.identity.oauth.signing import ALGORITHMS

Json = dict[str, Any]

CAPABILITIES = (
    "launch-ehr",
    "launch-standalone",
    "authorize-post",
    "client-public",
    "client-confidential-symmetric",
    "client-confidential-asymmetric",
    "sso-openid-connect",
    "context-banner",
    "context-style",
    "context-ehr-patient",
    "context-ehr-encounter",
    "context-standalone-patient",
    "context-standalone-encounter",
    "permission-offline",
    "permission-online",
    "permission-patient",
    "permission-user",
    "permission-v1",
    "permission-v2",
)
"""https://hl7.org/fhir/smart-app-launch/STU2.2/conformance.html#capability-sets"""

SCOPES = (
    *WORDS,
    *(
        f"{context}/*.{letters}"
        for context in ("patient", "user", "system")
        for letters in ("cruds", "rs", "r", "s", "cud", "read", "write", "*")
    ),
)
"""Each of them can be granted; so can the same for a single type, and with search parameters."""

METHODS = ("none", "client_secret_basic", "client_secret_post", "private_key_jwt")
_CLAIMS = ("iss", "sub", "aud", "exp", "iat", "nonce", "auth_time", "acr", "amr", "at_hash", "fhirUser")

_SMART = (
    "issuer",
    "jwks_uri",
    "authorization_endpoint",
    "grant_types_supported",
    "token_endpoint",
    "token_endpoint_auth_methods_supported",
    "token_endpoint_auth_signing_alg_values_supported",
    "registration_endpoint",
    "scopes_supported",
    "response_types_supported",
    "management_endpoint",
    "introspection_endpoint",
    "revocation_endpoint",
    "pushed_authorization_request_endpoint",
    "userinfo_endpoint",
    "capabilities",
    "code_challenge_methods_supported",
    "dpop_signing_alg_values_supported",
    "authorization_response_iss_parameter_supported",
)
_NOT_OIDC = ("capabilities", "management_endpoint")
_OIDC_ONLY = (
    "subject_types_supported",
    "id_token_signing_alg_values_supported",
    "claims_supported",
    "claims_parameter_supported",
    "request_parameter_supported",
    "request_uri_parameter_supported",
)


def described(issuer: str, grant_types: Sequence[str], algorithms: Sequence[str]) -> Json:
    """Everything that there is to say.

    Args:
        issuer: address of the tenant's authorization server.
        grant_types: what the token endpoint offers.
        algorithms: under which assertions of applications may be signed.
    """
    oauth = f"{issuer}/oauth2"
    authenticating = ("token", "introspection", "revocation")
    return {
        "issuer": issuer,
        "jwks_uri": f"{oauth}/jwks",
        "authorization_endpoint": f"{oauth}/authorize",
        "token_endpoint": f"{oauth}/token",
        "pushed_authorization_request_endpoint": f"{oauth}/par",
        "require_pushed_authorization_requests": False,
        "introspection_endpoint": f"{oauth}/introspect",
        "revocation_endpoint": f"{oauth}/revoke",
        "registration_endpoint": f"{oauth}/register",
        "userinfo_endpoint": f"{oauth}/userinfo",
        "management_endpoint": f"{issuer}/account/apps",
        "grant_types_supported": list(grant_types),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "code_challenge_methods_supported": [METHOD],
        "scopes_supported": list(SCOPES),
        "token_endpoint_auth_methods_supported": list(METHODS),
        "introspection_endpoint_auth_methods_supported": list(METHODS[1:]),
        "revocation_endpoint_auth_methods_supported": list(METHODS),
        **{f"{name}_endpoint_auth_signing_alg_values_supported": list(algorithms) for name in authenticating},
        "dpop_signing_alg_values_supported": list(dpop.ALGORITHMS),
        "authorization_response_iss_parameter_supported": True,
        "acr_values_supported": list(SUPPORTED),
        "prompt_values_supported": ["none", "login", "consent", "select_account"],
        "capabilities": list(CAPABILITIES),
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": list(ALGORITHMS),
        "claims_supported": list(_CLAIMS),
        "claims_parameter_supported": False,
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
    }


def smart_configuration(everything: Json) -> Json:
    """`[base]/.well-known/smart-configuration`."""
    return {name: everything[name] for name in _SMART}


def oauth_metadata(everything: Json) -> Json:
    """`/.well-known/oauth-authorization-server` (RFC 8414)."""
    return {name: value for name, value in everything.items() if name not in _OIDC_ONLY}


def openid_configuration(everything: Json) -> Json:
    """`/.well-known/openid-configuration`."""
    return {name: value for name, value in everything.items() if name not in _NOT_OIDC}
