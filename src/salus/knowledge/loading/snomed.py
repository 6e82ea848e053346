# SPDX-License-Identifier: Apache-2.0
"""SNOMED CT: the Snapshot of an RF2 release (https://hl7.org/fhir/R4/snomedct.html says how FHIR uses it).

Needed are the concepts and descriptions; relationships give the hierarchy and the attributes, the language reference
set the preferred terms, simple reference sets the property `refset`.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left
from collections.abc import Iterator

from salus.kernel.errors import Kind, Problem
from salus.knowledge.loading.files import Release
from salus.knowledge.loading.loading import About, Loading

URL = "http://snomed.info/sct"

_CONCEPTS = r"(?:x?sct2)_Concept_Snapshot_\w+\.txt"
_DESCRIPTIONS = r"(?:x?sct2)_Description_Snapshot-?[\w-]*\.txt"
_RELATIONSHIPS = r"(?:x?sct2)_Relationship_Snapshot_\w+\.txt"
_LANGUAGE = r"(?:x?der2)_cRefset_LanguageSnapshot[\w-]*\.txt"
_SIMPLE = r"(?:x?der2)_Refset_Simple[\w]*Snapshot[\w-]*\.txt"
_RELEASED = re.compile(r"_([A-Za-z]+)\d*_(\d{8})\.txt\Z")
_MODULES = {"INT": "900000000000207008", "US": "731000124108", "GB": "83821000000107", "AU": "32506021000036107"}

_IS_A = "116680003"
_STATED = "900000000000010007"  # relationships as authors stated them; FHIR uses the inferred ones
_FSN, _SYNONYM = "900000000000003001", "900000000000013009"
_PREFERRED = "900000000000548007"
_DEFINED = "900000000000073002"


def about(release: Release, version: str = "") -> About:
    """Version as SNOMED writes it, from the name of the concept file or as it is given (a module's edition URI).

    Raises:
        Problem: INCORRECT when there are no concepts, or the edition cannot be told.
    """
    name = release.need(_CONCEPTS, "sct2_Concept_Snapshot file")
    released = _RELEASED.search(name)
    if not version:
        module = _MODULES.get(released[1].upper()) if released is not None else None
        if released is None or module is None:
            text = "The edition cannot be told from the file names; name it with --version, as http://snomed.info/sct/…"
            raise Problem(Kind.INCORRECT, text)
        version = f"{URL}/{module}/version/{released[2]}"
    return About(URL, version, "SNOMED CT", True)


def load(release: Release, into: Loading) -> None:
    """Read the files one after the other; raises Problem(INCORRECT) for lines of another form."""
    concepts = release.need(_CONCEPTS, "sct2_Concept_Snapshot file")
    descriptions = release.need(_DESCRIPTIONS, "sct2_Description_Snapshot file")
    relationships, language = release.find(_RELATIONSHIPS), release.find(_LANGUAGE)
    into.concepts((row[0], "", "", row[2] == "1", False) for row in _rows(release, concepts, 5))
    into.displays((row[4], row[7]) for row in _described(release, descriptions) if row[6] == _FSN)
    if language is not None:
        preferred = _preferred(release, language)
        into.displays(
            (row[4], row[7])
            for row in _described(release, descriptions)
            if row[6] == _SYNONYM and _holds(preferred, int(row[0]))
        )
    into.designations(
        (row[4], row[7], row[5], f'{{"system":"{URL}","code":"{row[6]}"}}') for row in _described(release, descriptions)
    )
    into.properties(_properties(release, concepts))
    if relationships is not None:
        into.parents((row[4], row[5]) for row in _related(release, relationships) if row[7] == _IS_A)
        into.properties((row[4], row[7], row[5], "code") for row in _related(release, relationships) if row[7] != _IS_A)
    simple = release.find(_SIMPLE)
    if simple is not None:
        into.properties((row[5], "refset", row[4], "code") for row in _rows(release, simple, 6) if row[2] == "1")


def _rows(release: Release, name: str, columns: int) -> Iterator[list[str]]:
    rows = release.lines(name, "\t", columns)
    next(rows, None)  # the heading
    return rows


def _described(release: Release, name: str) -> Iterator[list[str]]:
    """id, effectiveTime, active, moduleId, conceptId, languageCode, typeId, term, caseSignificanceId."""
    return (row for row in _rows(release, name, 9) if row[2] == "1" and row[6] in {_FSN, _SYNONYM})


def _related(release: Release, name: str) -> Iterator[list[str]]:
    """id, effectiveTime, active, moduleId, sourceId, destinationId, group, typeId, characteristicTypeId, modifierId."""
    return (row for row in _rows(release, name, 10) if row[2] == "1" and row[8] != _STATED)


def _properties(release: Release, name: str) -> Iterator[tuple[str, str, str, str]]:
    """https://hl7.org/fhir/R4/snomedct.html#props"""
    for row in _rows(release, name, 5):
        yield row[0], "moduleId", row[3], "code"
        yield row[0], "effectiveTime", row[1], "string"
        yield row[0], "sufficientlyDefined", "true" if row[4] == _DEFINED else "false", "boolean"
        if row[2] != "1":
            yield row[0], "inactive", "true", "boolean"


def _preferred(release: Release, name: str) -> array[int]:
    """Ids of the preferred descriptions of the first dialect in the file (US English where it is there), sorted."""
    chosen = ""
    found = array("q")
    for row in _rows(release, name, 7):
        if row[2] != "1" or row[6] != _PREFERRED:
            continue
        if row[4] == "900000000000509007" and chosen != row[4]:  # US English
            chosen, found = row[4], array("q")
        chosen = chosen or row[4]
        if row[4] == chosen:
            found.append(int(row[5]))
    return array("q", sorted(found))


def _holds(ids: array[int], id_: int) -> bool:
    at = bisect_left(ids, id_)
    return at < len(ids) and ids[at] == id_
