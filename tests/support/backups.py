# SPDX-License-Identifier: Apache-2.0
"""A clinic that makes backups, and the commands as an operator runs them."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
from click.testing import CliRunner, Result

from salus.backup.sealing import new_identity
from salus.cli import main
from salus.kernel.settings import FILE_NAME, Backup
from tests.support.clinic import Clinic


def run(*words: object, env: dict[str, str] | None = None) -> Result:
    """One command."""
    return CliRunner().invoke(main, [str(word) for word in words], env=env)


class Backups:
    """Places and identity beside a data folder whose settings name them.

    Attributes:
        folder: the data folder.
        data, keys: where the two streams lie.
        identity: file of the identity, which the server does not have.
    """

    def __init__(self, folder: Path, beside: Path) -> None:
        self.folder = folder
        self.data, self.keys = beside / "backups", beside / "key-backups"
        self.identity = beside / "backup.identity"
        secret, recipient = new_identity()
        self.identity.write_text(secret)
        settings = Backup(recipient=recipient, place=str(self.data), keys_place=str(self.keys))
        values = {name: getattr(settings, name) for name in ("recipient", "place", "keys_place")}
        lines = "".join(f"{name} = {msgspec.json.encode(value).decode()}\n" for name, value in values.items())
        with (folder / FILE_NAME).open("a") as file:
            file.write(f"\n[backup]\n{lines}")

    def create(self, *more: object) -> Result:
        """Make a backup; it must succeed."""
        done = run("backup", "create", "--data-dir", self.folder, *more)
        assert done.exit_code == 0, done.output
        return done

    def verify(self, *more: object) -> Result:
        """Check them all, with the server's memory and key."""
        return run("backup", "verify", "--data-dir", self.folder, *more)

    def public_key(self) -> str:
        """What checks signatures."""
        return run("backup", "key", "--data-dir", self.folder).output.strip()

    def restore(self, into: Path, *more: object, trust: str = "") -> Result:
        """Restore on a machine that has nothing but the backups, the identity and the root key."""
        return run(
            *("backup", "restore", into, "--trust", trust or self.public_key(), "--from", self.data),
            *("--keys-from", self.keys, "--identity", self.identity, "--root-key", self.folder / "keys" / "root.key"),
            *more,
        )

    def objects(self, kind: str) -> list[Path]:
        """Files of the data place: `chunks`, `.json` or `.note`."""
        return sorted(path for path in self.data.rglob("*") if path.is_file() and kind in str(path))

    def keep(self, name: str) -> Path:
        """A copy of the data place as it is now."""
        return Path(shutil.copytree(self.data, self.data.parent / name))


def reopened(clinic: Clinic, folder: Path) -> Clinic:
    """The clinic, moved to a restored folder."""
    clinic.close()
    clinic.folder = folder
    clinic.settings = msgspec.structs.replace(clinic.settings, folder=folder)
    clinic.open()
    return clinic
