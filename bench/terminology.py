# SPDX-License-Identifier: Apache-2.0
"""How long questions about codes take: over what is shipped, and over a large invented code system in tables.

Usage: `python -m bench.terminology [concepts]` (20,000 without). Prints microseconds of CPU per question, the least of
three rounds, and what the load took.
"""

from __future__ import annotations

import random
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from salus.fhir.terminology.compose import read
from salus.fhir.terminology.protocol import Coding
from salus.fhir.terminology.source import Filter
from salus.fhir.terminology.written import Asked, expand
from salus.knowledge.library import Library
from salus.knowledge.loading.loading import About, loading

URL = "http://example.org/invented"
STATUS = "http://hl7.org/fhir/observation-status"
STATUS_SET = "http://hl7.org/fhir/ValueSet/observation-status"


def invent(size: int) -> tuple[list[str], list[tuple[int, int]]]:
    """Names of four words, and a hierarchy about as deep and as entangled as SNOMED CT's (16 ancestors on average)."""
    words = ["".join(random.choices("abcdefghijklmnop", k=7)) for _ in range(2_000)]
    names = [" ".join(random.choices(words, k=4)) for _ in range(size)]
    parents = [(child, max(0, child // 4 - random.randrange(3))) for child in range(1, size)]
    parents += [(child, child // 5) for child in range(5, size, 2)]
    return names, parents


def load(library: Library, folder: Path, size: int) -> None:
    names, parents = invent(size)
    start = time.perf_counter()
    with loading(library, About(URL, "1", "Invented", True), 1, lambda *_: None) as into:
        into.concepts((str(i), name, "", True, False) for i, name in enumerate(names))
        into.designations((str(i), f"{name} too", "en", "") for i, name in enumerate(names))
        into.properties((str(i), "site", str(i % 997), "code") for i in range(size))
        into.parents((str(child), str(parent)) for child, parent in parents)
        into.finish()
    taken = time.perf_counter() - start
    pairs: Any = library.writable().execute("select count(*) from ancestry").fetchone()
    pages: Any = library.writable().execute("pragma page_count").fetchone()
    megabytes = pages[0] * 4096 / 1e6
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"loaded {size:,} concepts, {pairs[0]:,} pairs of ancestors: {taken:.1f} s, {megabytes:.0f} MB on the disk")
    print(f"largest memory of the process: {memory:.0f} MB, the list of invented names included")


def measured(what: str, ask: Callable[[int], object], times: int) -> None:
    best = min(_round(ask, times) for _ in range(3))
    print(f"{best * 1e6:10.1f}  {what}")


def _round(ask: Callable[[int], object], times: int) -> float:
    start = time.process_time()
    for number in range(times):
        ask(number)
    return (time.process_time() - start) / times


def shipped_questions(library: Library) -> None:
    engine = library.engine()
    coding = Coding(STATUS, "final", "Final")
    measured("validate a code in its system", lambda _: engine.validate_in_system(coding), 20_000)
    measured("validate a code in a value set", lambda _: engine.validate_in_value_set(STATUS_SET, coding), 20_000)
    measured("member of a value set", lambda _: engine.member_of(STATUS_SET, STATUS, "final"), 20_000)
    act = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
    measured("subsumes", lambda _: engine.subsumes(act, "_ActEncounterCode", "AMB"), 5_000)


def loaded_questions(library: Library, size: int) -> None:
    source = library.source(URL)
    assert source is not None
    cold = iter(random.sample(range(size), 3 * 500))
    measured("a concept of the large system for the first time", lambda _: source.find(str(next(cold))), 500)
    measured("the same concept again", lambda _: source.find("77"), 5_000)
    pairs = [(str(random.randrange(size)), str(random.randrange(size // 50))) for _ in range(1_000)]
    measured("is one below the other", lambda n: source.below(*pairs[n]), 1_000)
    is_a = [Filter("concept", "is-a", "0")]
    measured("20 codes below the root", lambda _: _page(source.select(is_a, "")), 100)
    measured("20 codes below the root, half way", lambda _: _page(source.select(is_a, "", size // 2)), 20)
    measured("20 codes with a word that begins so", lambda _: _page(source.select((), "abc")), 100)
    measured("the same below a concept", lambda _: _page(source.select([Filter("concept", "is-a", "3")], "abc")), 100)
    engine = library.engine()
    asked = Asked("urn:uuid:1", "2020-01-01T00:00:00Z", text="abc", count=20)
    whole = {"resourceType": "ValueSet", "status": "active", "compose": {"include": [{"system": URL}]}}
    measured("$expand of it, filtered, with total", lambda _: expand(engine.membership, read(whole), asked), 50)


def _page(found: Iterator[Any]) -> list[Any]:
    return list(islice(found, 20))


def main(size: int) -> None:
    random.seed(1)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        library = Library(folder / "knowledge.db", lambda: bytearray(b"k" * 32))
        load(library, folder, size)
        print("CPU us per question")
        shipped_questions(library)
        loaded_questions(library, size)
        library.close()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000)
