# SPDX-License-Identifier: Apache-2.0
"""The one error type of Salus.

Rooms raise `Problem`; `http` maps its kind to a status and `fhir.outcome` to an OperationOutcome. There is no tree of
exception classes to learn, only this closed list of kinds:

    Problem
    ├─ UNAUTHENTICATED   who are you?                          401
    ├─ FORBIDDEN         you may not                           403
    ├─ NOT_FOUND         absent, or hidden from you (same)     404
    ├─ GONE              was here, is deleted                  410
    ├─ INCORRECT         the request itself is malformed       400
    ├─ INVALID           the content breaks a rule             422
    ├─ CONFLICT          someone else was first                409
    ├─ PRECONDITION      If-Match and friends do not hold      412
    ├─ METHOD            this route does not do that           405
    ├─ FORMAT            this media type is not spoken here    406 / 415
    ├─ TOO_LARGE         larger than a limit                   413
    ├─ TOO_COSTLY        would read more than a limit          400
    ├─ THROTTLED         too many requests                     429
    ├─ UNAVAILABLE       keys, audit or database are away      503
    └─ FAULT             our mistake                           500
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """The closed list of what can go wrong."""

    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not-found"
    GONE = "gone"
    INCORRECT = "incorrect"
    INVALID = "invalid"
    CONFLICT = "conflict"
    PRECONDITION = "precondition"
    METHOD = "method"
    FORMAT = "format"
    TOO_LARGE = "too-large"
    TOO_COSTLY = "too-costly"
    THROTTLED = "throttled"
    UNAVAILABLE = "unavailable"
    FAULT = "fault"


@dataclass(frozen=True, slots=True)
class Issue:
    """One thing that is wrong, and where.

    Attributes:
        code: an IssueType code (https://hl7.org/fhir/R4/valueset-issue-type.html).
        text: words for a person; never patient data.
        place: FHIRPath of the element, `http.<header>` or `query.<parameter>`; empty when the whole request is meant.
    """

    code: str
    text: str
    place: str = ""


class Problem(Exception):  # noqa: N818  it is the field's word (RFC 9457), and not always an error
    """Something that stops a request.

    Args:
        kind: one of the closed list.
        public: for whoever asked; never holds patient data or secrets.
        detail: for the operator's log; redacted before it is written.
        issues: the single places, when several things are wrong; empty means `public` says it all.
        retry_after: seconds until it is worth trying again, for THROTTLED and UNAVAILABLE.
        challenge: what an UNAUTHENTICATED answer asks for beyond a token: parameters of `WWW-Authenticate`, such as
            `error="insufficient_user_authentication", max_age=300` (RFC 9470); a constant of the program, never input.
    """

    def __init__(
        self,
        kind: Kind,
        public: str,
        detail: str = "",
        *,
        issues: tuple[Issue, ...] = (),
        retry_after: int | None = None,
        challenge: str = "",
    ) -> None:
        super().__init__(public)
        self.kind = kind
        self.public = public
        self.detail = detail
        self.issues = issues
        self.retry_after = retry_after
        self.challenge = challenge

    def __repr__(self) -> str:
        return f"Problem({self.kind.value}: {self.public})"
