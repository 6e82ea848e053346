# SPDX-License-Identifier: Apache-2.0
"""The page on backups, word for word, on a fresh installation."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from tests.docs.pages import blocks, text_of
from tests.support.served import PATIENCE, SALUS, free_port, salus


def test_the_page_on_backups_works_as_it_stands(tmp_path: Path) -> None:
    parts = blocks(text_of("docs/howto/backups.md"))
    commands = [block.text for block in parts if block.info == "sh backups"]
    settings = next(block.text for block in parts if block.info == "toml backups")
    salus("init", "--data-dir", tmp_path / "salus-data", "--port", str(free_port()))
    shutil.copy(tmp_path / "salus-data" / "keys" / "root.key", tmp_path)
    env = {**os.environ, "PATH": f"{SALUS.parent}:{os.environ['PATH']}"}

    def shell(text: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", text],
            cwd=tmp_path,
            env=env,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    made = shell(commands[0])
    assert made.returncode == 0, made.stderr
    recipient = made.stderr.split("recipient: ")[1].strip()
    with (tmp_path / "salus-data" / "salus.toml").open("a") as file:
        file.write("\n" + settings.replace("age1…", recipient))
    for text in commands[1:]:
        done = shell(text)
        assert done.returncode == 0, (text, done.stdout, done.stderr)
    assert (tmp_path / "restored" / "salus.toml").exists()
