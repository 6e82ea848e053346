# SPDX-License-Identifier: Apache-2.0
"""Value sets whose url says what is in them."""

from __future__ import annotations

import pytest

from salus.fhir.terminology.implicit import implicit

EDITION = "http://snomed.info/sct/900000000000207008/version/20250101"


@pytest.mark.parametrize(
    ("url", "include"),
    [
        ("http://snomed.info/sct?fhir_vs", {"system": "http://snomed.info/sct"}),
        (
            f"{EDITION}?fhir_vs=isa/404684003",
            {
                "system": "http://snomed.info/sct",
                "version": EDITION,
                "filter": [{"property": "concept", "op": "is-a", "value": "404684003"}],
            },
        ),
        (
            "http://loinc.org/vs/LL715-4",
            {"system": "http://loinc.org", "filter": [{"property": "answer-list", "op": "=", "value": "LL715-4"}]},
        ),
    ],
)
def test_what_a_url_stands_for(url: str, include: dict[str, object]) -> None:
    found = implicit(url)
    assert found is not None
    assert found["url"] == url
    assert found["compose"]["include"] == [include]


@pytest.mark.parametrize(
    "url",
    [
        "http://snomed.info/sct",
        "http://snomed.info/sct?fhir_vs=ecl/x",
        "http://loinc.org/vs/1234-5",
        "http://loinc.org",
    ],
)
def test_other_urls_stand_for_nothing(url: str) -> None:
    assert implicit(url) is None
