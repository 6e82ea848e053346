# SPDX-License-Identifier: Apache-2.0
"""The page on conformance has a line for everything, and the index of the documentation names every page."""

from __future__ import annotations

from salus.records.operations.table import OPERATIONS
from tests.docs.pages import ROOT, rows, sections, text_of

PAGE = sections(text_of("docs/conformance.md"))
SEARCH = sections(text_of("docs/reference/search.md"))


def test_every_kind_and_modifier_of_search_and_every_operation_has_its_line() -> None:
    supported = PAGE["Supported"]
    kinds = [cells[0] for cells in rows(SEARCH["Kinds"])]
    modifiers = [cells[0] for cells in rows(SEARCH["Modifiers"])]
    controls = [cells[0] for cells in rows(SEARCH["What shapes the answer"]) if cells[0] != "_page"]
    operations = [f"${operation.definition.code}" for operation in OPERATIONS]
    assert min(len(kinds), len(modifiers), len(controls), len(operations)) > 7
    assert [name for name in (*kinds, *modifiers, *controls, *operations) if f"{name}`" not in supported] == []


def test_the_index_names_every_page() -> None:
    index = text_of("docs/README.md")
    for folder in ("howto", "reference", "explanation"):
        for page in sorted((ROOT / "docs" / folder).glob("*.md")):
            assert f"]({folder}/{page.name})" in index, page.name
