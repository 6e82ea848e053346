# SPDX-License-Identifier: Apache-2.0
"""Searching the OperationDefinitions, which are made from the program and lie in no store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from salus.fhir.search.extract import Extractor
from salus.fhir.search.match import matcher
from salus.fhir.search.query import canonical, parse

Resource = dict[str, Any]


def matching(resources: Sequence[Resource], pairs: Sequence[tuple[str, str]], base: str) -> tuple[list[Resource], str]:
    """Those that a search matches, all on one page, and the query as it was applied.

    Raises:
        Problem: INCORRECT for a parameter that is not understood.
    """
    query = parse("OperationDefinition", pairs, bases=(base,))
    extractor = Extractor((base,))
    tests = [matcher(clause) for clause in query.clauses]
    found = []
    for resource in resources:
        rows = [*extractor.rows_for(resource, query.clauses), ("_id", "token", "", resource["id"])]
        if all(test(rows) for test in tests):
            found.append(resource)
    return found, urlencode(canonical(query))
