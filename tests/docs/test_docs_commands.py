# SPDX-License-Identifier: Apache-2.0
"""Commands, options and make targets: documented as they are, and spelled right wherever a page shows them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from salus.cli import main, shell
from tests.docs.pages import blocks, pages, rows, sections, text_of, without_blocks

_IN_BLOCK = re.compile(r"(?:^|[\s(])(?:\.venv/bin/)?salus ([a-z][^\n|)]*)", re.MULTILINE)
_IN_PROSE = re.compile(r"`salus ([a-z][^`]*)`")


def leaves(command: click.Command, name: str = "salus") -> Iterator[tuple[str, click.Command]]:
    if not isinstance(command, click.Group):
        yield name, command
        return
    context = click.Context(command)
    for inner in command.list_commands(context):
        found = command.get_command(context, inner)
        assert found is not None
        yield from leaves(found, f"{name} {inner}")


COMMANDS = dict(leaves(main))


def options(command: click.Command) -> dict[str, click.Option]:
    return {each.opts[0]: each for each in command.params if isinstance(each, click.Option)}


def test_every_command_has_its_section_and_none_is_left_over() -> None:
    documented = sections(text_of("docs/reference/commands.md"))
    assert documented.keys() - {""} == COMMANDS.keys()
    codes = {int(row[0]) for row in rows(documented[""])}
    assert codes == {0, shell.EXIT_FOUND, shell.EXIT_MISUSE, shell.EXIT_REFUSED, shell.EXIT_UNAVAILABLE}


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_option_has_its_line_with_default_and_help(name: str) -> None:
    section = sections(text_of("docs/reference/commands.md"))[name]
    listed = {row[0]: row for row in rows(section)}
    known = options(COMMANDS[name])
    assert listed.keys() == known.keys()
    for option, parameter in known.items():
        _, default, meaning = listed[option]
        assert meaning.startswith(str(parameter.help))
        plain = isinstance(parameter.default, str | int | Path) and not parameter.is_flag and not parameter.multiple
        assert default == (str(parameter.default) if plain else "")
    words = " ".join((COMMANDS[name].help or "").split())
    assert words in " ".join(section.split())


def shown() -> list[tuple[str, str]]:
    """Commands as they stand on the pages: (page, what follows `salus`)."""
    found = []
    for page in pages():
        text = page.read_text("utf-8")
        for block in blocks(text):
            if block.info.split(" ")[0] in {"sh", "ini"}:
                joined = block.text.replace("\\\n", " ")
                found += [(page.name, rest) for rest in _IN_BLOCK.findall(joined)]
        found += [(page.name, rest) for rest in _IN_PROSE.findall(without_blocks(text))]
    return found


def test_commands_on_every_page_exist_with_their_options() -> None:
    seen = 0
    for page, rest in shown():
        words = shlex.split(rest, comments=True)
        command: click.Command | None = main
        while isinstance(command, click.Group) and words:
            command = command.get_command(click.Context(command), words.pop(0))
        assert command is not None, f"{page}: salus {rest}"
        for word in words:
            if word.startswith("--"):
                assert word in options(command), f"{page}: salus {rest}"
        seen += 1
    assert seen > 60


def test_every_make_target_is_documented_and_none_that_has_gone() -> None:
    makefile = text_of("Makefile")
    targets = set(re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE))
    listed = {row[0].removeprefix("make ") for row in rows(text_of("CONTRIBUTING.md")) if row[0].startswith("make ")}
    assert listed == targets
    assert targets <= set(re.findall(r"^\.PHONY: ([a-z-]+)$", makefile, re.MULTILINE))
    for page in pages():
        text = page.read_text("utf-8")
        for target in re.findall(r"(?:^|`)make ([a-z-]+)", text, re.MULTILINE):
            assert target in targets, f"{page.name}: make {target}"
