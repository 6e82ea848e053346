# SPDX-License-Identifier: Apache-2.0
"""The patients that are imported, and what can be asked of them afterwards.

Real Synthea bundles when their archive is there, else bundles of the synthetic clinic that Salus makes itself.
"""

from __future__ import annotations

import json
import random
import re
import tarfile
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

JSON = dict[str, Any]

ARCHIVE = Path(__file__).parents[2] / "shared" / "data" / "synthea-r4-bundles.tar.xz"
PAGE = 15
_SYNTHETIC_PATIENTS = 40
_TODAY = date(2026, 1, 1)
_FINANCIAL = {"Claim", "ExplanationOfBenefit"}  # the physician who reads may not see these
_REFERENCE = re.compile(r'"reference": "([A-Z][A-Za-z]+/[^"]+)"')


@dataclass(frozen=True, slots=True)
class Corpus:
    """Transaction Bundles as bytes, ready to be posted as often as wanted."""

    name: str
    bundles: tuple[bytes, ...]


def corpus(path: Path | None) -> Corpus:
    """Bundles from an archive, or invented ones when there is none.

    Args:
        path: a tar archive of JSON Bundles; None for the usual place.
    """
    archive = path or ARCHIVE
    if path is not None or archive.exists():
        with tarfile.open(archive) as tar:
            files = sorted((m for m in tar.getmembers() if m.name.endswith(".json")), key=lambda m: m.name)
            return Corpus(archive.name, tuple(_bytes(tar, member) for member in files))
    return Corpus("salus.synthetic", tuple(_synthetic()))


def _bytes(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member)
    assert file is not None
    return file.read()


def _synthetic() -> Iterator[bytes]:
    """One transaction per invented patient, references turned into urn:uuid so that each posting makes new records."""
    from salus.synthetic.clinic import clinic
    from salus.synthetic.generate import population

    staff = [{"resource": r, "request": _request("PUT", f"{r['resourceType']}/{r['id']}")} for r in clinic(1, _TODAY)]
    yield _bundle(staff).encode()
    for chart in population(1, _SYNTHETIC_PATIENTS, _TODAY):
        resources = list(chart)
        urns = {f"{r['resourceType']}/{r['id']}": f"urn:uuid:{uuid.uuid4()}" for r in resources}
        entries = [
            {
                "fullUrl": urns[f"{r['resourceType']}/{r['id']}"],
                "resource": r,
                "request": _request("POST", r["resourceType"]),
            }
            for r in resources
        ]
        text = _bundle(entries)
        yield _REFERENCE.sub(lambda m, urns=urns: f'"reference": "{urns.get(m[1], m[1])}"', text).encode()


def _request(method: str, url: str) -> JSON:
    return {"method": method, "url": url}


def _bundle(entries: list[JSON]) -> str:
    return json.dumps({"resourceType": "Bundle", "type": "transaction", "entry": entries}, default=_number)


def _number(value: Any) -> float:
    return float(value)  # decimals of the generator; a benchmark may lose their last zero


# ── what was stored ──────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Seen:
    """An Observation as brute force looks at it: moments in milliseconds since the epoch."""

    id: str
    subject: str
    codes: frozenset[tuple[str, str]]
    day: str
    until: float


@dataclass(slots=True)
class Stored:
    """Everything that the server acknowledged.

    Attributes:
        places: `Type/id` of every record.
        observations: those with a subject, a code and a date.
        templates: Observations to create more of, with their references as they were stored.
    """

    places: list[str]
    observations: list[Seen]
    templates: list[bytes]

    def readable(self) -> list[str]:
        """Records that a physician may read."""
        return [place for place in self.places if place.partition("/")[0] not in _FINANCIAL]


def stored(pairs: Sequence[tuple[bytes, bytes]]) -> Stored:
    """Lay requests and answers side by side: (Bundle, response Bundle) for each posting."""
    found = Stored([], [], [])
    parsed: dict[int, JSON] = {}
    for sent, answer in pairs:
        bundle = parsed.get(id(sent)) or parsed.setdefault(id(sent), json.loads(sent))
        entries = bundle["entry"]
        places = [entry["response"]["location"].split("/_history")[0] for entry in json.loads(answer)["entry"]]
        found.places += places
        known = {entry.get("fullUrl", ""): place for entry, place in zip(entries, places, strict=True)}
        for entry, place in zip(entries, places, strict=True):
            resource = entry["resource"]
            if resource["resourceType"] == "Observation":
                _observe(found, resource, place, known)
    return found


def _observe(found: Stored, resource: JSON, place: str, known: dict[str, str]) -> None:
    subject = resource.get("subject", {}).get("reference", "")
    when = resource.get("effectiveDateTime", "")
    codes = frozenset((c["system"], c["code"]) for c in resource["code"].get("coding", ()) if "system" in c)
    if not subject or not codes or len(when) < len("2020-01-01"):
        return
    moment = datetime.fromisoformat(when)
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    length = timedelta(days=1) if len(when) == len("2020-01-01") else timedelta(seconds=1)
    subject = known.get(subject, subject)
    until = (moment + length).timestamp() * 1000
    day = moment.astimezone(UTC).date().isoformat()
    found.observations.append(Seen(place.partition("/")[2], subject, codes, day, until))
    if len(found.templates) < 2_000:
        text = json.dumps({**resource, "id": "new"})
        for urn, target in known.items():
            if urn in text:
                text = text.replace(f'"{urn}"', f'"{target}"')
        found.templates.append(text.encode())


# ── searches ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Question:
    """A search for Observations; empty parts are not asked."""

    subject: str
    code: tuple[str, str]
    since: str

    def path(self, count: int = PAGE) -> str:
        """The address below the server, for a page of `count`."""
        pairs = []
        if self.subject:
            pairs.append(("subject", self.subject))
        if self.code[1]:
            pairs.append(("code", "|".join(self.code)))
        if self.since:
            pairs.append(("date", f"ge{self.since}"))
        return f"/fhir/Observation?{urlencode([*pairs, ('_count', str(count))])}"

    def brute_force(self, everything: Sequence[Seen]) -> set[str]:
        """Ids that match, found by looking at every Observation."""
        start = datetime.fromisoformat(self.since).replace(tzinfo=UTC).timestamp() * 1000 if self.since else 0.0
        return {
            seen.id
            for seen in everything
            if (not self.subject or seen.subject == self.subject)
            and (not self.code[1] or self.code in seen.codes)
            and (not self.since or seen.until > start)
        }


def questions(observations: Sequence[Seen], number: int, seed: int) -> list[Question]:
    """One third each: subject and code, subject and date, code and date; taken from records that are there."""
    pick = random.Random(seed)
    asked: list[Question] = []
    for seen in pick.choices(observations, k=number // 3):
        code = sorted(seen.codes)[0]
        asked += [
            Question(seen.subject, code, ""),
            Question(seen.subject, ("", ""), seen.day),
            Question("", code, seen.day),
        ]
    return asked
