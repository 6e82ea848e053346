# SPDX-License-Identifier: Apache-2.0
"""Passwords that are known to have leaked: a list in the package, and a larger one of the operator's. Never online.

A list is a file of sorted numbers: the first 64 bits of the SHA-1 of each password, after a mark of eight bytes. It is
looked up by bisection in the mapped file, so a list of any size costs no memory and about thirty comparisons. A good
password is in a list of a thousand million by chance with a probability below one in ten thousand million.

The operator's list is made from the format of Have I Been Pwned (SHA-1 in hexadecimal, a colon, a count): one sorted
file, or a folder of files named after the first five digits, as its download tools leave them; gzip is read as well.
"""

from __future__ import annotations

import gzip
import hashlib
import mmap
import os
import re
from collections.abc import Iterable, Iterator
from importlib import resources
from pathlib import Path

from salus.kernel.errors import Kind, Problem

MARK = b"salusb1\n"
WIDTH = 8
_LINE = re.compile(rb"([0-9A-Fa-f]{35}|[0-9A-Fa-f]{40})(?::(\d+))?\s*")
_PREFIX = re.compile(r"[0-9A-Fa-f]{5}")


def number_of(password: str) -> bytes:
    """Under which a password is listed."""
    raw = password.encode("utf-8", "surrogatepass")
    return hashlib.sha1(raw, usedforsecurity=False).digest()[:WIDTH]


class Breached:
    """The lists together.

    Args:
        more: the operator's list, which need not be there.
    """

    def __init__(self, more: Path | None = None) -> None:
        self._more = more
        self._own = resources.files("salus.identity.factors").joinpath("breached.bin").read_bytes()

    def known(self, passwords: Iterable[str]) -> bool:
        """Whether one of these is listed.

        Raises:
            Problem: UNAVAILABLE when the operator's list is no list.
        """
        numbers = {number_of(password) for password in passwords}
        return any(_listed(self._own, number) for number in numbers) or self._in_more(numbers)

    def _in_more(self, numbers: set[bytes]) -> bool:
        if self._more is None or not self._more.exists():
            return False
        with self._more.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            if mapped[: len(MARK)] != MARK:
                raise Problem(Kind.UNAVAILABLE, "The list of leaked passwords cannot be read.", "no list")
            return any(_listed(mapped, number) for number in numbers)


def _listed(listing: bytes | mmap.mmap, number: bytes) -> bool:
    low, high = 0, (len(listing) - len(MARK)) // WIDTH
    while low < high:
        middle = (low + high) // 2
        at = len(MARK) + middle * WIDTH
        found = listing[at : at + WIDTH]
        if found == number:
            return True
        low, high = (middle + 1, high) if found < number else (low, middle)
    return False


def import_list(source: Path, target: Path, *, at_least: int = 1) -> int:
    """Make a list from the format of Have I Been Pwned.

    Args:
        source: one sorted file, or a folder of files by prefix.
        target: replaced as a whole when the new list is complete.
        at_least: leave out what has leaked less often.

    Returns:
        How many passwords it holds.

    Raises:
        Problem: INCORRECT for a line that is not understood, or a file that is not sorted; NOT_FOUND without a source.
    """
    if not source.exists():
        raise Problem(Kind.NOT_FOUND, f"There is no {source.name}.")
    building, count, last = target.with_name(f".{target.name}.new"), 0, b""
    try:
        with building.open("wb") as out:
            building.chmod(0o600)
            out.write(MARK)
            for number in _numbers(source, at_least):
                if number < last:
                    raise Problem(Kind.INCORRECT, f"{source.name} is not sorted by hash.")
                if number != last:
                    out.write(number)
                    count, last = count + 1, number
            out.flush()
            os.fsync(out.fileno())
        building.replace(target)
    finally:
        building.unlink(missing_ok=True)
    return count


def _numbers(source: Path, at_least: int) -> Iterator[bytes]:
    if not source.is_dir():
        yield from _of_file(source, "", at_least)
        return
    named = {file.name[:5].upper(): file for file in source.rglob("*") if _PREFIX.fullmatch(file.name.split(".")[0])}
    if not named:
        raise Problem(Kind.INCORRECT, f"{source.name} has no files named after five hexadecimal digits.")
    for prefix in sorted(named):
        yield from _of_file(named[prefix], prefix, at_least)


def _of_file(path: Path, prefix: str, at_least: int) -> Iterator[bytes]:
    with path.open("rb") as file, gzip.open(file) if path.suffix == ".gz" else file as lines:
        for line_number, line in enumerate(lines, start=1):
            match = _LINE.fullmatch(line)
            whole = b"" if match is None else match[1] if len(match[1]) == 40 else prefix.encode() + match[1]
            if match is None or len(whole) != 40:
                raise Problem(Kind.INCORRECT, f"{path.name}, line {line_number}: not SHA-1, a colon and a count.")
            if match[2] is None or int(match[2]) >= at_least:
                yield bytes.fromhex(whole.decode())[:WIDTH]
