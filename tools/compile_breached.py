# SPDX-License-Identifier: Apache-2.0
"""Compile `src/salus/identity/factors/breached.bin` from a list of common passwords, one a line, most common first.

    python tools/compile_breached.py LIST

What ships was made from the password list of zxcvbn 4.5.0 (MIT; Dropbox, Inc. and contributors), itself compiled from
published leaks. Only numbers are kept; nobody reads the passwords off this file.
"""

from __future__ import annotations

import sys
from pathlib import Path

from salus.identity.factors.breached import MARK, number_of

SHORTEST = 5  # what is left of a password when its decoration is taken off
TARGET = Path(__file__).parents[1] / "src" / "salus" / "identity" / "factors" / "breached.bin"


def main() -> None:
    words = {line.strip().casefold() for line in Path(sys.argv[1]).read_text("utf-8").splitlines()}
    numbers = sorted(number_of(word) for word in words if len(word) >= SHORTEST)
    TARGET.write_bytes(MARK + b"".join(numbers))
    print(f"{len(numbers)} passwords")


if __name__ == "__main__":
    main()
