# SPDX-License-Identifier: Apache-2.0
"""What each stage of a request costs inside one process, in microseconds of CPU; no HTTP, no TLS.

`python -m bench.micro [ARCHIVE]`. Stages are measured alone on a sample of the corpus; interactions are whole
coroutines over a real house, 32 at a time, and include the writer's thread and the group commit.
"""

from __future__ import annotations

import asyncio
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from bench.corpus import Stored, corpus, questions, stored
from bench.credentials import credentials
from bench.load import CONNECTIONS
from bench.serving import make_folder
from bench.stages import stage, tell
from bench.variants import VARIANTS, house_of
from salus.access.facts import Facts
from salus.access.permissions import Permission
from salus.app.house import House
from salus.audit.event import EventType
from salus.crypto.padding import pad
from salus.fhir import bundle as bundles
from salus.fhir import json as fhir_json
from salus.fhir.search import words
from salus.fhir.search.parameters import unindexed
from salus.fhir.validate import check
from salus.fhir.validate.constraints import breaks
from salus.kernel.ids import uuid7
from salus.kernel.settings import load
from salus.records.context import Context
from salus.records.facts import facts
from salus.records.finding import plan_of, read_query
from salus.records.interactions.answer import results
from salus.records.interactions.create import create
from salus.records.interactions.entry import entries_of
from salus.records.interactions.read import read
from salus.records.interactions.search import search
from salus.records.interactions.transaction import transaction
from salus.records.lens import lens
from salus.records.store import codec
from salus.records.store.store import entities

JSON = dict[str, Any]
_SAMPLE = 2_000
_BUNDLES = 20
_SEED = 20260101


async def interactions(
    name: str, work: Callable[[Any], Awaitable[object]], inputs: Sequence[Any], share: float = 1
) -> None:
    """Print the CPU time of the process for one interaction, many of them under way at once.

    Args:
        share: how many things one interaction does, to tell the cost of one.
    """
    for number in range(2):  # the first round warms up
        todo = iter(inputs)

        async def work_off(todo: Any = todo) -> None:
            for value in todo:
                await work(value)

        began = time.process_time()
        await asyncio.gather(*(work_off() for _ in range(CONNECTIONS)))
        used = time.process_time() - began
        if number == 1:
            tell(name, used / len(inputs) / share)


# ── stages ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def stages(house: House, ctx: Context, raws: list[bytes]) -> None:
    """Measure every stage between bytes and row, and back."""
    keys = house.keyring.tenant("default")
    view = lens(ctx.base)
    resources = [fhir_json.decode(raw) for raw in raws]
    own_key = keys.record_key(None, "Observation", create=True)

    def facts_of(resource: JSON) -> Facts:
        return facts(resource, keys.surrogate, view.compartment, view.bases)

    def tokens_of(pair: tuple[str, list[Any]]) -> str:
        return " ".join(keys.index().tokens(pair[0], pair[1], unindexed(pair[0])))

    def words_of(resource: JSON) -> set[str]:
        return keys.index().words(resource["resourceType"], "_content", *words.content(resource), words.split)

    rows = [(resource["resourceType"], view.extractor.rows(resource)) for resource in resources]
    judged = [facts_of(resource) for resource in resources]
    plains = [fhir_json.encode(resource) for resource in resources]
    packed = [codec._mine.compress(plain) for plain in plains]
    bound = codec.context("default", bytes(16), "Observation", 1, 0, (bytes(16), b"", b"", b"", 0))
    sealed = [own_key.seal(codec.packed(plain), bound) for plain in plains]
    size = statistics.fmean(map(len, plains))
    count = statistics.fmean(len(tokens_of(pair).split()) for pair in rows)
    print(f"stages, CPU us for one of {len(raws)} resources of {size:.0f} bytes, {count:.0f} tokens")
    stage("decode", fhir_json.decode, raws)
    stage("validate", check, resources)
    stage("of this, constraints by FHIRPath", breaks, resources)
    stage("facts", facts_of, resources)
    stage("extract", view.extractor.rows, resources)
    stage("tokens", tokens_of, rows)
    stage("words", words_of, resources)
    stage("encode", fhir_json.encode, resources)
    stage("compress", codec._mine.compress, plains)
    stage("pad", pad, packed)
    stage("seal", lambda plain: own_key.seal(plain, bound), packed)
    two = bytes(2048)
    two_sealed = own_key.seal(two, bound)
    stage("seal 2 KB", lambda _: own_key.seal(two, bound), raws)
    stage("open 2 KB", lambda _: own_key.open(two_sealed, bound), raws)
    stage("keys of the tenant, leased", lambda _: house.keyring.tenant("default"), raws)
    stage("open, decompress", lambda body: codec.open_body(own_key, body, bound), sealed)
    stage("uuid7", lambda _: uuid7(), raws)
    stage("surrogate", lambda _: keys.surrogate("record", "Observation/x"), raws)
    stage("decide", lambda _: ctx.decide(Permission.RECORD_READ, "Observation"), raws)
    permit = ctx.decide(Permission.RECORD_READ, "Observation")
    stage("permit on one record", permit.allows, judged)
    owner = next(one.owners for one in judged if len(one.owners) == len(bytes(16)))
    touched = entities(owner, "Observation", "x" * 36, 1, "R")
    event = ctx.event(EventType.RECORD_READ, reason=permit.reason, entities=touched)
    stage("audit entry, one record", lambda _: house.audit.entry(event), raws)


def finding(house: House, ctx: Context, kept: Stored) -> None:
    """Measure the parts of a search and of a read below the interaction."""
    permit = ctx.decide(Permission.RECORD_SEARCH, "Observation")
    asked = [parse_qsl(q.path().partition("?")[2]) for q in questions(kept.observations, 300, _SEED)]
    queries = [read_query(ctx, permit, pairs) for pairs in asked]
    plans = [plan_of(ctx, permit, query) for query in queries]
    reader = ctx.store.reader

    def candidates(how: Any) -> list[Any]:
        found = reader.candidates(permit, how.expression, updated=how.updated, batch=16)
        return list(islice(found, 16))

    def opened(rows: list[Any]) -> None:
        for row in rows:
            ctx.store.open(permit, row)

    found = [candidates(how) for how in plans]
    rows = [row for page in found for row in page]
    terms = statistics.fmean(how.expression.count(" OR ") + how.expression.count(" AND ") + 1 for how in plans)
    print(f"parts of a search, CPU us; {terms:.0f} terms and {len(rows) / len(plans):.1f} candidates on average")
    stage("parse", lambda pairs: read_query(ctx, permit, pairs), asked)
    stage("plan", lambda query: plan_of(ctx, permit, query), queries)
    names = ("subject, code", "subject, date", "code, date")
    for at, name in enumerate(names):
        stage(f"candidates: {name}", candidates, plans[at::3])
    stage("open the candidates", opened, found)
    view = lens(ctx.base)
    contents = [fhir_json.decode(ctx.store.open(permit, row).body) for row in rows[:_SAMPLE]]
    bodies = [fhir_json.encode(content) for content in contents]
    stage("judge one: decode", fhir_json.decode, bodies)
    stage("judge one: extract", view.extractor.rows, contents)
    reading = ctx.decide(Permission.RECORD_READ, "Observation")
    stage("find one row by id", lambda seen: ctx.store.newest(reading, seen.id), kept.observations[:_SAMPLE])


# ── interactions ─────────────────────────────────────────────────────────────────────────────────────────────────────


async def whole(house: House, tokens: dict[str, str], sent: list[bytes]) -> None:
    """Import, then everything else over what was imported."""
    service = Context(house.services, house.tokens.lookup("default", tokens["service"]), "bench")
    doctor = Context(house.services, house.tokens.lookup("default", tokens["physician"]), "bench")
    answers: list[tuple[bytes, bytes]] = []

    async def carry_out(raw: bytes) -> None:
        made = await transaction(service, lambda: entries_of(fhir_json.decode(raw), 10_000))
        answers.append((raw, bundles.responses("transaction-response", results(made))))

    print("interactions, CPU us of the whole process")
    entries = statistics.fmean(len(json.loads(raw)["entry"]) for raw in sent)
    await interactions("import, for one resource", carry_out, sent, entries)
    kept = stored(answers)
    pick = random.Random(_SEED)
    places = [pick.choice(kept.readable()).split("/") for _ in range(_SAMPLE)]
    templates = kept.templates[:_SAMPLE]
    asked = [parse_qsl(q.path().partition("?")[2]) for q in questions(kept.observations, 600, _SEED)]
    await interactions("create", lambda raw: create(service, "Observation", fhir_json.decode(raw)), templates)
    await interactions("read", lambda place: read(doctor, place[0], place[1]), places)
    names = ("subject, code", "subject, date", "code, date")
    for at, name in enumerate(names):
        await interactions(f"search: {name}", lambda pairs: search(doctor, "Observation", pairs), asked[at::3])
    finding(house, doctor, kept)


def main(archive: Path | None) -> None:
    """Measure everything in a folder that is thrown away."""
    sent = list(corpus(archive).bundles)[:_BUNDLES]
    pick = random.Random(_SEED)
    pool = [entry["resource"] for raw in sent for entry in json.loads(raw)["entry"]]
    raws = [json.dumps(resource).encode() for resource in pick.sample(pool, min(_SAMPLE, len(pool)))]
    with tempfile.TemporaryDirectory(prefix="salus-micro-") as temporary:
        folder = Path(temporary) / "data"
        tokens = make_folder(folder, VARIANTS["everything"], 8443)
        house = house_of(VARIANTS["everything"], load(folder))
        try:
            actor = house.tokens.lookup("default", tokens["service"])
            stages(house, Context(house.services, actor, "bench"), raws)
            credentials(house, stage)
            asyncio.run(whole(house, tokens, sent))
        finally:
            house.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
