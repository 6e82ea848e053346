# SPDX-License-Identifier: Apache-2.0
"""Reading the documentation: pages, sections, tables and command blocks."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
_CELL = re.compile(r"(?<!\\)\|")
_BLOCK = re.compile(r"^( *)```([^\n]*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block: what stands behind the fence, and its text."""

    info: str
    text: str


def pages() -> list[Path]:
    """Every page of the documentation."""
    return sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def text_of(name: str) -> str:
    """A page by its path from the root."""
    return (ROOT / name).read_text("utf-8")


def sections(text: str) -> dict[str, str]:
    """Text by second-level heading; what stands before the first is under the empty name."""
    found: dict[str, str] = {"": ""}
    heading = ""
    for line in text.splitlines():
        if line.startswith("## "):
            heading = line[3:].strip()
            found[heading] = ""
        else:
            found[heading] += line + "\n"
    return found


def rows(text: str) -> list[list[str]]:
    """The cells of all tables, without their heads; plain code spans lose their backticks."""
    found: list[list[str]] = []
    lines = text.splitlines()
    for number, line in enumerate(lines):
        if not line.startswith("|") or set(line) <= set("|- "):
            continue
        following = lines[number + 1] if number + 1 < len(lines) else ""
        if following.startswith("|-"):  # the head
            continue
        cells = [cell.strip() for cell in _CELL.split(line)[1:-1]]
        found.append([_plain(cell) for cell in cells])
    return found


def blocks(text: str) -> list[Block]:
    """All fenced blocks."""
    return [Block(info.strip(), body) for _, info, body in _BLOCK.findall(text)]


def without_blocks(text: str) -> str:
    """The prose, without fenced blocks."""
    return _BLOCK.sub("", text)


def _plain(cell: str) -> str:
    if len(cell) > 1 and cell[0] == cell[-1] == "`" and cell.count("`") == 2:
        return cell[1:-1]
    return cell
