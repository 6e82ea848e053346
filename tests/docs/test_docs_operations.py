# SPDX-License-Identifier: Apache-2.0
"""The page of operations: it lists the table, and what it shows works."""

from __future__ import annotations

import json

import pytest

from salus.fhir.graphql import document, select
from salus.records.operations import graphql
from salus.records.operations.table import OPERATIONS
from tests.docs.pages import blocks, rows, sections, text_of
from tests.support.clinic import Clinic, put_all

PAGE = "docs/reference/operations.md"
GRAPHQL = "docs/reference/graphql.md"


def test_every_operation_has_its_line_and_its_section() -> None:
    documented = sections(text_of(PAGE))
    known = []
    for operation in OPERATIONS:
        about = operation.definition
        name = f"{about.types[0]}/${about.code}" if len(about.types) == 1 else f"${about.code}"
        methods = "GET, POST" if about.by_get else "POST"
        permission = str(operation.permission or "record:*")
        known.append([name, ", ".join(about.levels), methods, permission, f"{about.title}."])
        assert name in documented, name
    assert rows(documented[""]) == known


def examples(page: str = PAGE) -> list[tuple[str, str]]:
    return [
        (heading, block.text)
        for heading, section in sections(text_of(page)).items()
        for block in blocks(section)
        if block.info == "http"
    ]


def test_every_section_of_an_operation_has_an_example() -> None:
    shown = {heading for heading, _ in examples()}
    assert shown == {heading for heading in sections(text_of(PAGE)) if "$" in heading}


def furnish(clinic: Clinic) -> None:
    """What the examples speak of, beside the clinic's own."""
    subject = {"reference": "Patient/anna"}
    put_all(
        clinic.as_("service"),
        {
            "resourceType": "Encounter",
            "id": "visit-anna",
            "status": "finished",
            "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
            "subject": subject,
        },
        {
            "resourceType": "Composition",
            "id": "letter-anna",
            "status": "final",
            "type": {"text": "Letter"},
            "subject": subject,
            "date": "2026-03-02",
            "author": [{"reference": "Practitioner/physician"}],
            "title": "Letter",
            "section": [{"title": "Findings", "entry": [{"reference": "Observation/pulse-anna"}]}],
        },
    )


@pytest.mark.parametrize("example", [*examples(), *examples(GRAPHQL)], ids=lambda example: example[0])
def test_the_example_works_for_the_physician_of_the_clinic(clinic: Clinic, example: tuple[str, str]) -> None:
    request, _, body = example[1].partition("\n\n")
    method, path = request.split("\n")[0].split(" ", 1)
    furnish(clinic)
    answer = clinic.as_("physician").request(method, path, json=json.loads(body) if body.strip() else None)
    assert answer.status_code == 200, answer.text


def test_limits_and_directives_of_graphql_are_those_of_the_program() -> None:
    documented = sections(text_of(GRAPHQL))
    assert [int(row[1]) for row in rows(documented["Limits"])] == [
        document.LONGEST,
        document.DEEPEST,
        document.MOST_FIELDS,
        graphql.MOST_SEARCHES,
        graphql.MOST_RECORDS,
        select.MOST_VALUES,
        select.MOST_EXPRESSIONS,
    ]
    named = " ".join(row[0] for row in rows(documented["Elements"]))
    assert {name for name in document.DIRECTIVES if f"@{name}" in named} == document.DIRECTIVES.keys()
