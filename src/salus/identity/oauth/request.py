# SPDX-License-Identifier: Apache-2.0
"""Reading an authorization request: pure rules over its parameters.

Two steps. `destination` says which application asks and where answers may go; until it has returned nothing is sent
anywhere, and what is wrong is told to the person at the browser (RFC 6749 section 4.1.2.1). `read` judges the rest, and
what is wrong there goes back to the application.

SMART App Launch 2.2 "Obtain authorization code", OAuth 2.1, RFC 7636, RFC 8707, OpenID Connect Core 3.1.2.1.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from salus.identity.oauth.errors import OAuthError
from salus.identity.oauth.parties import Client
from salus.identity.oauth.pkce import METHOD, is_challenge
from salus.identity.oauth.redirects import is_registered

MAX_SCOPES = 200
MAX_SCOPE_TEXT = 16_000
_MAX_STATE = 4_000
_MAX_NONCE = 1_000
_MAX_HINT = 200
_SCOPE_TOKEN = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")  # RFC 6749 section 3.3
_VISIBLE = re.compile(r"[\x20-\x7e]+")  # state: VSCHAR, RFC 6749 appendix A.5
_THUMBPRINT = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
_PROMPTS = {"none", "login", "consent", "select_account"}

Pairs = Sequence[tuple[str, str]]


class Asked(msgspec.Struct, frozen=True, array_like=True):
    """An authorization request that is valid in itself.

    Attributes:
        client: `client_id`.
        redirect_uri: where the answer goes.
        state: goes back with it, as it came.
        scopes: what is asked for, each once, in the order given.
        audience: the FHIR base that the token is for.
        challenge: of the proof key.
        launch: handle of a launch from within the record; empty if none.
        nonce: for the id_token; empty if none.
        prompt: what the person has to be asked.
        max_age: how many seconds ago they may have proved to be there; -1 when nothing was said.
        acr_values: levels of assurance, the preferred one first.
        login_hint: login name that is proposed.
        dpop_jkt: thumbprint of the key that the code is bound to; empty if none.
    """

    client: str
    redirect_uri: str
    state: str
    scopes: tuple[str, ...]
    audience: str
    challenge: str
    launch: str
    nonce: str
    prompt: tuple[str, ...]
    max_age: int
    acr_values: tuple[str, ...]
    login_hint: str
    dpop_jkt: str


def one(pairs: Pairs, name: str) -> str:
    """The value of a parameter; empty when it is not there.

    Raises:
        OAuthError: invalid_request when it is there more than once (RFC 6749 section 3.1).
    """
    found = [value for known, value in pairs if known == name]
    if len(found) > 1:
        raise OAuthError("invalid_request", f"The parameter {name} is there more than once.")
    return found[0] if found else ""


def destination(pairs: Pairs, client: Client | None) -> str:
    """The address that the answer goes to.

    Args:
        pairs: the parameters.
        client: whoever is registered under the `client_id` of the request.

    Raises:
        OAuthError: not to be sent anywhere.
    """
    if client is None or client.disabled:
        raise OAuthError("invalid_client", "No application is registered under this client_id.", detail="no client")
    redirect_uri = one(pairs, "redirect_uri")
    if not redirect_uri or not is_registered(redirect_uri, client.redirect_uris):
        words = "The redirect_uri is not one that the application has registered."
        raise OAuthError("invalid_request", words, detail="redirect_uri is not registered")
    return redirect_uri


def state_of(pairs: Pairs) -> str:
    """The state that goes back with an error; empty when there is none that may be repeated."""
    found = [value for name, value in pairs if name == "state"]
    return found[0] if len(found) == 1 and _is_state(found[0]) else ""


def read(pairs: Pairs, client: Client, redirect_uri: str, audiences: Sequence[str]) -> Asked:
    """Judge a request whose destination is known.

    Args:
        pairs: the parameters; those that are not known are passed over (RFC 6749 section 3.1).
        client: who asks.
        redirect_uri: from `destination`.
        audiences: the FHIR bases that tokens can be asked for.

    Raises:
        OAuthError: to be sent to `redirect_uri`.
    """
    if one(pairs, "response_type") != "code":
        raise OAuthError("unsupported_response_type", "response_type has to be code.")
    if one(pairs, "response_mode") not in {"", "query"}:
        raise OAuthError("invalid_request", "response_mode has to be query.")
    if one(pairs, "request"):
        raise OAuthError("request_not_supported", "Request objects are not supported; push the request instead.")
    if "authorization_code" not in client.grant_types:
        raise OAuthError("unauthorized_client", "The application is not registered for authorization codes.")
    state = one(pairs, "state")
    if not _is_state(state):
        raise OAuthError("invalid_request", "state is missing, too long, or has other characters than printable ASCII.")
    return Asked(
        client=client.id,
        redirect_uri=redirect_uri,
        state=state,
        scopes=scope_tokens(one(pairs, "scope")),
        audience=_audience(pairs, audiences),
        challenge=_challenge(pairs),
        launch=one(pairs, "launch"),
        nonce=_limited(pairs, "nonce", _MAX_NONCE),
        prompt=_prompt(one(pairs, "prompt")),
        max_age=_max_age(one(pairs, "max_age")),
        acr_values=tuple(dict.fromkeys(_limited(pairs, "acr_values", _MAX_HINT).split())),
        login_hint=_limited(pairs, "login_hint", _MAX_HINT),
        dpop_jkt=_thumbprint(one(pairs, "dpop_jkt")),
    )


def scope_tokens(text: str) -> tuple[str, ...]:
    """Take a list of scopes apart (RFC 6749 section 3.3); doubles are dropped.

    Raises:
        OAuthError: invalid_scope when it is no such list, or longer than anyone needs.
    """
    tokens = tuple(dict.fromkeys(text.split(" "))) if len(text) <= MAX_SCOPE_TEXT else ()
    tokens = tuple(token for token in tokens if token)
    if not tokens or len(tokens) > MAX_SCOPES or not all(_SCOPE_TOKEN.fullmatch(token) for token in tokens):
        raise OAuthError("invalid_scope", "scope is missing, too long, or not a list of scopes.")
    return tokens


def _audience(pairs: Pairs, audiences: Sequence[str]) -> str:
    """`aud`, or its synonym `resource` of RFC 8707: a token for somebody else is never made."""
    named = {name: [value for known, value in pairs if known == name] for name in ("aud", "resource")}
    values = set(named["aud"] + named["resource"])
    if not values:
        raise OAuthError("invalid_request", "aud is missing; it has to be the address of the FHIR server.")
    if len(values) > 1 or any(len(given) > 1 for given in named.values()) or not values <= set(audiences):
        raise OAuthError("invalid_target", "aud has to be the address of this FHIR server, once.")
    return values.pop()


def _challenge(pairs: Pairs) -> str:
    challenge, method = one(pairs, "code_challenge"), one(pairs, "code_challenge_method")
    if not challenge:
        raise OAuthError("invalid_request", "code_challenge is missing; PKCE is required.")
    if method != METHOD:
        raise OAuthError("invalid_request", "code_challenge_method has to be S256.")
    if not is_challenge(challenge):
        raise OAuthError("invalid_request", "code_challenge is not a SHA-256 in base64url.")
    return challenge


def _prompt(text: str) -> tuple[str, ...]:
    words = tuple(dict.fromkeys(text.split()))
    if not _PROMPTS.issuperset(words) or ("none" in words and len(words) > 1):
        raise OAuthError("invalid_request", "prompt is none alone, or some of login, consent, select_account.")
    return words


def _max_age(text: str) -> int:
    if not text:
        return -1
    if not text.isascii() or not text.isdecimal() or len(text) > 9:
        raise OAuthError("invalid_request", "max_age has to be a number of seconds.")
    return int(text)


def _thumbprint(text: str) -> str:
    if text and _THUMBPRINT.fullmatch(text) is None:
        raise OAuthError("invalid_request", "dpop_jkt is not the thumbprint of a key.")
    return text


def _limited(pairs: Pairs, name: str, most: int) -> str:
    value = one(pairs, name)
    if len(value) > most:
        raise OAuthError("invalid_request", f"{name} has more than {most} characters.")
    return value


def _is_state(text: str) -> bool:
    return len(text) <= _MAX_STATE and _VISIBLE.fullmatch(text) is not None
