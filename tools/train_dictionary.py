# SPDX-License-Identifier: Apache-2.0
"""Train the compression dictionary that ships with Salus, on invented records only.

A dictionary carries fragments of what it was trained on into every installation; so nothing but the output of
`salus.synthetic` and names of R4 elements may go in. The result is deterministic. Run it again only with a new
dictionary id: records name the one they were written with.

usage: .venv/bin/python tools/train_dictionary.py
"""

from __future__ import annotations

from datetime import date
from pathlib import Path

import zstandard

from salus.fhir import json
from salus.synthetic.clinic import clinic
from salus.synthetic.generate import population

TARGET = Path(__file__).parents[1] / "src" / "salus" / "records" / "store" / "dictionary.zstd"
SIZE = 64 * 1024
IDENTIFIER = 1
SEED, PEOPLE, TODAY = 20_260_101, 60, date(2026, 1, 1)


def main() -> None:
    samples = [json.encode(resource) for resource in clinic(SEED, TODAY)]
    for person in population(SEED, PEOPLE, TODAY):
        samples += [json.encode(resource) for resource in person]
    trained = zstandard.train_dictionary(SIZE, samples, dict_id=IDENTIFIER, level=3)
    TARGET.write_bytes(trained.as_bytes())
    packed = zstandard.ZstdCompressor(level=3, dict_data=trained)
    before = sum(map(len, samples))
    after = sum(len(packed.compress(sample)) for sample in samples)
    print(f"{len(samples)} samples, {SIZE} bytes, ratio on the samples {after / before:.2f}")


if __name__ == "__main__":
    main()
