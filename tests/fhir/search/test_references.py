# SPDX-License-Identifier: Apache-2.0
"""Reading and rewriting references."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from salus.fhir.references import Reference, local_reference, parse, rewrite, target_reader

BASES = ("https://ehr.example/fhir", "https://ehr.example/t/north/fhir/")
URN = "urn:uuid:6f1e0c3a-6c33-4a3e-9d0c-0a5a4c1d9b11"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Patient/1", Reference("local", "Patient", "1")),
        ("Patient/1/_history/2", Reference("local", "Patient", "1", "2")),
        ("https://ehr.example/fhir/Patient/1", Reference("local", "Patient", "1")),
        ("https://ehr.example/t/north/fhir/Patient/1", Reference("local", "Patient", "1")),
        ("https://other.example/fhir/Patient/1", Reference("absolute", url="https://other.example/fhir/Patient/1")),
        (URN, Reference("urn", url=URN)),
        ("#p1", Reference("contained", id="p1")),
        ("Patient?identifier=7", Reference("other", url="Patient?identifier=7")),
    ],
)
def test_forms(text: str, expected: Reference) -> None:
    assert parse(text, BASES) == expected


@pytest.mark.parametrize(
    "text",
    [
        *("patient/1", "Patient/", "Patient", "Patient//1", "Patient/1/", "Patient/1#x", "/Patient/1", "Patient/a b"),
        *("../Patient/1", "Patient/1/_history/", "Patient/" + "a" * 65, "Patient/1\n", "Patient/é", "P/1"),
        *("https://ehr.example/fhirPatient/1", "https://ehr.example.evil.example/fhir/Patient/1", "#Patient/1"),
    ],
)
def test_attack_crooked_spellings_name_no_local_record(text: str) -> None:
    assert local_reference(text, BASES) is None


@given(st.from_regex(r"[A-Z][A-Za-z]{1,20}/[A-Za-z0-9\-.]{1,64}", fullmatch=True), st.sampled_from(["", *BASES]))
def test_own_absolute_references_are_the_same_as_relative_ones(text: str, base: str) -> None:
    written = f"{base.rstrip('/')}/{text}" if base else text
    assert local_reference(written, BASES) == tuple(text.split("/"))
    assert target_reader(BASES)(written) == text
    assert target_reader(BASES)(f"{written}/_history/3") == text


def transaction_entry() -> dict[str, Any]:
    return {
        "resourceType": "DocumentReference",
        "identifier": [{"system": "urn:ietf:rfc:3986", "value": URN}],
        "description": URN,
        "subject": {"reference": URN},
        "author": [{"reference": "Practitioner/1"}, {"reference": URN, "display": "x"}],
        "content": [{"attachment": {"url": URN}}],
        "contained": [{"resourceType": "Observation", "id": "o", "subject": {"reference": URN}}],
        "extension": [{"url": "http://x.example", "valueReference": {"reference": URN}}, {"url": "y", "valueUri": URN}],
        "meta": {"profile": [URN, "http://x.example"]},
    }


def test_a_transaction_s_references_are_rewritten_in_place() -> None:
    resource = transaction_entry()
    rewrite(resource, {URN: "Patient/9"})
    assert resource["subject"] == {"reference": "Patient/9"}
    assert [item["reference"] for item in resource["author"]] == ["Practitioner/1", "Patient/9"]
    assert resource["content"][0]["attachment"]["url"] == "Patient/9"
    assert resource["contained"][0]["subject"]["reference"] == "Patient/9"
    assert resource["extension"][0]["valueReference"]["reference"] == "Patient/9"
    assert resource["extension"][1]["valueUri"] == "Patient/9"
    assert resource["meta"]["profile"] == ["Patient/9", "http://x.example"]


def test_strings_that_happen_to_be_equal_stay() -> None:
    resource = transaction_entry()
    rewrite(resource, {URN: "Patient/9"})
    assert resource["identifier"][0]["value"] == URN
    assert resource["description"] == URN


def test_what_is_not_mapped_stays() -> None:
    resource = transaction_entry()
    before = copy.deepcopy(resource)
    rewrite(resource, {"urn:uuid:other": "Patient/9"})
    assert resource == before
    rewrite(resource, {})
    assert resource == before


def test_a_bundle_keeps_its_own_references() -> None:
    bundle = {"resourceType": "Bundle", "entry": [{"fullUrl": URN, "resource": {"subject": {"reference": URN}}}]}
    before = copy.deepcopy(bundle)
    rewrite(bundle, {URN: "Patient/9"})
    assert bundle == before
