# SPDX-License-Identifier: Apache-2.0
"""The tokens under which a record is found.

What is contained in it has tokens of its own, under `#Type` whatever the container is: a chain is followed into
contained resources, and they can be searched by themselves (https://hl7.org/fhir/R4/search.html#contained).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from salus.crypto.blind_index import BlindIndex
from salus.fhir.search import words
from salus.fhir.search.extract import Extractor

CONTAINED = "#"
"""In front of a type: tokens of what is contained in a record."""


def terms_of(indexes: Sequence[BlindIndex], extractor: Extractor, resource: dict[str, Any]) -> str:
    """Blind tokens of a validated resource, separated by spaces; under each of the index keys."""
    first, *others = indexes  # usually one; a second one while the index goes over to another key
    found = _under(first, extractor, resource)
    for index in others:
        found |= _under(index, extractor, resource)
    return " ".join(found)


def _under(index: BlindIndex, extractor: Extractor, resource: dict[str, Any]) -> set[str]:
    type_ = resource["resourceType"]
    unindexed = extractor.registry.unindexed
    found = index.tokens(type_, extractor.rows(resource), unindexed(type_))
    found |= index.words(type_, "_content", *words.content(resource), words.telling)
    for inner in resource.get("contained", ()):
        type_ = inner["resourceType"]
        found |= index.tokens(CONTAINED + type_, extractor.rows(inner), unindexed(type_))
    return found
