# SPDX-License-Identifier: Apache-2.0
"""Definitions held in memory, for tests of the rules of terminology."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from salus.fhir.terminology.code_system import ResourceSystem
from salus.fhir.terminology.engine import Engine
from salus.fhir.terminology.source import CodeSource

JSON = dict[str, Any]

ANIMALS = "http://example.org/animals"


class Held:
    """`Definitions` out of plain resources."""

    generation = 0

    def __init__(self, *resources: JSON) -> None:
        self.resources = list(resources)
        self._sources: dict[tuple[str, str], CodeSource | None] = {}

    def find(self, type_: str, url: str, version: str = "") -> JSON | None:
        plain, _, stated = url.partition("|")
        wanted = stated or version
        for each in self.resources:
            if each["resourceType"] == type_ and each["url"] == plain and wanted in {"", each.get("version", "")}:
                return each
        return None

    def all(self, type_: str) -> Iterable[tuple[str, str]]:
        return [(each["url"], each.get("version", "")) for each in self.resources if each["resourceType"] == type_]

    def source(self, url: str, version: str = "") -> CodeSource | None:
        if (url, version) not in self._sources:
            found = self.find("CodeSystem", url, version)
            more = [each for each in self.resources if each.get("supplements", "").partition("|")[0] == url]
            self._sources[url, version] = ResourceSystem(found, more) if found is not None else None
        return self._sources[url, version]


def engine(*resources: JSON) -> Engine:
    return Engine(Held(*resources))


def animals(**more: Any) -> JSON:
    """A small hierarchy: animal > mammal > dog, cat; animal > bird > penguin; dodo is retired, `pets` a group."""

    def concept(code: str, *children: JSON, **stated: Any) -> JSON:
        made = {"code": code, "display": code.capitalize(), **stated}
        return made | {"concept": list(children)} if children else made

    legs = {"code": "legs", "valueInteger": 4}
    wings = {"code": "legs", "valueInteger": 2}
    dog = concept("dog", property=[legs], designation=[{"language": "de", "value": "Hund"}])
    mammal = concept("mammal", dog, concept("cat", property=[legs]), property=[])
    del mammal["property"]
    bird = concept(
        "bird",
        concept("penguin", property=[wings]),
        concept("dodo", property=[{"code": "inactive", "valueBoolean": True}, wings]),
    )
    pets = concept("pets", property=[{"code": "notSelectable", "valueBoolean": True}])
    return {
        "resourceType": "CodeSystem",
        "url": ANIMALS,
        "version": "1",
        "name": "Animals",
        "status": "active",
        "content": "complete",
        "caseSensitive": True,
        "hierarchyMeaning": "is-a",
        "property": [{"code": "legs", "type": "integer"}],
        "concept": [concept("animal", mammal, bird), pets],
        **more,
    }
