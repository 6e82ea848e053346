# SPDX-License-Identifier: Apache-2.0
"""Passkeys: what the browser is asked, and how its answer is judged (WebAuthn Level 3 sections 7.1 and 7.2).

The signature, the challenge, the exact origin, the relying party, presence and verification of the user are checked by
`webauthn`. Added here, since that library leaves it to its caller: user verification is always demanded, answers that
come through a frame of another origin are refused, and a signature counter is handed back to be compared.

Pure: bytes in, values out.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from webauthn import (
    generate_authentication_options,
    generate_registration_options,
    options_to_json,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.helpers import (
    base64url_to_bytes,
    parse_attestation_object,
    parse_authentication_credential_json,
    parse_authenticator_data,
)
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    AuthenticatorTransport,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from salus.kernel.errors import Kind, Problem

CHALLENGE_BYTES = 32
CHALLENGE_MS = 5 * 60 * 1000
_TRANSPORTS = {each.value for each in AuthenticatorTransport}
_LONGEST_ID = 1023  # WebAuthn section 4, "Credential ID"
_LONGEST_ANSWER = 64 * 1024


@dataclass(frozen=True, slots=True)
class Party:
    """The server as browsers know it: the relying party.

    Attributes:
        id: host name, which credentials belong to.
        origin: scheme, host and port, exactly as browsers write them.
    """

    id: str
    origin: str

    @property
    def possible(self) -> bool:
        """Whether browsers make passkeys for this host: it has to have a name."""
        try:
            ipaddress.ip_address(self.id)
        except ValueError:
            return bool(self.id)
        return False


def party_of(base_url: str) -> Party:
    """The relying party of a server's address."""
    split = urlsplit(base_url.lower())
    port = "" if split.port in {None, 443} else f":{split.port}"
    host = split.hostname or ""
    return Party(host, f"{split.scheme}://{f'[{host}]' if ':' in host else host}{port}")


@dataclass(frozen=True, slots=True)
class Made:
    """A passkey that was just made.

    Attributes:
        credential: its id.
        public_key: COSE key.
        counter: uses so far, as its device counts; many never count.
        aaguid: model of the device, as the device says.
        transports: how it is reached.
        synced: the BE flag: its key may be copied to other devices of the person.
        backed_up: the BS flag: it has been.
    """

    credential: bytes
    public_key: bytes
    counter: int
    aaguid: str
    transports: tuple[str, ...]
    synced: bool
    backed_up: bool


@dataclass(frozen=True, slots=True)
class Shown:
    """A passkey that was just used, its signature found right.

    Attributes:
        counter: uses so far, as its device counts.
        synced, backed_up: as in `Made`.
    """

    counter: int
    synced: bool
    backed_up: bool


def creation_options(
    party: Party,
    challenge: bytes,
    *,
    user: bytes,
    name: str,
    display: str,
    have: Iterable[tuple[bytes, tuple[str, ...]]],
) -> dict[str, Any]:
    """What `navigator.credentials.create()` is given, as JSON values (`parseCreationOptionsFromJSON`).

    Args:
        user: opaque handle of the account, which names nobody.
        name, display: shown by the device.
        have: credential ids and transports of passkeys there are already.
    """
    options = generate_registration_options(
        rp_id=party.id,
        rp_name="Salus",
        user_id=user,
        user_name=name,
        user_display_name=display,
        challenge=challenge,
        timeout=CHALLENGE_MS,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED,
            require_resident_key=True,
            user_verification=UserVerificationRequirement.REQUIRED,
        ),
        exclude_credentials=_described(have),
    )
    return dict(json.loads(options_to_json(options)))


def request_options(
    party: Party, challenge: bytes, allow: Iterable[tuple[bytes, tuple[str, ...]]] = ()
) -> dict[str, Any]:
    """What `navigator.credentials.get()` is given; without `allow` the device says whose passkey it is."""
    options = generate_authentication_options(
        rp_id=party.id,
        challenge=challenge,
        timeout=CHALLENGE_MS,
        allow_credentials=_described(allow),
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    return dict(json.loads(options_to_json(options)))


def judge_creation(party: Party, challenge: bytes, answer: dict[str, Any]) -> Made:
    """Judge what a browser made.

    Args:
        answer: `PublicKeyCredential.toJSON()`.

    Raises:
        Problem: UNAUTHENTICATED for whatever is wrong with it; `detail` says what, for the audit log.
    """
    _same_origin(answer)
    try:
        done = verify_registration_response(
            credential=answer,
            expected_challenge=challenge,
            expected_rp_id=party.id,
            expected_origin=party.origin,
            require_user_verification=True,
        )
        flags = parse_attestation_object(done.attestation_object).auth_data.flags
    except Exception:  # noqa: BLE001  whatever a stranger's bytes do to the parsers, they are refused
        raise refused("passkey not made as asked") from None
    if len(done.credential_id) > _LONGEST_ID:
        raise refused("credential id too long")
    sent = answer["response"].get("transports")
    transports = tuple(t for t in sent if isinstance(t, str) and t in _TRANSPORTS) if isinstance(sent, list) else ()
    return Made(
        done.credential_id,
        done.credential_public_key,
        done.sign_count,
        done.aaguid,
        tuple(dict.fromkeys(transports)),
        flags.be,
        flags.bs,
    )


def credential_of(answer: dict[str, Any]) -> tuple[bytes, bytes | None]:
    """The credential id and the account's handle that an answer names; nothing of it is proved yet.

    Raises:
        Problem: UNAUTHENTICATED when it cannot be read.
    """
    try:
        parsed = parse_authentication_credential_json(answer)
    except Exception:  # noqa: BLE001  as above
        raise refused("passkey answer not readable") from None
    return parsed.raw_id, parsed.response.user_handle


def judge_use(party: Party, challenge: bytes, answer: dict[str, Any], public_key: bytes) -> Shown:
    """Judge a signature; the caller compares the counter.

    Raises:
        Problem: UNAUTHENTICATED for whatever is wrong with it; `detail` says what, for the audit log.
    """
    _same_origin(answer)
    try:
        done = verify_authentication_response(
            credential=answer,
            expected_challenge=challenge,
            expected_rp_id=party.id,
            expected_origin=party.origin,
            credential_public_key=public_key,
            credential_current_sign_count=0,
            require_user_verification=True,
        )
        flags = parse_authenticator_data(base64url_to_bytes(answer["response"]["authenticatorData"])).flags
    except Exception:  # noqa: BLE001  as above
        raise refused("passkey not used as asked") from None
    return Shown(done.new_sign_count, flags.be, flags.bs)


def refused(why: str) -> Problem:
    """One answer for everything that can be wrong with a passkey."""
    return Problem(Kind.UNAUTHENTICATED, "This passkey was not accepted.", why)


def read_answer(text: str) -> dict[str, Any]:
    """Read the JSON of a browser's answer from a form field.

    Raises:
        Problem: UNAUTHENTICATED when it is none.
    """
    try:
        answer = json.loads(text) if len(text) <= _LONGEST_ANSWER else None
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        raise refused("passkey answer not readable")
    return answer


def _same_origin(answer: dict[str, Any]) -> None:
    """Refuse what was made inside a frame of somebody else's page (WebAuthn section 13.4.9)."""
    try:
        told = json.loads(base64url_to_bytes(answer["response"]["clientDataJSON"]))
        foreign = told.get("crossOrigin", False) is not False or "topOrigin" in told
    except Exception:  # noqa: BLE001  as above
        raise refused("passkey answer not readable") from None
    if foreign:
        raise refused("passkey used across origins")


def _described(passkeys: Iterable[tuple[bytes, tuple[str, ...]]]) -> list[PublicKeyCredentialDescriptor]:
    return [
        PublicKeyCredentialDescriptor(
            id=credential, transports=[AuthenticatorTransport(transport) for transport in transports] or None
        )
        for credential, transports in passkeys
    ]
