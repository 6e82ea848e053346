# SPDX-License-Identifier: Apache-2.0
"""RxNorm: the RRF files as the National Library of Medicine hands them out (https://hl7.org/fhir/R4/rxnorm.html).

Needed is `RXNCONSO.RRF`; relations and semantic types are taken when their files are there. RxNorm relates concepts in
many ways and has no hierarchy of kinds, so `$subsumes` and is-a do not apply.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from salus.kernel.errors import Kind, Problem
from salus.knowledge.loading.files import Release
from salus.knowledge.loading.loading import About, Loading

URL = "http://www.nlm.nih.gov/research/umls/rxnorm"

_CONCEPTS, _RELATIONS, _TYPES = r"RXNCONSO\.RRF", r"RXNREL\.RRF", r"RXNSTY\.RRF"
_VERSION = re.compile(r"(\d{8})")
# Term types that name a concept; the others are further names of it.
_NAMING = frozenset({"BN", "BPCK", "DF", "DFG", "GPCK", "IN", "MIN", "PIN", "SBD", "SBDC", "SBDF", "SBDFP", "SBDG"})
_NAMING_CLINICAL = frozenset({"SCD", "SCDC", "SCDF", "SCDFP", "SCDG", "SCDGP"})
_SUPPRESSED = frozenset({"O", "E", "Y"})


def about(release: Release, version: str = "") -> About:
    """Version from the name of the release (a date such as 01062025), or as it is given.

    Raises:
        Problem: INCORRECT when there is no RXNCONSO.RRF, or no version to be found.
    """
    release.need(_CONCEPTS, "RXNCONSO.RRF")
    named = _VERSION.search(release.name)
    version = version or (named[1] if named is not None else "")
    if not version:
        text = "The name of the release does not tell its version; name it with --version, as 01062025."
        raise Problem(Kind.INCORRECT, text)
    return About(URL, version, "RxNorm", False)


def load(release: Release, into: Loading) -> None:
    """Read the files one after the other; raises Problem(INCORRECT) for lines of another form."""
    concepts = release.need(_CONCEPTS, "RXNCONSO.RRF")
    relations, types = release.find(_RELATIONS), release.find(_TYPES)
    into.concepts(
        (row[0], row[14], "", row[16] not in _SUPPRESSED, False)
        for row in _named(release, concepts)
        if row[12] in _NAMING | _NAMING_CLINICAL
    )
    into.concepts((row[0], row[14], "", row[16] not in _SUPPRESSED, False) for row in _named(release, concepts))
    into.designations(
        (row[0], row[14], "en", f'{{"system":"{URL}","code":"{row[12]}"}}') for row in _named(release, concepts)
    )
    into.properties(_properties(release, concepts))
    if types is not None:
        into.properties((row[0], "STY", row[1], "code") for row in release.lines(types, "|", 4))
    if relations is not None:
        into.properties(
            (row[4], row[7] or row[3], row[0], "code")
            for row in release.lines(relations, "|", 11)
            if row[0] and row[4] and row[2] == "CUI" and row[6] == "CUI" and row[10] == "RXNORM"
        )


def _named(release: Release, name: str) -> Iterator[list[str]]:
    """Lines of RxNorm's own names: RXCUI is 0, SAB 11, TTY 12, STR 14, SUPPRESS 16."""
    return (row for row in release.lines(name, "|", 17) if row[11] == "RXNORM" and row[0])


def _properties(release: Release, name: str) -> Iterator[tuple[str, str, str, str]]:
    for row in _named(release, name):
        yield row[0], "TTY", row[12], "code"
        yield row[0], "SAB", row[11], "code"
