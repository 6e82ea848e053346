# SPDX-License-Identifier: Apache-2.0
"""What a write answers: in a Bundle entry, and in words (https://hl7.org/fhir/R4/http.html#transaction-response).

`Prefer: return` of the request says whether an answer shows the record, an OperationOutcome, or neither
(https://hl7.org/fhir/R4/http.html#ops); Bundles show neither unless asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from salus.fhir.outcome import information
from salus.kernel.clock import instant
from salus.records.store.store import Version

_WORDS = {"POST": "created", "PUT": "updated", "PATCH": "patched"}


@dataclass(slots=True)
class Answer:
    """One entry of the response.

    Attributes:
        body: the resource as JSON that a read or search gives.
        version: what a write left, shown or told of if it is asked for.
        deleted: how many records a deletion deleted, None for other writes.
        outcome: why the entry failed.
    """

    status: str
    location: str = ""
    etag: str = ""
    updated: int = 0
    body: bytes = b""
    version: Version | None = None
    deleted: int | None = None
    outcome: dict[str, Any] | None = None

    def response(self, returns: str = "") -> dict[str, Any]:
        """The entry without its resource.

        Args:
            returns: `return` of the request's `Prefer`.
        """
        response: dict[str, Any] = {"status": self.status}
        if self.location:
            response["location"] = self.location
        if self.etag:
            response["etag"] = self.etag
        if self.updated:
            response["lastModified"] = instant(self.updated)
        outcome = self.outcome or (self._told() if returns == "OperationOutcome" else None)
        if outcome is not None:
            response["outcome"] = outcome
        return {"response": response}

    def _told(self) -> dict[str, Any] | None:
        if self.version is not None:
            return told(self.version, made=self.status.startswith("201"))
        return None if self.deleted is None else told_deleted(self.deleted)


def answer_made(version: Version, new: bool) -> Answer:
    """The record was made or changed."""
    return Answer(
        "201 Created" if new else "200 OK",
        f"{version.type}/{version.id}/_history/{version.version}",
        f'W/"{version.version}"',
        version.updated,
        version=version,
    )


def answer_found(version: Version) -> Answer:
    """A conditional create found the record there."""
    return answer_made(version, new=False)


def answer_deleted(count: int) -> Answer:
    """Records were deleted, or there was nothing left to delete."""
    return Answer("204 No Content", deleted=count)


def results(entries: Sequence[Answer], returns: str = "") -> Iterator[tuple[dict[str, Any], bytes]]:
    """Answers in the form that `salus.fhir.bundle.responses` writes."""
    for answer in entries:
        shown = answer.body
        if not shown and returns == "representation" and answer.version is not None:
            shown = answer.version.body
        yield answer.response(returns), shown


def told(version: Version, *, made: bool) -> dict[str, Any]:
    """OperationOutcome about a write that succeeded."""
    verb = "created" if made else _WORDS.get(version.method, "kept") if version.method != "POST" else "found"
    return information(f"The record was {verb}; its version is {version.version}.")


def told_deleted(count: int) -> dict[str, Any]:
    """OperationOutcome about a deletion."""
    words = "One record was deleted." if count == 1 else f"{count} records were deleted."
    return information(words if count else "There was nothing to delete.", code="deleted" if count else "informational")
