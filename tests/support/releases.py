# SPDX-License-Identifier: Apache-2.0
"""Releases in the form of LOINC, SNOMED CT and RxNorm with invented codes and names."""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path

US_ENGLISH, PREFERRED = "900000000000509007", "900000000000548007"
INFERRED = "900000000000011006"
FSN, SYNONYM = "900000000000003001", "900000000000013009"
IS_A, SITE = "116680003", "363698007"
_HEAD = ("id", "effectiveTime", "active", "moduleId")


def loinc(folder: Path, version: str = "9.99") -> Path:
    """Two codes, one of them deprecated, two parts above them and an answer list."""
    base = folder / f"Loinc_{version}"
    _table(
        base / "LoincTable" / "Loinc.csv",
        ("LOINC_NUM", "COMPONENT", "SCALE_TYP", "CLASSTYPE", "STATUS", "SHORTNAME", "LONG_COMMON_NAME"),
        [
            ("90001-1", "Sparkle", "Qn", "1", "ACTIVE", "Sparkle Qn", 'Sparkle, "total" in dust'),
            ("90002-9", "Sparkle", "Ord", "2", "DEPRECATED", "Sparkle Ord", "Sparkle in dust by sight"),
        ],
    )
    _table(
        base / "AccessoryFiles" / "PartFile" / "Part.csv",
        ("PartNumber", "PartTypeName", "PartName", "PartDisplayName", "Status"),
        [("LP90001-1", "COMPONENT", "Sparkle", "Sparkle", "ACTIVE")],
    )
    _table(
        base / "AccessoryFiles" / "ComponentHierarchyBySystem" / "ComponentHierarchyBySystem.csv",
        ("PATH_TO_ROOT", "SEQUENCE", "IMMEDIATE_PARENT", "CODE", "CODE_TEXT"),
        [
            ("", "1", "", "LP90000-3", "Everything"),
            ("LP90000-3", "1", "LP90000-3", "LP90001-1", "Sparkle"),
            ("LP90000-3.LP90001-1", "1", "LP90001-1", "90001-1", "Sparkle Qn"),
            ("LP90000-3.LP90001-1", "2", "LP90001-1", "90002-9", "Sparkle Ord"),
        ],
    )
    _table(
        base / "AccessoryFiles" / "AnswerFile" / "AnswerList.csv",
        ("AnswerListId", "AnswerListName", "AnswerStringId", "DisplayText"),
        [("LL900-1", "How much", "LA9001-1", "A little"), ("LL900-1", "How much", "LA9002-9", "A lot")],
    )
    return base


def snomed(folder: Path, *, circle: bool = False) -> Path:
    """A root with two kinds below it, one of which is both, an attribute, a retired concept and a reference set."""
    base = folder / "Snapshot"
    concepts = [("100", 1), ("101", 1), ("102", 1), ("103", 1), ("104", 0), ("900", 1), (IS_A, 1), (SITE, 1)]
    names = {"100": "Thing", "101": "Shiny thing", "102": "Round thing", "103": "Shiny ball", "104": "Dull thing"}
    _rf2(
        base / "Terminology" / "sct2_Concept_Snapshot_INT_20250101.txt",
        ("id", "effectiveTime", "active", "moduleId", "definitionStatusId"),
        [(code, "20250101", str(active), "900000000000207008", "900000000000074008") for code, active in concepts],
    )
    described = []
    for number, (code, name) in enumerate(names.items()):
        described.append((f"{number}1", "20250101", "1", "m", code, "en", FSN, f"{name} (thing)", "c"))
        described.append((f"{number}2", "20250101", "1", "m", code, "en", SYNONYM, name, "c"))
        described.append((f"{number}3", "20250101", "1", "m", code, "en", SYNONYM, f"{name}y", "c"))
    _rf2(
        base / "Terminology" / "sct2_Description_Snapshot-en_INT_20250101.txt",
        (
            "id",
            "effectiveTime",
            "active",
            "moduleId",
            "conceptId",
            "languageCode",
            "typeId",
            "term",
            "caseSignificanceId",
        ),
        described,
    )
    related = [
        ("101", "100", IS_A),
        ("102", "100", IS_A),
        ("103", "101", IS_A),
        ("103", "102", IS_A),
        ("103", "900", SITE),
    ]
    if circle:
        related.append(("100", "103", IS_A))
    _rf2(
        base / "Terminology" / "sct2_Relationship_Snapshot_INT_20250101.txt",
        (
            "id",
            "effectiveTime",
            "active",
            "moduleId",
            "sourceId",
            "destinationId",
            "relationshipGroup",
            "typeId",
            "characteristicTypeId",
            "modifierId",
        ),
        [(str(n), "20250101", "1", "m", a, b, "0", type_, INFERRED, "m") for n, (a, b, type_) in enumerate(related)],
    )
    _rf2(
        base / "Refset" / "Language" / "der2_cRefset_LanguageSnapshot-en_INT_20250101.txt",
        ("id", "effectiveTime", "active", "moduleId", "refsetId", "referencedComponentId", "acceptabilityId"),
        [(f"u{n}", "20250101", "1", "m", US_ENGLISH, f"{n}2", PREFERRED) for n in range(len(names))],
    )
    _rf2(
        base / "Refset" / "Content" / "der2_Refset_SimpleSnapshot_INT_20250101.txt",
        ("id", "effectiveTime", "active", "moduleId", "refsetId", "referencedComponentId"),
        [("r1", "20250101", "1", "m", "900", "103"), ("r2", "20250101", "0", "m", "900", "101")],
    )
    return folder


def rxnorm(folder: Path) -> Path:
    """An ingredient and a drug that has it, with a second name, a retired concept, and a row of another vocabulary."""
    base = folder / "RxNorm_full_01062025" / "rrf"
    base.mkdir(parents=True)

    def name(code: str, source: str, kind: str, words: str, suppressed: str = "N") -> str:
        fields = [code, "ENG", "", "", "", "", "", "1", "", code, "", source, kind, code, words, "", suppressed, ""]
        return "|".join(fields) + "|"

    names = [
        name("1", "RXNORM", "IN", "glimmerol"),
        name("2", "RXNORM", "SY", "glim 5 tablets"),
        name("2", "RXNORM", "SCD", "glimmerol 5 MG Oral Tablet"),
        name("3", "RXNORM", "SCD", "glimmerol 9 MG Oral Tablet", "O"),
        name("4", "MTHSPL", "SU", "SOMETHING ELSE"),
    ]
    (base / "RXNCONSO.RRF").write_text("\n".join(names) + "\n", "utf-8")
    relation = ["1", "", "CUI", "RO", "2", "", "CUI", "has_ingredient", "", "", "RXNORM", "", "", "", "", ""]
    (base / "RXNREL.RRF").write_text("|".join(relation) + "|\n", "utf-8")
    (base / "RXNSTY.RRF").write_text("2|T200|A1.3.3|Clinical Drug|AT1|256|\n", "utf-8")
    return base.parent


def zipped(folder: Path, archive: Path) -> Path:
    """The files of a folder in a zip archive, below the folder's name."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as made:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                made.write(file, Path(folder.name) / file.relative_to(folder))
    return archive


def _table(path: Path, heading: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        writer.writerow(heading)
        writer.writerows(rows)


def _rf2(path: Path, heading: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ["\t".join(row) for row in (heading, *rows)]
    path.write_text("\r\n".join(lines) + "\r\n", "utf-8", newline="")
