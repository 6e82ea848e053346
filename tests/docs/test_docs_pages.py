# SPDX-License-Identifier: Apache-2.0
"""Pages hang together: links and names resolve, rooms, files and decisions are those that are there."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

from salus.app.safety import DEMO_MARK
from tests.docs.pages import ROOT, pages, rows, sections, text_of, without_blocks
from tests.support.clinic import Clinic

_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_NAME = re.compile(r"`(salus(?!\.toml`)(?:\.[a-z_]+)+(?:\.[A-Z]\w*)?(?:\.[a-z_]\w*)?)`")
_PARTS = ["Context", "Decision", "Consequences", "Options not taken"]


def anchors(page: Path) -> set[str]:
    """Anchors of the headings, as code hosts make them."""
    headings = re.findall(r"^#+ (.*)$", without_blocks(page.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    for link in _LINK.findall(without_blocks(page.read_text("utf-8"))):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.is_relative_to(ROOT), link
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target), link


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in reached:
            continue
        reached.add(page)
        for link in _LINK.findall(without_blocks(page.read_text("utf-8"))):
            target = (page.parent / link.partition("#")[0]).resolve()
            if "://" not in link and target.suffix == ".md" and target.exists():
                waiting.append(target)
    assert set(pages()) <= reached


def test_every_name_of_the_program_on_a_page_can_be_imported() -> None:
    seen = set()
    for page in pages():
        seen |= set(_NAME.findall(page.read_text("utf-8")))
    for name in seen:
        parts = name.split(".")
        split = next((i for i, part in enumerate(parts) if part[0].isupper()), len(parts))
        found = _imported(parts[:split], name)
        for part in parts[split:]:
            found = getattr(found, part)
    assert len(seen) > 40


def _imported(parts: list[str], name: str) -> object:
    try:
        return importlib.import_module(".".join(parts))
    except ModuleNotFoundError:  # the last part is a function of the module before it
        found = getattr(importlib.import_module(".".join(parts[:-1])), parts[-1], None)
        assert found is not None, name
        return found


def test_every_room_stands_in_the_readme_and_in_the_codemap() -> None:
    rooms = {folder.parent.name for folder in (ROOT / "src" / "salus").glob("*/__init__.py")}
    for page, heading in (("README.md", "The rooms"), ("ARCHITECTURE.md", "Rooms")):
        first = [row[0] for row in rows(sections(text_of(page))[heading])]
        assert {room for cell in first for room in re.findall(r"salus\.([a-z]+)", cell)} == rooms, page


def test_the_data_folder_holds_what_the_architecture_lists(clinic: Clinic) -> None:
    table = sections(text_of("ARCHITECTURE.md"))["The data folder"]
    listed: set[str] = set()
    for row in rows(table):
        names = re.findall(r"`([^`]+)`", row[0]) or [row[0]]
        base = [name for name in names if not name.startswith("-")]
        listed |= set(base) | {base[0] + name for name in names if name.startswith("-")}
    found = {str(file.relative_to(clinic.folder)) for file in clinic.folder.rglob("*") if file.is_file()}
    kinds = {name: name if name in listed else f"{Path(name).parent}/*{Path(name).suffix}" for name in found}
    assert set(kinds.values()) <= listed
    with_use = ("backup", "verif", "knowledge.", "journals/", "keys/unseal.", "checkpoints/default.")
    later = {name for name in listed if name.startswith(with_use)}  # made with the first use
    assert listed - set(kinds.values()) <= {DEMO_MARK, *later}


def test_every_decision_is_listed_and_has_its_four_parts() -> None:
    folder = ROOT / "docs" / "adr"
    decisions = sorted(folder.glob("[0-9]*.md"))
    assert [int(page.name[:4]) for page in decisions] == list(range(1, len(decisions) + 1))
    index = text_of("docs/adr/README.md")
    for page in decisions:
        text = page.read_text("utf-8")
        number, title = re.match(r"# (\d+) (.*)", text).groups()  # type: ignore[union-attr]
        assert int(number) == int(page.name[:4])
        assert f"{number}. [{title}]({page.name})" in index
        assert [heading for heading in sections(text) if heading] == _PARTS
        assert len(text.splitlines()) < 60, "one page"
