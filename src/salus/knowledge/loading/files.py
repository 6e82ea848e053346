# SPDX-License-Identifier: Apache-2.0
"""Finding and reading the files of a release: in a folder, or in the zip archive as it was downloaded, still packed."""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from salus.kernel.errors import Kind, Problem

_LONGEST = 1 << 20  # characters of one field


class Release:
    """The files of a release; use `release`.

    Attributes:
        name: of the folder or archive, which often tells the version.
    """

    def __init__(self, path: Path, archive: zipfile.ZipFile | None) -> None:
        self.name = path.name
        self._path = path
        self._archive = archive
        if archive is not None:
            self._names = [info.filename for info in archive.infolist() if not info.is_dir()]
        elif path.is_file():
            self._names, self._path = [path.name], path.parent
        else:
            self._names = sorted(str(file.relative_to(path)) for file in path.rglob("*") if file.is_file())

    def find(self, pattern: str) -> str | None:
        """The file whose path ends as the pattern says.

        Of several it is the one that lies highest: RxNorm carries a small release inside the large one.
        """
        ending = re.compile(rf"(?:.*/)?{pattern}", re.IGNORECASE)
        fitting = (name for name in self._names if ending.fullmatch(name))
        return min(fitting, key=lambda name: (name.count("/"), name), default=None)

    def need(self, pattern: str, what: str) -> str:
        """As `find`; raises Problem(INCORRECT), which says what is missing."""
        found = self.find(pattern)
        if found is None:
            raise Problem(Kind.INCORRECT, f"There is no {what} in {self.name}.")
        return found

    @contextmanager
    def open(self, name: str) -> Iterator[TextIO]:
        """A file as UTF-8 text."""
        raw = self._archive.open(name) if self._archive is not None else (self._path / name).open("rb")
        with io.TextIOWrapper(raw, encoding="utf-8-sig", newline="") as text:
            try:
                yield text
            except UnicodeDecodeError:
                raise Problem(Kind.INCORRECT, f"{Path(name).name} is not UTF-8.") from None
            except (zipfile.BadZipFile, csv.Error) as error:
                raise Problem(Kind.INCORRECT, f"{Path(name).name} cannot be read.", type(error).__name__) from None

    def table(self, name: str) -> Iterator[dict[str, str]]:
        """The lines of a comma-separated file with a heading."""
        csv.field_size_limit(_LONGEST)
        with self.open(name) as text:
            for row in csv.DictReader(text):
                yield {key: value or "" for key, value in row.items() if isinstance(key, str)}

    def lines(self, name: str, separator: str, columns: int) -> Iterator[list[str]]:
        """The lines of a file without quoting; raises Problem(INCORRECT) for a line with too few columns."""
        with self.open(name) as text:
            for number, line in enumerate(text, 1):
                fields = line.rstrip("\r\n").split(separator)
                if len(fields) < columns:
                    raise Problem(Kind.INCORRECT, f"{Path(name).name}, line {number}: {columns} columns are expected.")
                yield fields


@contextmanager
def release(path: Path) -> Iterator[Release]:
    """Open a release; raises Problem(INCORRECT) for what is neither a folder, a zip archive nor a file."""
    if path.is_file() and path.suffix.lower() == ".zip":
        try:
            with zipfile.ZipFile(path) as archive:
                yield Release(path, archive)
        except zipfile.BadZipFile:
            raise Problem(Kind.INCORRECT, f"{path.name} is no zip archive.") from None
    elif path.exists():
        yield Release(path, None)
    else:
        raise Problem(Kind.INCORRECT, f"There is no {path.name}.")
