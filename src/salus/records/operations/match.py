# SPDX-License-Identifier: Apache-2.0
"""`Patient/$match`: is this person known here?  https://hl7.org/fhir/R4/patient-operation-match.html

Candidates come from the blind index, by several narrow questions (blocks), so that a mistake in one field does not
hide a person whom another field finds. Each is opened and compared; the score and its reasons are in
`salus.fhir.matching.judge`. Only whom the actor may match is ever a candidate: that needs `record:match`, which the
default policy gives to those who register and treat, and not to patients.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from itertools import islice
from typing import Any

from salus.access.permissions import Permission
from salus.access.permit import Permit
from salus.audit.event import Entity
from salus.fhir import bundle, json
from salus.fhir.bundle import Link
from salus.fhir.matching.judge import Verdict, judge
from salus.fhir.matching.words import letters
from salus.fhir.operations.definition import Definition, Parameter
from salus.fhir.outcome import information
from salus.kernel.errors import Kind, Problem
from salus.records.candidates import Hit, hits
from salus.records.context import Context
from salus.records.finding import plan_of, read_query
from salus.records.operations.operation import Invocation, Operation, Result
from salus.records.ration import Ration
from salus.records.store.store import entities
from salus.records.unhurried import unhurried

MOST_CANDIDATES = 500
"""Candidates of one block; a block that finds more says too little about anybody."""
MOST_BLOCKS = 64
"""Questions to the index; nobody has as many names and numbers that each make sense."""
MOST_GIVEN = 50
_USUAL = 10
_PREFIX = 4  # letters of a family name in the widest block
_GRADE = "http://hl7.org/fhir/StructureDefinition/match-grade"
_MAY = Permission.RECORD_MATCH

Block = list[tuple[str, str]]


async def match(call: Invocation) -> Result:
    """Find, compare, and give the best with their reasons."""
    ctx, arguments = call.ctx, call.arguments
    permit = ctx.decide(_MAY, "Patient")
    asked = arguments.one("resource")
    if not _enough(asked):
        text = "Give an identifier with its system, or a name with a birth date, a telecom or an address."
        raise arguments.wrong("resource", text, "incomplete")
    most = min(arguments.one("count") or _USUAL, MOST_GIVEN)
    least = {"certain"} if arguments.flag("onlyCertainMatches") else {"certain", "probable", "possible"}
    blocks = list(islice(_blocks(asked), MOST_BLOCKS + 1))
    if len(blocks) > MOST_BLOCKS:
        text = "The description names too much to look for; leave out names, numbers or addresses that say the same."
        raise arguments.wrong("resource", text, "too-costly")
    judged = await unhurried(ctx, lambda ctx: _judged(ctx, permit, asked, blocks))
    found = [(hit, verdict) for hit, verdict in judged if verdict.grade in least]
    found.sort(key=lambda pair: (-pair[1].score, -pair[0].row.seq))
    found = found[:most]
    touched: list[Entity] = []
    for hit, _ in found:
        touched += entities(hit.row.owners, hit.row.type, hit.version.id, hit.version.version, "R")
    await call.note(tuple(touched), permit.reason)
    return Result(_bundle(ctx, call, found))


def _enough(asked: dict[str, Any]) -> bool:
    """Whether the description is about one person; else the answer would be a list of patients."""
    numbers = any("value" in each and "system" in each for each in asked.get("identifier", ()))
    named = any("family" in name or name.get("given") for name in asked.get("name", ()))
    return numbers or (named and any(asked.get(field) for field in ("birthDate", "telecom", "address")))


# ── candidates ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _judged(ctx: Context, permit: Permit, asked: dict[str, Any], blocks: list[Block]) -> list[tuple[Hit, Verdict]]:
    ctx.ration = Ration(ctx.services.limits.search_candidates)  # one for all blocks
    with ctx.store.reader.snapshot():
        return [(hit, judge(asked, json.decode(hit.version.body))) for hit in _candidates(ctx, permit, blocks)]


def _candidates(ctx: Context, permit: Permit, blocks: list[Block]) -> Iterator[Hit]:
    """Each record once that a block finds. A block over an element that the permit hides is left out."""
    seen: set[bytes] = set()
    for block in blocks:
        try:
            query = read_query(ctx, permit, block)
        except Problem as problem:
            if problem.kind not in {Kind.FORBIDDEN, Kind.INCORRECT}:
                raise
            continue
        found = hits(ctx, permit, plan_of(ctx, permit, query), expected=16, without=seen)
        for hit in islice(found, MOST_CANDIDATES):
            seen.add(hit.row.rid)
            yield hit


def _blocks(asked: dict[str, Any]) -> Iterator[Block]:
    """The questions, from the narrowest to the widest."""
    for each in asked.get("identifier", ()):
        if "system" in each and "value" in each:
            yield [("identifier", f"{_escaped(each['system'])}|{_escaped(each['value'])}")]
    for each in asked.get("telecom", ()):
        if "value" in each:
            yield [("telecom", _escaped(each["value"]))]
    born = asked.get("birthDate", "")
    families = [letters(name["family"]) for name in asked.get("name", ()) if name.get("family")]
    givens = [letters(name["given"][0]) for name in asked.get("name", ()) if name.get("given") and name["given"][0]]
    if len(born) == 10:
        yield [("birthdate", born)]
        swapped = f"{born[:4]}-{born[8:]}-{born[5:7]}"
        if swapped != born and swapped[5:7] <= "12":
            yield [("birthdate", swapped)]
    for family in families:
        for given in givens:
            yield [("family", _escaped(family[:_PREFIX])), ("given", _escaped(given[:_PREFIX]))]
        if born:
            yield [("family", _escaped(family[:_PREFIX])), ("birthdate", born[:4])]
    for given in givens:
        if len(born) >= 7:
            yield [("given", _escaped(given)), ("birthdate", born[:7])]


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace(",", "\\,").replace("|", "\\|").replace("$", "\\$")


# ── the answer ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _bundle(ctx: Context, call: Invocation, found: list[tuple[Hit, Verdict]]) -> bytes:
    """A searchset with score and grade, and an OperationOutcome that says what spoke for each."""
    entries = []
    for hit, verdict in found:
        search = {
            "extension": [{"url": _GRADE, "valueCode": verdict.grade}],
            "mode": "match",
            "score": Decimal(f"{verdict.score:.4f}"),
        }
        entries.append((f"{ctx.base}/Patient/{hit.version.id}", hit.version.body, search))
    notes = None
    if found:
        notes = information(found[0][1].words)
        notes["issue"] = [
            {**information(verdict.words)["issue"][0], "expression": [f"Bundle.entry[{number}]"]}
            for number, (_, verdict) in enumerate(found)
        ]
    return bundle.matches(entries, [Link("self", f"{ctx.base}/{call.address}")], len(found), notes)


MATCH = Operation(
    Definition(
        code="match",
        title="Who is this patient",
        doc="Compares the described patient with those that you may match, and gives the best with a score, a grade "
        "and the reasons. Needs an identifier with its system, or a name with a birth date, a telecom or an address.",
        levels=("type",),
        types=("Patient",),
        inputs=(
            Parameter("resource", "Patient", "Whom to look for, as far as is known.", min=1),
            Parameter("onlyCertainMatches", "boolean", "Give certain matches only."),
            Parameter(
                "count", "positiveInt", f"How many at most; {_USUAL} when left out, never more than {MOST_GIVEN}."
            ),
        ),
        outputs=(
            Parameter("return", "Bundle", "A searchset, best first, with an OperationOutcome of reasons.", min=1),
        ),
        standard="Patient-match",
    ),
    _MAY,
    match,
)
