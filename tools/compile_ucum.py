# SPDX-License-Identifier: Apache-2.0
"""Compile UCUM's own table of units into the short one that `salus.fhir.ucum` ships.

Usage: `python tools/compile_ucum.py ucum-essence.xml [output folder]`. The input is what the UCUM organization
publishes; `ORIGIN.md` beside the output names its version and hash. Codes, factors and definitions are taken over
unaltered, names and descriptions are left out.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from xml.etree import ElementTree

SPACE = "{http://unitsofmeasure.org/ucum-essence}"

ORIGIN = """# Where `units.tsv` comes from

Compiled by `tools/compile_ucum.py` from `ucum-essence.xml`, version {version} of {date}, as published by the UCUM
organization (https://ucum.org) and carried by the Python package `ucumvert` 0.3.2.

The UCUM table is copyright of Regenstrief Institute, Inc. and The UCUM Organization, and is used under the UCUM
licence (https://ucum.org/license), which allows use and distribution free of charge. Codes, factors and
definitions are unaltered; names and descriptions are left out.

| file | SHA-256 |
|---|---|
| `ucum-essence.xml` | `{source}` |
| `units.tsv` | `{target}` |
"""

HEAD = """# UCUM {version}, {date}. Copyright Regenstrief Institute, Inc. and The UCUM Organization; https://ucum.org/license.
# prefix: kind, code, factor. unit: kind (base, unit, arbitrary, special), code, metric?, factor, definition.
"""


def rows(root: ElementTree.Element) -> list[str]:
    """The lines of the table in the order of the source."""
    found = [f"prefix\t{p.get('Code')}\t{p.find(f'{SPACE}value').get('value')}" for p in root.iter(f"{SPACE}prefix")]
    found += [f"base\t{base.get('Code')}\tyes\t1\t{base.get('Code')}" for base in root.iter(f"{SPACE}base-unit")]
    for unit in root.iter(f"{SPACE}unit"):
        value = unit.find(f"{SPACE}value")
        kind, inner = "unit", value
        if unit.get("isSpecial") == "yes":
            kind, inner = "special", value.find(f"{SPACE}function")
        elif unit.get("isArbitrary") == "yes":
            kind = "arbitrary"
        found.append("\t".join((kind, unit.get("Code"), unit.get("isMetric"), inner.get("value"), inner.get("Unit"))))
    return found


def main(source: Path, out: Path) -> None:
    raw = source.read_bytes()
    root = ElementTree.fromstring(raw)  # noqa: S314 - a file that the developer names
    about = {"version": root.get("version"), "date": root.get("revision-date")}
    text = HEAD.format(**about) + "\n".join(rows(root)) + "\n"
    (out / "units.tsv").write_text(text, encoding="utf-8")
    digests = {"source": hashlib.sha256(raw).hexdigest(), "target": hashlib.sha256(text.encode()).hexdigest()}
    (out / "ORIGIN.md").write_text(ORIGIN.format(**about, **digests), encoding="utf-8")
    print(f"{text.count(chr(10)) - 2} lines, {len(text)} bytes")


if __name__ == "__main__":
    here = Path(__file__).parents[1] / "src" / "salus" / "fhir" / "ucum"
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else here)
