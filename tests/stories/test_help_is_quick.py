# SPDX-License-Identifier: Apache-2.0
"""`salus --help` and shell completion load nothing heavy."""

from __future__ import annotations

import subprocess
import sys

import click
from tests.support.served import PATIENCE

from salus.cli import _COMMANDS, main

_HEAVY = ("apsw", "cryptography", "granian", "faker", "jsonschema_rs", "salus.app", "salus.records", "salus.fhir")


def test_help_imports_neither_the_rooms_nor_their_libraries() -> None:
    script = (
        "import sys\n"
        "from salus.cli import main\n"
        "main(['--version'], standalone_mode=False)\n"
        f"print([name for name in {_HEAVY!r} if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=PATIENCE)
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_list_of_commands_says_what_each_says_itself() -> None:
    context = click.Context(main)
    for name in main.list_commands(context):
        command = main.get_command(context, name)
        assert command is not None
        assert (command.help or "").replace("\n", " ").startswith(_COMMANDS[name][1]), name


def test_help_of_the_program_imports_nothing_heavy_either() -> None:
    script = (
        "import sys\n"
        "from salus.cli import main\n"
        "main(['--help'], standalone_mode=False)\n"
        f"print([name for name in {_HEAVY!r} if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=PATIENCE)
    assert "import" in done.stdout
    assert "serve" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"
