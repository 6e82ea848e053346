# SPDX-License-Identifier: Apache-2.0
"""What a rotation costs: `python -m bench.rewrap [PATIENTS]` rewraps the keys of so many patients (20,000 if not told).

A patient has two keys, one for records and one for the audit log. Reports CPU seconds of this process and what that
comes to for a million patients, over a page-encrypted key table in a temporary folder.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

from salus.crypto.keyring import create_keyring
from salus.crypto.kms.local import LocalKeyProvider
from salus.crypto.rotation import begin_epoch, rewrap

_AT_ONCE = 5_000
_MILLION = 1_000_000


def main(patients: int) -> None:
    """Make keys, rotate, report."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "keys"
        with closing(create_keyring(folder, LocalKeyProvider(bytes(range(32))))) as keyring:
            keys = keyring.create_tenant("default")
            for start in range(0, patients, _AT_ONCE):
                keys.ensure_patients(os.urandom(16) for _ in range(min(_AT_ONCE, patients - start)))
            cpu, wall = time.process_time(), time.perf_counter()
            begin_epoch(keyring, "default")
            count = rewrap(keyring, "default")
            cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    print(f"{patients} patients, {count} keys: {cpu:.2f} s CPU, {wall:.2f} s, {cpu / count * 1e6:.1f} us CPU a key")
    print(
        f"for a million patients: {cpu / patients * _MILLION:.0f} s CPU ({cpu / count * _MILLION:.0f} s a million keys)"
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000)
