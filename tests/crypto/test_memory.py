# SPDX-License-Identifier: Apache-2.0
"""Whoever gets a copy of the memory of a process that has let go of its keys finds none of them."""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from salus.crypto.derivation import derive
from salus.crypto.key_table import Purpose
from salus.crypto.keyring import create_keyring, open_keyring
from salus.crypto.kms.local import LocalKeyProvider
from tests.crypto.releasing import OWNERS
from tests.support.served import PATIENCE


def the_keys(folder: Path) -> dict[str, bytes]:
    """Every key that the other process will use, by name."""
    provider = LocalKeyProvider.create(folder / "root.key", None)
    with closing(create_keyring(folder / "keys", provider)) as keyring:
        keyring.create_tenant("default").ensure_patients(OWNERS)
    with closing(open_keyring(folder / "keys", provider)) as keyring:
        keys = keyring.tenant("default")
        assert provider._file is not None
        found = {"provider's root key": bytes(provider._file.versions[1])}
        found |= {"page key": bytes(keyring._page.value), "tenant root key": bytes(keys._root)}
        of_table = bytes(keyring.page_key("keys"))
        found |= {"page key of keys.db": of_table, "page key of keys.db, hexadecimal": of_table.hex().encode()}
        # Not the key of the last MAC: in about one of ten runs a library leaves a copy in memory that it has freed.
        labels = ("surrogate", "index/epoch-1", "seal/identity", "seal/audit-body")
        for label in labels:
            found[label] = bytes(derive(keys._root, label))
        found["wrapping key"] = bytes(keys._epochs[1])
        for label in (f"wrap/{purpose}/epoch-1" for purpose in Purpose):
            found[label] = bytes(derive(keys._epochs[1], label))
        for purpose in (Purpose.PATIENT, Purpose.AUDIT):
            for number, owner in enumerate(OWNERS):
                row = keyring.table.get("default", purpose, owner)
                assert row is not None
                epoch, wrapped = row
                context = keys._context(purpose, owner, epoch)
                found[f"{purpose} key {number}"] = bytes(keys._wrapping[epoch, purpose].open_key(wrapped, context))
    assert len(set(found.values())) == len(found)
    return found


def seen(process: int, keys: dict[str, bytes]) -> set[str]:
    """Names of the keys that stand anywhere in the memory of a process."""
    names = set()
    with Path(f"/proc/{process}/maps").open() as maps, Path(f"/proc/{process}/mem").open("rb", 0) as memory:
        for line in maps:
            span, rights, *_ = line.split()
            if not rights.startswith("r") or line.rstrip().endswith(("[vvar]", "[vsyscall]")):
                continue
            start, end = (int(part, 16) for part in span.split("-"))
            try:
                memory.seek(start)
                content = memory.read(end - start)
            except (OSError, ValueError, OverflowError):
                continue  # a device, or gone
            names |= {name for name, key in keys.items() if key in content}
    return names


@pytest.mark.parametrize("how", ["close", "limit"])
def test_a_memory_scan_finds_no_key_that_was_let_go(tmp_path: Path, how: str) -> None:
    folder = tmp_path / "installation"
    folder.mkdir(mode=0o700)
    keys = the_keys(folder)
    with subprocess.Popen(
        [sys.executable, "-m", "tests.crypto.releasing", folder, how],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            held = seen(process.pid, keys)
        except PermissionError:
            process.kill()
            pytest.skip("this machine lets nobody look into the memory of a process")
        assert {"tenant root key", "page key", "patient key 0"} <= held  # the scan does see what is there
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline() == "released\n"
        found = seen(process.pid, keys)
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.wait(PATIENCE) == 0
    assert found == set()


def test_a_server_process_leaves_no_core_and_lets_nobody_attach() -> None:
    program = (
        "import ctypes, resource; from salus.app.memory import seal_memory; seal_memory();"
        "print(resource.getrlimit(resource.RLIMIT_CORE), ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))"  # PR_GET_DUMPABLE
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "(0, 0) 0"
