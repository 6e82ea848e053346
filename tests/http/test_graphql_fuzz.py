# SPDX-License-Identifier: Apache-2.0
"""Whatever is asked in GraphQL, by whomever: every answer is below 500."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.attacks.ward import furnish
from tests.support.clinic import Clinic
from tests.support.shooting import QUICK, noise, people, quoted, shoot


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    """A clinic to be shot at."""
    made = furnish(Clinic(tmp_path_factory.mktemp("target") / "data"))
    yield made
    made.close()
    made.loop.close()


graphql_pieces = st.sampled_from(
    [
        *(
            "{",
            "}",
            "(",
            ")",
            "[",
            "]",
            "{ ",
            " }",
            ":",
            ",",
            "...",
            "@",
            "$",
            "!",
            "#",
            '"',
            '"""',
            "\\u0000",
            " ",
            "\n",
        ),
        *(
            "Patient(id: anna)",
            'Patient(id: "anna")',
            "PatientList(name: brown)",
            "ObservationConnection",
            "id",
            "name",
        ),
        *(
            "family @first",
            "@flatten",
            "@slice(path: $index)",
            "@include(if: true)",
            "@skip(if: $x)",
            "given @singleton",
        ),
        *(
            "resource(type: Patient)",
            "... on Patient { id }",
            "fragment f on Patient { id }",
            "...f",
            "query q($x: Int = 1)",
        ),
        *("mutation", "subscription", "__schema { types { name } }", "__typename", 'name(fhirpath: "a(")', "alias: id"),
        *("99999999999999999999", "-1", "1e999", "null", "true", "subject", "é", "_reference(type: Observation)"),
    ]
)


@QUICK
@given(
    st.lists(graphql_pieces, max_size=12).map(" ".join) | st.integers(1, 400).map(lambda deep: "{ a " * deep),
    st.dictionaries(st.sampled_from(["x", "index", "_count"]), st.none() | st.integers() | noise, max_size=2)
    | st.just(5),
    st.sampled_from(["/fhir/$graphql", "/fhir/Patient/anna/$graphql", "/fhir/Patient/nobody/$graphql"]),
    people,
)
def test_any_graphql(target: Clinic, query: str, variables: Any, path: str, name: str) -> None:
    body = json.dumps({"query": query, "variables": variables}).encode()
    shoot(target, name, "POST", path, headers={"content-type": "application/json"}, content=body)
    shoot(target, name, "GET", path, f"query={quoted(query)}")
