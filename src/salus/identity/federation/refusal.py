# SPDX-License-Identifier: Apache-2.0
"""Why a federated sign-in is refused: one answer for the person, one of a closed list of reasons for the log."""

from __future__ import annotations

from enum import StrEnum

from salus.kernel.errors import Kind, Problem


class Reason(StrEnum):
    """What was wrong. Written to the audit log; the person learns none of it."""

    UNKNOWN_PROVIDER = "no such identity provider, or it is disabled"
    STATE = "the answer belongs to no sign-in that waits in this browser"
    MIX_UP = "the answer names another issuer than the one that was asked"
    UPSTREAM = "the identity provider answered with an error"
    NO_CODE = "the answer has no authorization code"
    TOKEN_ANSWER = "the token endpoint did not answer as it should"  # noqa: S105  a reason, not a secret
    NO_ID_TOKEN = "the token endpoint gave no identity token"  # noqa: S105
    FORM = "the token is not a signed JWT of the expected kind"
    ALGORITHM = "the token is signed with an algorithm that is not allowed for this provider"
    KEY = "no key of the provider fits the token"
    SIGNATURE = "the signature of the token does not verify"
    ISSUER = "the token is from another issuer"
    AUDIENCE = "the token is for another audience"
    TIME = "the token is expired, or not from now"
    NONCE = "the token belongs to another sign-in"
    SUBJECT = "the token names nobody"
    ACCESS_TOKEN_HASH = "the access token is not the one that the token names"  # noqa: S105
    STALE = "the provider did not ask the person to sign in anew"
    LOGOUT = "the logout token does not say what a logout token says"
    REPLAYED = "the logout token was used before"
    NO_ACCOUNT = "no account is linked to this person"
    DISABLED = "the account that is linked is disabled"
    LINKED_ALREADY = "this person is linked to another account"
    SESSION = "the session that asked for the link is not there any more, or proved itself too long ago"


def refused(reason: Reason) -> Problem:
    """The refusal to raise: the same words whatever was wrong."""
    return Problem(
        Kind.UNAUTHENTICATED,
        "Signing in with your organisation did not work. Please start again.",
        f"federation: {reason}",
    )


def linked_elsewhere() -> Problem:
    """For the person who links, and for administrators."""
    return Problem(
        Kind.CONFLICT,
        "This person at the identity provider is linked to an account already.",
        f"federation: {Reason.LINKED_ALREADY}",
    )


def away(detail: str) -> Problem:
    """The identity provider cannot be reached, or its published metadata cannot be used."""
    return Problem(
        Kind.UNAVAILABLE,
        "The identity provider of your organisation does not answer.",
        f"federation: {detail}",
        retry_after=30,
    )
