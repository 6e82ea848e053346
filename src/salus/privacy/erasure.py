# SPDX-License-Identifier: Apache-2.0
"""The life of an erasure: asked for by one account, approved by another, carried out, kept as a receipt.

Pure rules; `desk` keeps what they give. Legal hold and retention come in through `Hold`: whatever a hold says stands
against every step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from salus.kernel.errors import Kind, Problem

Hold = Callable[[str, str], Iterable[str]]
"""Asked with tenant and patient id: the reasons why this patient must not be erased (now); none when nothing does."""

_DAY_MS = 24 * 3600 * 1000
VALID_DAYS = 30
"""How long an approval may wait for its execution."""


class Erasure(msgspec.Struct, frozen=True):
    """One erasure, as it is kept under seal.

    Attributes:
        id: names it in the log and on the receipt.
        patient: id of the Patient; empty when the erasure is complete.
        reason: why, in the words of whoever asked.
        requested_by, requested_ms: account and time.
        approved_by, approved_ms: the second account; empty until then.
        records: how many records of each type were taken away; empty until then.
        receipt: the signed receipt; empty until the erasure is complete.
    """

    id: str
    patient: str
    reason: str
    requested_by: str
    requested_ms: int
    approved_by: str = ""
    approved_ms: int = 0
    records: dict[str, int] = {}
    receipt: str = ""


def approve(erasure: Erasure, account: str, now_ms: int) -> Erasure:
    """Add the second person's approval.

    Raises:
        Problem: FORBIDDEN for the account that asked; CONFLICT when it is approved already.
    """
    if account == erasure.requested_by:
        raise Problem(Kind.FORBIDDEN, "Whoever asks for an erasure does not approve it.", "same account")
    if erasure.approved_by and not expired(erasure, now_ms):
        raise Problem(Kind.CONFLICT, "This erasure is approved already.")
    return msgspec.structs.replace(erasure, approved_by=account, approved_ms=now_ms)


def check_approved(erasure: Erasure | None, now_ms: int) -> Erasure:
    """Let only an approved erasure through, or one that is under way.

    Raises:
        Problem: FORBIDDEN, with what is missing.
    """
    if erasure is None:
        raise Problem(Kind.FORBIDDEN, "Nobody has asked for this erasure. See: salus erase request")
    if not erasure.approved_by:
        raise Problem(Kind.FORBIDDEN, "A second person has to approve this erasure. See: salus erase approve")
    if not erasure.records and expired(erasure, now_ms):
        raise Problem(Kind.FORBIDDEN, f"The approval is older than {VALID_DAYS} days; it has to be given again.")
    return erasure


def expired(erasure: Erasure, now_ms: int) -> bool:
    """Whether an approval has waited for too long."""
    return now_ms - erasure.approved_ms > VALID_DAYS * _DAY_MS


def check_holds(holds: Iterable[Hold], tenant: str, patient: str) -> None:
    """Ask every hold.

    Raises:
        Problem: CONFLICT with all reasons.
    """
    reasons = [reason for hold in holds for reason in hold(tenant, patient)]
    if reasons:
        raise Problem(Kind.CONFLICT, f"This patient must not be erased: {'; '.join(reasons)}.")
