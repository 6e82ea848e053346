# SPDX-License-Identifier: Apache-2.0
"""From a `Problem` to a status and an OperationOutcome (https://hl7.org/fhir/R4/http.html#Status-Codes)."""

from __future__ import annotations

from salus.fhir import json
from salus.fhir.outcome import outcome
from salus.http.message import Header, Response
from salus.kernel.errors import Kind, Problem

STATUS: dict[Kind, int] = {
    Kind.UNAUTHENTICATED: 401,
    Kind.FORBIDDEN: 403,
    Kind.NOT_FOUND: 404,
    Kind.GONE: 410,
    Kind.INCORRECT: 400,
    Kind.INVALID: 422,
    Kind.CONFLICT: 409,
    Kind.PRECONDITION: 412,
    Kind.METHOD: 405,
    Kind.FORMAT: 415,
    Kind.TOO_LARGE: 413,
    Kind.TOO_COSTLY: 400,
    Kind.THROTTLED: 429,
    Kind.UNAVAILABLE: 503,
    Kind.FAULT: 500,
}

_ASKED_BY_CLIENT = {"http.Accept", "query._format"}  # 406 for what is wanted back, 415 for what was sent


def problem_response(problem: Problem) -> Response:
    """Answer with an OperationOutcome."""
    headers: list[Header] = []
    if problem.kind is Kind.UNAUTHENTICATED:
        headers.append((b"www-authenticate", _challenge(problem).encode("ascii")))
    if problem.retry_after is not None:
        headers.append((b"retry-after", b"%d" % problem.retry_after))
    status = STATUS[problem.kind]
    if problem.kind is Kind.FORMAT and any(issue.place in _ASKED_BY_CLIENT for issue in problem.issues):
        status = 406
    return Response(status, json.encode(outcome(problem)), headers=headers)


def _challenge(problem: Problem) -> str:
    """RFC 6750 section 3; a token that is bound to a key is asked for in its own scheme (RFC 9449 section 7.1)."""
    if problem.challenge.startswith("DPoP "):
        return problem.challenge
    return 'Bearer realm="salus"' + (f", {problem.challenge}" if problem.challenge else "")
