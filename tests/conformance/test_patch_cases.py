# SPDX-License-Identifier: Apache-2.0
"""The public cases for JSON Patch and FHIRPath Patch (FHIR/fhir-test-cases)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from salus.fhir import json, xml
from salus.fhir.patch import fhirpath_patch, json_patch, of_parameters
from salus.kernel.errors import Problem

DATA = Path(__file__).parents[3] / "shared" / "data" / "fhir-patch"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the shared data is not here")


def json_cases() -> list[dict[str, Any]]:
    file = DATA / "json-patch-tests.json"
    return json.decode_any(file.read_bytes()) if file.is_file() else []  # type: ignore[no-any-return]


@pytest.mark.parametrize("case", json_cases(), ids=lambda case: case["comment"])
def test_json_patch(case: dict[str, Any]) -> None:
    if "error" in case:
        with pytest.raises(Problem):
            json_patch.apply(case["doc"], case["patch"])
    else:
        assert json_patch.apply(case["doc"], case["patch"]) == case["expected"]


def fhirpath_cases() -> list[ElementTree.Element]:
    file = DATA / "fhir-patch-tests.xml"
    return ElementTree.fromstring(file.read_bytes()).findall("case") if file.is_file() else []  # noqa: S314


def resource_in(case: ElementTree.Element, name: str) -> dict[str, Any] | None:
    holder = case.find(name)
    if holder is None:
        return None
    text = ElementTree.tostring(holder[0], encoding="unicode")
    # The library writes prefixes of its own; narratives carry none.
    text = re.sub(r"<(/?)\w+:", r"<\1", text).replace("xmlns:ns0", "xmlns", 1)
    text = re.sub(r' xmlns:\w+="http://www.w3.org/1999/xhtml"', "", text)
    text = text.replace("<div>", '<div xmlns="http://www.w3.org/1999/xhtml">')
    return xml.decode(text.encode())


def plain(value: Any) -> Any:
    """Values to compare: narratives without the white space between their words."""
    if isinstance(value, dict):
        return {name: " ".join(item.split()) if name == "div" else plain(item) for name, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("case", fhirpath_cases(), ids=lambda case: str(case.get("name")))
def test_fhirpath_patch(case: ElementTree.Element) -> None:
    before, diff, after = (resource_in(case, name) for name in ("input", "diff", "output"))
    assert before is not None
    assert diff is not None
    if after is None:
        with pytest.raises(Problem):
            of_parameters(diff)(before)
        return
    untouched = json.encode(before)
    patched = fhirpath_patch.apply(before, fhirpath_patch.read(diff))
    assert plain(patched) == plain(after)
    assert json.encode(before) == untouched


def test_the_cases_are_all_there() -> None:
    assert len(json_cases()) == 16
    assert len(fhirpath_cases()) == 33
