# SPDX-License-Identifier: Apache-2.0
"""The tour of the README, word for word, against a real demo; and the three commands that the demo prints."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.docs.pages import ROOT, blocks, text_of
from tests.support.served import PATIENCE, SALUS, free_port, until

_EXPECTED = "#=> "
_MARK = "@@step {}@@"


class Step(NamedTuple):
    """Commands, and what their output must show in this order."""

    commands: str
    expected: tuple[str, ...]


class Demo(NamedTuple):
    """A running demo: the folder that its data folder lies in, its port, and what it printed."""

    place: Path
    port: int
    printed: str


def steps() -> list[Step]:
    found = []
    for block in blocks(text_of("README.md")):
        if block.info != "sh tour":
            continue
        commands, expected = [], []
        for line in block.text.splitlines():
            if line.startswith(_EXPECTED):
                expected.append(line.removeprefix(_EXPECTED))
                continue
            if expected:
                found.append(Step("\n".join(commands), tuple(expected)))
                commands, expected = [], []
            commands.append(line)
        found.append(Step("\n".join(commands), tuple(expected)))
    return found


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    port = free_port()
    log = tmp_path / "printed"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [SALUS, "demo", "--patients", "3", "--port", str(port)],
            cwd=tmp_path,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
        try:

            def serves() -> bool:
                assert process.poll() is None, log.read_text()
                return b"\nServing" in log.read_bytes() and _answers(tmp_path, port)

            until(serves, log.read_text)
            yield Demo(tmp_path, port, log.read_text())
        finally:
            process.terminate()
            process.wait(timeout=PATIENCE)


def _answers(place: Path, port: int) -> bool:
    address = f"https://localhost:{port}/health"
    asked = [sys.executable, ROOT / "tools" / "ask.py", place / "salus-demo" / "tls" / "ca.crt", address]
    return subprocess.run(asked, capture_output=True, check=False).returncode == 0


def run(demo: Demo, all_steps: list[Step]) -> list[str]:
    """Run the steps in one shell, as a person would; gives the output of each."""
    script = "\n".join(f"echo '{_MARK.format(number)}'\n{step.commands}" for number, step in enumerate(all_steps))
    done = subprocess.run(
        ["bash"],
        input=script,
        cwd=demo.place,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    return re.split(_MARK.format(r"\d+"), done.stdout)[1:]


def here(commands: str, demo: Demo) -> str:
    """The commands with the places of this run: the demo's port, and the repository's tools from the demo's folder."""
    for written, real in (
        (".venv/bin/salus", str(SALUS)),
        (".venv/bin/python", sys.executable),
        ("tools/forge.py", str(ROOT / "tools" / "forge.py")),
        ("8443", str(demo.port)),
    ):
        commands = commands.replace(written, real)
    return commands


def shows(output: str, expected: str) -> bool:
    """Whether the output has this text, `…` standing for anything; spaces may be wider (columns)."""
    pieces = [r"\s+".join(map(re.escape, piece.split(" "))) for piece in expected.split("…")]
    return re.search(".*".join(pieces), output, re.DOTALL | re.IGNORECASE) is not None


def test_the_tour_of_the_readme_works_word_for_word(demo: Demo) -> None:
    commands = [line.strip() for line in demo.printed.splitlines() if re.match(r"  (TOKEN=|curl |\S+salus )", line)]
    assert len(commands) == 3, demo.printed
    printed = Step("\n".join(commands), ('"resourceType":"Patient"…The log is whole.',))
    all_steps = [printed, *(Step(here(step.commands, demo), step.expected) for step in steps())]
    outputs = run(demo, all_steps)
    assert len(outputs) == len(all_steps)
    for step, output in zip(all_steps, outputs, strict=True):
        for expected in step.expected:
            assert shows(output, expected), f"{step.commands}\n\nmust show: {expected}\n\nbut shows:\n{output}"
    assert {path.name for path in demo.place.iterdir()} == {"salus-demo", "printed"}, "the tour leaves nothing behind"


def test_the_tour_shows_what_the_readme_promises() -> None:
    promised = " ".join(word for step in steps() for word in step.expected)
    for word in ("401", "403", "404", "201", "_history", "AuditEvent", "The log is whole", "The log was tampered with"):
        assert word in promised + text_of("README.md")
    assert len([step for step in steps() if step.expected]) >= 15
