# SPDX-License-Identifier: Apache-2.0
"""What validation may look up: definitions by canonical url, and codes.

Definitions come from what is installed (`Canonicals`, given from above) and from what R4 publishes itself. They are
asked for what they hold here and now; nothing is fetched.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from typing import Any, Final, Protocol

from salus.fhir.definitions.profiles import published, published_definition

Json = dict[str, Any]


class Canonicals(Protocol):
    """Finds conformance resources by url."""

    @property
    def generation(self) -> int:
        """Changes whenever something was installed, replaced or removed."""
        ...

    def find(self, type_: str, url: str, version: str = "") -> Json | None:
        """The resource of this type with this canonical url, or None; `url|version` is understood."""
        ...

    def all(self, type_: str) -> Iterable[tuple[str, str]]:
        """Url and version of every resource of this type."""
        ...


class Held:
    """Canonicals out of plain values: for tests, and for resources that somebody sends along.

    Args:
        resources: conformance resources as decoded.
    """

    def __init__(self, resources: Mapping[tuple[str, str], Json] | None = None) -> None:
        self._resources = dict(resources or {})
        self.generation = 0

    def add(self, resource: Json) -> None:
        """Hold one more."""
        self._resources[resource["resourceType"], resource.get("url", "")] = resource
        self.generation += 1

    def find(self, type_: str, url: str, version: str = "") -> Json | None:
        """As `Canonicals.find`; versions are compared when both name one."""
        plain, _, asked = url.partition("|")
        found = self._resources.get((type_, plain))
        wanted = asked or version
        if found is None or (wanted and found.get("version", wanted) != wanted):
            return None
        return found

    def all(self, type_: str) -> Iterable[tuple[str, str]]:
        """Url and version of everything of this type that is held."""
        return [(url, str(one.get("version", ""))) for (kind, url), one in self._resources.items() if kind == type_]


NOTHING: Final = Held()


class Knowledge:
    """Definitions from packages first, then R4's own.

    Args:
        canonicals: what is installed.
    """

    def __init__(self, canonicals: Canonicals = NOTHING) -> None:
        self._canonicals = canonicals
        self._watched: tuple[int, frozenset[str]] | None = None
        self._globals: tuple[int, dict[str, tuple[str, ...]]] | None = None

    @property
    def generation(self) -> int:
        """Changes with what is installed."""
        return self._canonicals.generation

    @property
    def extensions(self) -> Container[str]:
        """Urls of the extensions whose definitions are at hand; other definitions may be among them."""
        if self._watched is None or self._watched[0] != self.generation:
            installed = (url for url, _ in self._canonicals.all("StructureDefinition"))
            self._watched = (self.generation, published().union(installed))
        return self._watched[1]

    @property
    def globals(self) -> Mapping[str, tuple[str, ...]]:
        """Canonicals of the profiles that installed ImplementationGuides ask of every resource of a type, by type."""
        if self._globals is None or self._globals[0] != self.generation:
            self._globals = (self.generation, self._asked_of_all())
        return self._globals[1]

    def _asked_of_all(self) -> dict[str, tuple[str, ...]]:
        asked: dict[str, tuple[str, ...]] = {}
        for url, version in sorted(self._canonicals.all("ImplementationGuide")):
            guide = self._canonicals.find("ImplementationGuide", url, version) or {}
            for one in guide.get("global") or ():
                kind, profile = one.get("type"), one.get("profile")
                if type(kind) is str and type(profile) is str and profile not in asked.get(kind, ()):
                    asked[kind] = (*asked.get(kind, ()), profile)
        return asked

    def definition(self, canonical: str) -> Json | None:
        """The StructureDefinition with a canonical url, with or without `|version`; None when it is not known."""
        found = self._canonicals.find("StructureDefinition", canonical)
        if found is not None:
            return found
        url, _, version = canonical.partition("|")
        own = published_definition(url)
        if own is None or (version and version not in own["version"]):
            return None
        return own

    def find(self, type_: str, canonical: str) -> Json | None:
        """Any other installed conformance resource."""
        return self._canonicals.find(type_, canonical)
