# SPDX-License-Identifier: Apache-2.0
"""Finding definitions: what was installed goes before what is shipped, the newest version before the others.

Each process keeps what it opened until the generation changes. Another process that installs something changes SQLite's
data version, which costs about a microsecond to ask for; nothing has to be restarted.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from pathlib import Path
from time import monotonic
from typing import Any

import zstandard

from salus.crypto.wiping import wipe
from salus.fhir import json
from salus.fhir.terminology.code_system import ResourceSystem
from salus.fhir.terminology.engine import Engine
from salus.fhir.terminology.grammar import GRAMMARS
from salus.fhir.terminology.source import CodeSource
from salus.kernel.db import Connection, migrate, open_database
from salus.knowledge.schema import MIGRATIONS, ROOM
from salus.knowledge.shipped import shipped
from salus.knowledge.systems import LoadedSystem, loaded
from salus.knowledge.versions import newness

Resource = dict[str, Any]

_KEPT = 2_000  # opened resources, in one process
_ABSENT = 0.02  # seconds between two looks for a database that is not there; a look costs more than it seems
_LONGEST = 500  # characters of a url that is remembered: what is asked for comes from outside


class Library:
    """Conformance resources by url; a `salus.fhir.terminology.protocol.Canonicals`.

    The database is made with the first installation; until then nothing but the shipped definitions is there.
    """

    def __init__(self, path: Path, page_key: Callable[[], bytearray | None]) -> None:
        """Open the library.

        Args:
            path: the database; need not be there.
            page_key: gives its key; asked for each time that the database is opened, and wiped then. None leaves the
                pages in clear, for tests.

        Raises:
            Problem: UNAVAILABLE when the database is there and cannot be opened.
        """
        self._path = path
        self._page_key = page_key
        self._db: Connection | None = None
        self._look_again = 0.0
        self._seen = -1
        self._generation = 0
        self._found: OrderedDict[tuple[str, str, str], Resource | None] = OrderedDict()
        self._sources: OrderedDict[tuple[str, str], CodeSource | None] = OrderedDict()
        self._engine: Engine | None = None
        self.refresh()

    @property
    def generation(self) -> int:
        """Grows with every change to what is installed, by this process or another."""
        self.refresh()
        return self._generation

    @property
    def lock_file(self) -> Path:
        """What keeps two processes apart that change code systems."""
        return self._path.with_suffix(".lock")

    @property
    def db(self) -> Connection | None:
        """The database, once something was installed."""
        return self._db

    def writable(self) -> Connection:
        """The database, made if it is missing."""
        if self._db is None:
            key = self._page_key()
            try:
                self._db = open_database(self._path, key)
            finally:
                if key is not None:
                    wipe(key)
            migrate(self._db, ROOM, MIGRATIONS)
            self._db.execute("pragma foreign_keys=on")
        return self._db

    def refresh(self) -> None:
        """Notice what another process has changed; asked for once at the start of a request."""
        if self._db is None:
            now = monotonic()
            if now < self._look_again:
                return
            if not self._path.exists():
                self._look_again = now + _ABSENT
                return
            self.writable()
        seen = self._read("pragma data_version")
        if seen != self._seen:
            self._seen = seen
            self._learn(self._read("select number from generation"))

    def changed(self, db: Connection) -> None:
        """Count a change, inside the transaction that makes it."""
        db.execute("update generation set number = number + 1")

    def after_change(self) -> None:
        """Notice what this process itself has committed."""
        self._learn(self._read("select number from generation"))

    def find(self, type_: str, url: str, version: str = "") -> Resource | None:
        """A conformance resource by type and canonical url; see `Canonicals.find`."""
        if "|" in url:
            url, _, version = url.partition("|")
        key = (type_, url, version)
        if key in self._found:
            return self._found[key]
        found = self._installed(type_, url, version) or _shipped(type_, url, version)
        if len(self._found) >= _KEPT:
            self._found.popitem(last=False)
        if len(url) + len(version) <= _LONGEST:
            self._found[key] = found
        return found

    def all(self, type_: str) -> Iterable[tuple[str, str]]:
        """Url and version of every resource of this type."""
        known = {pair for file in shipped() for pair in file.all(type_)}
        if self._db is not None:
            known.update(self._db.execute("select url, version from resource where type=?", (type_,)))
        return known

    def installed(self, type_: str) -> list[Resource]:
        """Every resource of a type out of installed packages, shipped ones left out."""
        if self._db is None:
            return []
        rows: Any = self._db.execute("select body from resource where type=? order by url, version", (type_,))
        return [unpack(body) for (body,) in rows.fetchall()]

    # ── terminology ──────────────────────────────────────────────────────────────────────────────────────────────────

    def source(self, url: str, version: str = "") -> CodeSource | None:
        """A code system, ready to be asked; see `Definitions.source`."""
        if "|" in url:
            url, _, version = url.partition("|")
        key = (url, version)
        if key in self._sources:
            return self._sources[key]
        found = self._opened(url, version)
        if len(self._sources) >= _KEPT:
            self._sources.popitem(last=False)
        if len(url) + len(version) <= _LONGEST:
            self._sources[key] = found
        return found

    def engine(self) -> Engine:
        """The terminology of what is installed now; the same one until that changes."""
        if self._engine is None:
            self._engine = Engine(self)
        return self._engine

    def systems(self) -> set[tuple[str, str]]:
        """Url and version of every code system that is here, in full or in part."""
        found = {*self.all("CodeSystem"), *((url, "") for url in GRAMMARS)}
        if self._db is not None:
            found.update((row.url, row.version) for row in loaded(self._db))
        return found

    def supplements(self, url: str) -> list[Resource]:
        """Installed CodeSystems that add names and properties to this one."""
        if self._db is None:
            return []
        rows: Any = self._db.execute("select body from resource where supplements=? order by id", (url,)).fetchall()
        return [unpack(body) for (body,) in rows]

    def _opened(self, url: str, version: str) -> CodeSource | None:
        if url in GRAMMARS:
            return GRAMMARS[url]
        found = self._loaded(url, version)
        if found is not None:
            return found
        resource = self.find("CodeSystem", url, version)
        if resource is None or resource.get("content") == "supplement":
            return None
        return ResourceSystem(resource, self.supplements(url))

    def _loaded(self, url: str, version: str) -> LoadedSystem | None:
        if self._db is None:
            return None
        fitting = [row for row in loaded(self._db) if row.url == url and version in {"", row.version}]
        newest = max(fitting, key=lambda row: (newness(row.version), row.id), default=None)
        return LoadedSystem(self._db, newest) if newest is not None else None

    def search_parameters(self) -> list[Resource]:
        """SearchParameters beyond those of FHIR R4: of US Core, which is shipped, and of installed packages."""
        urls = [url for file in shipped() for url, _ in file.all("SearchParameter")]
        here = [found for url in urls if (found := _shipped("SearchParameter", url, ""))]
        return [*here, *self.installed("SearchParameter")]

    def close(self) -> None:
        """Let go of the file."""
        if self._db is not None:
            self._db.close()
            self._db = None

    def _installed(self, type_: str, url: str, version: str) -> Resource | None:
        if self._db is None:
            return None
        sql = "select version, id from resource where type=? and url=?"
        rows: list[Any] = self._db.execute(sql, (type_, url)).fetchall()
        fitting = [row for row in rows if not version or row[0] == version]
        if not fitting:
            return None
        newest = max(fitting, key=lambda row: (newness(row[0]), row[1]))
        body: Any = self._db.execute("select body from resource where id=?", (newest[1],)).fetchone()
        return unpack(body[0])

    def _read(self, sql: str) -> int:
        assert self._db is not None  # noqa: S101  only called with a database
        row: Any = self._db.execute(sql).fetchone()
        return int(row[0])

    def _learn(self, generation: int) -> None:
        if generation != self._generation:
            self._generation = generation
            self._found.clear()
            self._sources.clear()
            self._engine = None


def _shipped(type_: str, url: str, version: str) -> Resource | None:
    return next((found for file in shipped() if (found := file.find(type_, url, version))), None)


def pack(resource: Resource) -> bytes:
    """A resource as it is kept."""
    return zstandard.ZstdCompressor(level=9).compress(json.encode(resource))


def unpack(body: bytes) -> Resource:
    """What `pack` made."""
    return json.decode(zstandard.ZstdDecompressor().decompress(body))
