# SPDX-License-Identifier: Apache-2.0
"""LOINC: the release as loinc.org hands it out (https://hl7.org/fhir/R4/loinc.html says how FHIR uses it).

Needed is `LoincTable/Loinc.csv`. Parts, the component hierarchy and answer lists are taken when their files are there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from salus.kernel.errors import Kind, Problem
from salus.knowledge.loading.files import Release
from salus.knowledge.loading.loading import About, Loading

URL = "http://loinc.org"

_TABLE = r"Loinc\.csv"
_PARTS = r"Part\.csv"
_HIERARCHY = r"(?:ComponentHierarchyBySystem|MultiAxialHierarchy)\.csv"
_ANSWERS = r"AnswerList\.csv"
_VERSION = re.compile(r"Loinc_?v?(\d+\.\d+)", re.IGNORECASE)

# Columns that FHIR calls properties of a LOINC code.
PROPERTIES = (
    *("COMPONENT", "PROPERTY", "TIME_ASPCT", "SYSTEM", "SCALE_TYP", "METHOD_TYP", "CLASS", "CLASSTYPE", "STATUS"),
    *("ORDER_OBS", "CONSUMER_NAME", "EXAMPLE_UCUM_UNITS", "PanelType", "VersionLastChanged"),
)
_NAMES = ("SHORTNAME", "DisplayName", "CONSUMER_NAME", "FormalName")


def about(release: Release, version: str = "") -> About:
    """Version from the name of the release, else the newest that a line of the table names.

    Raises:
        Problem: INCORRECT when there is no table, or no version to be found.
    """
    name = release.need(_TABLE, "LoincTable/Loinc.csv")
    named = _VERSION.search(release.name)
    if not version and named is not None:
        version = named[1]
    if not version:
        stated = {row.get("VersionLastChanged", "") for row in release.table(name)}
        numbers = [one for one in stated if re.fullmatch(r"\d+\.\d+[a-z]?", one)]
        version = max(numbers, key=lambda one: [int(part) for part in re.findall(r"\d+", one)], default="")
    if not version:
        raise Problem(Kind.INCORRECT, "The files do not say which version of LOINC they are; name it with --version.")
    return About(URL, version, "LOINC", True)


def load(release: Release, into: Loading) -> None:
    """Read the files one after the other; raises Problem(INCORRECT) for a table without its columns."""
    name = release.need(_TABLE, "LoincTable/Loinc.csv")
    heading = next(release.table(name), {})
    if not {"LOINC_NUM", "LONG_COMMON_NAME"} <= heading.keys():
        raise Problem(Kind.INCORRECT, "Loinc.csv has no columns LOINC_NUM and LONG_COMMON_NAME.")
    into.concepts(
        (row["LOINC_NUM"], row["LONG_COMMON_NAME"], row.get("DefinitionDescription", ""), _active(row), False)
        for row in release.table(name)
        if row.get("LOINC_NUM")
    )
    parts, hierarchy, answers = (release.find(pattern) for pattern in (_PARTS, _HIERARCHY, _ANSWERS))
    if parts is not None:
        into.concepts(
            (
                row["PartNumber"],
                row.get("PartDisplayName") or row.get("PartName", ""),
                "",
                _active(row, "Status"),
                False,
            )
            for row in release.table(parts)
            if row.get("PartNumber")
        )
    if answers is not None:
        into.concepts(_answers(release, answers))
    if hierarchy is not None:  # groups that are in the hierarchy alone
        into.concepts(
            (row["CODE"], row.get("CODE_TEXT", ""), "", True, False)
            for row in release.table(hierarchy)
            if row.get("CODE")
        )
    into.designations(_designations(release, name))
    into.properties(_properties(release, name))
    if hierarchy is not None:
        into.parents(
            (row["CODE"], row["IMMEDIATE_PARENT"]) for row in release.table(hierarchy) if row.get("IMMEDIATE_PARENT")
        )
    if answers is not None:
        into.properties(
            (row["AnswerStringId"], "answer-list", row["AnswerListId"], "code")
            for row in release.table(answers)
            if row.get("AnswerStringId") and row.get("AnswerListId")
        )


def _active(row: dict[str, str], column: str = "STATUS") -> bool:
    return row.get(column, "").upper() not in {"DEPRECATED", "INACTIVE"}


def _answers(release: Release, name: str) -> Iterator[tuple[str, str, str, bool, bool]]:
    """Answer lists (LL) and answers (LA)."""
    for row in release.table(name):
        if row.get("AnswerListId"):
            yield row["AnswerListId"], row.get("AnswerListName", ""), "", True, True
        if row.get("AnswerStringId"):
            yield row["AnswerStringId"], row.get("DisplayText", ""), "", True, False


def _designations(release: Release, name: str) -> Iterator[tuple[str, str, str, str]]:
    for row in release.table(name):
        for column in _NAMES:
            value = row.get(column, "")
            if value and value != row["LONG_COMMON_NAME"]:
                yield row["LOINC_NUM"], value, "en-US", f'{{"system":"{URL}","code":"{column}"}}'


def _properties(release: Release, name: str) -> Iterator[tuple[str, str, str, str]]:
    for row in release.table(name):
        for column in PROPERTIES:
            if row.get(column):
                yield row["LOINC_NUM"], column, row[column], "string"
