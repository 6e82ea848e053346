# SPDX-License-Identifier: Apache-2.0
"""A client as JSON: the names of RFC 7591 section 2, and ours for what it has no name for. Pure.

Administrators say everything, and a name that is not known is refused. Programs that register themselves say only what
RFC 7591 lets them say; what they say beyond is ignored, as it demands, and never widens anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from salus.fhir import json
from salus.fhir.smart.scopes import parse
from salus.identity.clients.client import Client
from salus.kernel.errors import Issue, Kind, Problem

_TEXTS = {
    "client_name": "name",
    "token_endpoint_auth_method": "auth_method",
    "client_uri": "client_uri",
    "logo_uri": "logo_uri",
    "tos_uri": "tos_uri",
    "policy_uri": "policy_uri",
    "jwks_uri": "jwks_uri",
    "software_id": "software_id",
    "software_version": "software_version",
    "initiate_login_uri": "launch_uri",
    "id_token_signed_response_alg": "id_token_alg",
}
_LISTS = {"redirect_uris": "redirect_uris", "grant_types": "grant_types", "contacts": "contacts"}
_FLAGS = {"require_pushed_authorization_requests": "require_par", "dpop_bound_access_tokens": "dpop"}
_OURS = {"account": str, "purpose": str, "disabled": bool, "origins": list, "algorithms": list, "profile": str}
_OTHERS = {"scope", "jwks", "token_endpoint_auth_signing_alg", "response_types", "application_type"}
_ANSWERED = {"client_id", "client_id_issued_at", "dynamic", "secrets"}
"""What is in every answer and may come back with a change, but is not for the sender to say."""

_USUAL = {"user-app": ("authorization_code",), "backend": ("client_credentials",)}


def from_metadata(sent: Mapping[str, Any], *, tenant: str, id: str, administrator: bool) -> Client:  # noqa: A002
    """Make a client of what was sent; `rules.check` says whether it is fit.

    Args:
        sent: JSON object.
        tenant, id: whose it is, and its id.
        administrator: an administrator sent it; otherwise a program that registers itself, which has no account, no
            web origins, and asks for nothing that this server does not know.

    Raises:
        Problem: INVALID with the fields that are of the wrong type or not known.
    """
    known = (
        _TEXTS.keys() | _LISTS.keys() | _FLAGS.keys() | _OTHERS | _ANSWERED | (_OURS.keys() if administrator else set())
    )
    if administrator and (unknown := sent.keys() - known):
        text = "This is not known of a client."
        raise _unfit(*((text, name if name.isidentifier() else "") for name in sorted(unknown)))
    _check_types(sent, administrator)
    fields: dict[str, Any] = {ours: sent[name] for name, ours in _TEXTS.items() if name in sent}
    fields |= {ours: tuple(sent[name]) for name, ours in _LISTS.items() if name in sent}
    fields |= {ours: sent[name] for name, ours in _FLAGS.items() if name in sent}
    if administrator:
        fields |= {
            name: tuple(sent[name]) if kind is list else sent[name] for name, kind in _OURS.items() if name in sent
        }
    method = fields.setdefault("auth_method", "client_secret_basic")  # RFC 7591 section 2
    fields["kind"] = "public" if method == "none" else "confidential"
    backend = fields.get("grant_types") == ("client_credentials",)
    profile = fields.setdefault("profile", "backend" if backend else "user-app")
    fields.setdefault("grant_types", _USUAL.get(profile, ()))
    fields["scopes"] = _scopes(sent.get("scope", ""), administrator)
    if "token_endpoint_auth_signing_alg" in sent:
        fields.setdefault("algorithms", (sent["token_endpoint_auth_signing_alg"],))
    elif method == "private_key_jwt":
        fields.setdefault("algorithms", ("RS384", "ES384"))  # what SMART App Launch 2.2 demands
    if sent.get("jwks"):
        fields["jwks"] = json.encode(sent["jwks"]).decode()
    fields.setdefault("name", "" if administrator else id)
    try:
        return msgspec.convert({**fields, "id": id, "tenant": tenant, "dynamic": not administrator}, Client)
    except msgspec.ValidationError:
        text = "The way of proving itself, the profile or the signature of id_tokens is not one of those known."
        raise _unfit((text, "token_endpoint_auth_method")) from None


def metadata_of(client: Client, *, administrator: bool = True) -> dict[str, Any]:
    """The same the other way, for answers; never with a secret. What is empty is left out."""
    said: dict[str, Any] = {"client_id": client.id, "client_id_issued_at": client.created_ms // 1000}
    said |= {name: getattr(client, ours) for name, ours in _TEXTS.items()}
    said |= {name: list(getattr(client, ours)) for name, ours in _LISTS.items()}
    said |= {name: getattr(client, ours) for name, ours in _FLAGS.items()}
    said["scope"] = " ".join(client.scopes)
    said["response_types"] = ["code"] if "authorization_code" in client.grant_types else []
    if client.algorithms:
        said["token_endpoint_auth_signing_alg"] = client.algorithms[0]
    if client.jwks:
        said["jwks"] = msgspec.json.decode(client.jwks)
    if administrator:
        said |= {
            "profile": client.profile,
            "algorithms": list(client.algorithms),
            "origins": list(client.origins),
            "account": client.account,
            "purpose": client.purpose,
            "disabled": client.disabled,
            "dynamic": client.dynamic,
        }
    return {name: value for name, value in said.items() if value not in ("", [])}


def _scopes(text: str, administrator: bool) -> tuple[str, ...]:
    """Scopes, each once; of a program that registers itself only those that this server knows (RFC 7591 section 2)."""
    found = dict.fromkeys(text.split())
    return tuple(scope for scope in found if administrator or parse(scope) is not None)


def _check_types(sent: Mapping[str, Any], administrator: bool) -> None:
    wanted: dict[str, type] = dict.fromkeys(_TEXTS, str) | dict.fromkeys(_LISTS, list) | dict.fromkeys(_FLAGS, bool)
    wanted |= {"scope": str, "jwks": dict, "token_endpoint_auth_signing_alg": str, "response_types": list}
    wanted |= {"application_type": str} | (_OURS if administrator else {})
    wrong = [
        (f"This is a {'list of texts' if kind is list else 'text' if kind is str else kind.__name__}.", name)
        for name, kind in wanted.items()
        if name in sent and not _is_of(sent[name], kind)
    ]
    if wrong:
        raise _unfit(*wrong)
    if sent.get("response_types", ["code"]) not in ([], ["code"]):
        raise _unfit(("The only response type is code.", "response_types"))


def _is_of(value: Any, kind: type) -> bool:
    if kind is list:
        return isinstance(value, list) and all(isinstance(each, str) for each in value)
    return isinstance(value, kind)


def _unfit(*issues: tuple[str, str]) -> Problem:
    told = tuple(Issue("invalid", text, field) for text, field in issues)
    return Problem(Kind.INVALID, "The registration of this client is not fit.", issues=told)
