# SPDX-License-Identifier: Apache-2.0
"""The tokens under which a record is found.

What is contained in it has tokens of its own, under `#Type` whatever the container is: a chain is followed into
contained resources, and they can be searched by themselves (https://hl7.org/fhir/R4/search.html#contained).
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Any

from salus.crypto.blind_index import BlindIndex
from salus.fhir.search import words
from salus.fhir.search.extract import Extractor, Row

CONTAINED = "#"
"""In front of a type: tokens of what is contained in a record."""


Rows = Sequence[tuple[str, list[Row], Container[str]]]
"""Index rows of a resource and of what is contained in it: type, rows, and the families that are not indexed."""


def rows_of(extractor: Extractor, resource: dict[str, Any]) -> Rows:
    """What a validated resource is found by."""
    unindexed = extractor.registry.unindexed
    type_ = resource["resourceType"]
    found = [(type_, extractor.rows(resource), unindexed(type_))]
    for inner in resource.get("contained", ()):
        type_ = inner["resourceType"]
        found.append((CONTAINED + type_, extractor.rows(inner), unindexed(type_)))
    return found


def tokens_of(indexes: Sequence[BlindIndex], rows: Rows) -> set[str]:
    """Blind tokens of rows, under each of the index keys."""
    found: set[str] = set()
    for index in indexes:
        for type_, some, skip in rows:
            found |= index.tokens(type_, some, skip)
    return found


def words_of(indexes: Sequence[BlindIndex], resource: dict[str, Any]) -> set[str]:
    """Blind tokens of the words of a validated resource, under each of the index keys."""
    found: set[str] = set()
    texts = words.content(resource)
    for index in indexes:
        found |= index.words(resource["resourceType"], "_content", *texts, words.telling)
    return found


def terms_of(indexes: Sequence[BlindIndex], extractor: Extractor, resource: dict[str, Any]) -> str:
    """All blind tokens of a validated resource, separated by spaces; under each of the index keys."""
    return " ".join(tokens_of(indexes, rows_of(extractor, resource)) | words_of(indexes, resource))
