# SPDX-License-Identifier: Apache-2.0
"""Nothing in the repository names a machine, a package index, or anything else that belongs to somebody's desk."""

from __future__ import annotations

import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

from tests.docs.pages import ROOT

_HERE = Path(__file__).relative_to(ROOT)
_LEFT_OUT = {".git", ".venv", "__pycache__", "salus-demo", "salus-data", "build", "dist", "node_modules"}

UNWANTED = {
    "a folder of one machine": r"(?<![\w.:/~-])/(?:root|work|home|Users)/\w",
    "a temporary file of one machine": r"(?<![\w.:/~-])/tmp/\w",
    "a package index": r"pypi\.org|pythonhosted|npmjs\.(?:com|org)|--(?:extra-)?index-url|--find-links",
    "how it was written": r"\b(?:claude|anthropic|openai|chatgpt|copilot|language models?|sub-?agents?)\b",
    "a mark of work left undone": r"\b(?:TODO|FIXME|XXX)\b",
}


@cache
def tracked() -> tuple[tuple[Path, str], ...]:
    """Text files of the repository: those that git keeps or would keep."""
    if (ROOT / ".git").exists() and shutil.which("git"):
        listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        output = subprocess.run(listing, cwd=ROOT, capture_output=True, check=True).stdout.decode()
        paths = [Path(name) for name in output.split("\0") if name]
    else:
        paths = [p.relative_to(ROOT) for p in ROOT.rglob("*") if not _LEFT_OUT & set(p.parts)]
    found = []
    for path in paths:
        if path != _HERE and (ROOT / path).is_file():
            try:
                found.append((path, (ROOT / path).read_text("utf-8")))
            except UnicodeDecodeError:
                continue
    return tuple(found)


@pytest.mark.parametrize("what", UNWANTED)
def test_no_file_names(what: str) -> None:
    flags = 0 if what.startswith("a mark") else re.IGNORECASE
    pattern = re.compile(UNWANTED[what], flags)
    found = [
        f"{path}:{text.count(chr(10), 0, match.start()) + 1}: {match[0]}"
        for path, text in tracked()
        for match in pattern.finditer(text)
    ]
    assert found == []


def test_there_are_files_to_look_at() -> None:
    assert {Path("README.md"), Path("Makefile"), Path("src/salus/cli/demo.py")} <= {path for path, _ in tracked()}


def test_no_link_is_kept() -> None:
    """A link leads out of the repository: on another machine nowhere, on this one over somebody's folder."""
    if not ((ROOT / ".git").exists() and shutil.which("git")):
        pytest.skip("this is not a git checkout")
    listing = subprocess.run(["git", "ls-files", "--stage"], cwd=ROOT, capture_output=True, check=True, text=True)
    assert [line for line in listing.stdout.splitlines() if line.startswith("120000")] == []
