# SPDX-License-Identifier: Apache-2.0
"""Write docs/reference/smart-requirements.md: each requirement of SMART and (g)(10) with the tests that cover it.

A test says what it covers with `@pytest.mark.requirement("smart@31", "g10@AUT-PAT-31")`; what has no test has a reason
in `tests/conformance/requirements/`. A test of the documentation keeps the page true.

    python tools/requirements.py            writes the page
    python tools/requirements.py --open     lists what has neither test nor reason
"""

from __future__ import annotations

import ast
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LISTS = ROOT / "tests" / "conformance" / "requirements"
PAGE = ROOT / "docs" / "reference" / "smart-requirements.md"
TITLES = {"smart": "SMART App Launch 2.2", "g10": "ONC certification, § 170.315(g)(10)"}
_SPECIFICATION = "https://hl7.org/fhir/smart-app-launch/STU2.2/"
_REASONS = "because"

_HEAD = """\
# Requirements of SMART App Launch, one by one

Every requirement on servers (SHALL and SHALL NOT) with the tests that cover it, or with the reason why there is none.
The numbers are those of the requirement lists of the Inferno test kits; the words are ours. Made by
`tools/requirements.py` from `tests/conformance/requirements/` and from the tests.
"""


@dataclass(frozen=True, slots=True)
class Requirement:
    """One requirement: `smart@31`, where it stands, what it says, and why it has no test (empty when it needs one)."""

    id: str
    section: str
    says: str
    reason: str


def requirements() -> list[Requirement]:
    """All that are listed, in their order."""
    found = []
    for source in TITLES:
        tables = tomllib.loads((LISTS / f"{source}.toml").read_text(encoding="utf-8"))
        reasons = tables.pop(_REASONS)
        for section, items in tables.items():
            found += [
                Requirement(f"{source}@{number}", section, says, reasons.get(number, ""))
                for number, says in items.items()
            ]
    return found


def covered() -> dict[str, list[str]]:
    """`path::name` of the tests for each requirement that a test names."""
    found: dict[str, list[str]] = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        text = path.read_text(encoding="utf-8")
        if "mark.requirement" not in text:
            continue
        place = path.relative_to(ROOT).as_posix()
        for function in ast.walk(ast.parse(text)):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                for decorator in function.decorator_list:
                    for id_ in _named(decorator):
                        found.setdefault(id_, []).append(f"{place}::{function.name}")
    return found


def _named(decorator: ast.expr) -> Iterator[str]:
    if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "pytest.mark.requirement":
        for argument in decorator.args:
            if not isinstance(argument, ast.Constant) or not isinstance(argument.value, str):
                raise SystemExit("requirement() takes plain texts, so that they can be read without running anything")
            yield argument.value


def page() -> str:
    """The page as it ought to be."""
    covering, listed = covered(), requirements()
    lines = [_HEAD]
    for source, title in TITLES.items():
        mine = [one for one in listed if one.id.startswith(f"{source}@")]
        tested = sum(1 for one in mine if one.id in covering)
        reasoned = sum(1 for one in mine if one.id not in covering and one.reason)
        lines += [f"## {title}\n", f"{len(mine)} requirements: {tested} with tests, {reasoned} with a reason.\n"]
        chapter = ""
        for one in mine:
            if _chapter(one) != chapter:
                chapter = _chapter(one)
                lines += ["", f"### {chapter}\n", "| number | what | how |", "|---|---|---|"]
            lines.append(f"| {_number(one)} | {one.says} | {_how(one, covering)} |")
        lines.append("")
    return "\n".join(lines).replace("\n\n\n", "\n\n").rstrip() + "\n"


def _chapter(one: Requirement) -> str:
    """The page of the specification, or the part of the test procedure."""
    name = one.section.partition(".html")[0]
    return name.replace("-", " ").capitalize()


def _number(one: Requirement) -> str:
    source, _, number = one.id.partition("@")
    return f"[{number}]({_SPECIFICATION}{one.section})" if source == "smart" else number


def _how(one: Requirement, covering: dict[str, list[str]]) -> str:
    named = covering.get(one.id, [])
    if not named:
        return one.reason or "open"
    shown = [f"`{test.removeprefix('tests/')}`" for test in named[:3]]
    more = f" and {len(named) - 3} more" if len(named) > 3 else ""
    return ", ".join(shown) + more


def main(arguments: list[str]) -> int:
    """Write the page, or list what is open."""
    covering = covered()
    unknown = sorted(set(covering) - {one.id for one in requirements()})
    if unknown:
        print("no such requirement:", ", ".join(unknown), file=sys.stderr)
        return 1
    if "--open" in arguments:
        for one in requirements():
            if one.id not in covering and not one.reason:
                print(one.id, one.says)
        return 0
    PAGE.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
