# SPDX-License-Identifier: Apache-2.0
"""Rules that hold between the entries of a Bundle (https://hl7.org/fhir/R4/bundle.html).

References resolve among the entries as R4 says (https://hl7.org/fhir/R4/bundle.html#references): by full address, and
relative ones from the address of the entry that holds them. What is not in the Bundle may be elsewhere, so only a
document has to be complete, as far as its Composition points.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

Json = dict[str, Any]
Fault = tuple[str, str, str]  # code, place, words

_RELATIVE: Final = re.compile(r"([A-Z][A-Za-z]{1,63})/([A-Za-z0-9\-.]{1,64})(?:/_history/([A-Za-z0-9\-.]{1,64}))?")
_RESTFUL: Final = re.compile(r"(https?://.+?/)([A-Z][A-Za-z]{1,63})/[A-Za-z0-9\-.]{1,64}(?:/_history/.*)?")
_HISTORY: Final = re.compile(r"/_history/([A-Za-z0-9\-.]{1,64})$")
# Bundles whose entries are one state of affairs, so that a reference means one of them.
_ONE_STATE: Final = frozenset({"document", "message", "collection"})


class Use(NamedTuple):
    """A reference somewhere in a Bundle.

    Attributes:
        literal: the text of the reference.
        place: FHIRPath of it.
        targets: types that the element may point to; empty for any.
        base: `fullUrl` of the entry that holds it.
    """

    literal: str
    place: str
    targets: tuple[str, ...]
    base: str


def bundle_faults(bundle: Json, place: str, uses: list[Use]) -> Iterator[Fault]:
    """What is wrong between the parts of a Bundle.

    Args:
        bundle: the Bundle; its content may break the schema.
        place: FHIRPath of the Bundle.
        uses: the references in its entries.
    """
    yield from _links(bundle, place)
    kind = str(bundle.get("type"))
    if kind == "searchset":
        yield from _search(bundle, place)
    if kind in _ONE_STATE or kind in ("transaction", "batch"):
        yield from References(bundle, place).faults(uses)


def entries_of(bundle: Json) -> References:
    """The entries of a Bundle, to be found by what refers to them."""
    return References(bundle, "Bundle")


def _entries(bundle: Json) -> Iterator[tuple[int, Json]]:
    entries = bundle.get("entry")
    for index, entry in enumerate(entries if type(entries) is list else ()):
        if type(entry) is dict:
            yield index, entry


def _links(bundle: Json, place: str) -> Iterator[Fault]:
    seen = set()
    links = bundle.get("link")
    for index, link in enumerate(links if type(links) is list else ()):
        relation = link.get("relation") if type(link) is dict else None
        if type(relation) is str:
            if relation in seen:
                yield "invalid", f"{place}.link[{index}]", "repeats a relation that another link has"
            seen.add(relation)


def _search(bundle: Json, place: str) -> Iterator[Fault]:
    """Modes of search results and what they fit (https://hl7.org/fhir/R4/search.html#mode)."""
    wanted = _searched(bundle)
    for index, entry in _entries(bundle):
        where = f"{place}.entry[{index}]"
        resource, search = entry.get("resource"), entry.get("search")
        mode = search.get("mode") if type(search) is dict else None
        if type(resource) is not dict:
            continue
        kind = str(resource.get("resourceType"))
        if kind == "OperationOutcome":
            if mode in ("match", "include"):
                yield "invalid", f"{where}.search.mode", "must be outcome for an OperationOutcome"
            continue
        if mode == "outcome":
            yield "invalid", f"{where}.search.mode", "must not be outcome for anything but an OperationOutcome"
        if mode == "match" and wanted and kind not in wanted:
            yield "invalid", f"{where}.resource", "is not of a type that the search of the link self asked for"
        if mode is not None and "id" not in resource:
            yield "invalid", f"{where}.resource", "must have an id, as every result of a search"


def _searched(bundle: Json) -> frozenset[str]:
    """Resource types that the link `self` says were searched for; empty when it does not say."""
    links = bundle.get("link")
    for link in links if type(links) is list else ():
        if type(link) is dict and link.get("relation") == "self" and type(link.get("url")) is str:
            path, _, query = link["url"].partition("?")
            for part in query.split("&"):
                if part.startswith("_type="):
                    return frozenset(part[6:].split(","))
            last = path.rstrip("/").rsplit("/", 1)[-1]
            if last == "_search":
                last = path.rstrip("/").rsplit("/", 2)[-2]
            return frozenset({last}) if re.fullmatch(r"[A-Z][A-Za-z]+", last) else frozenset()
    return frozenset()


class References:
    """The entries of a Bundle by what may be said to reach them."""

    def __init__(self, bundle: Json, place: str) -> None:
        self.kind = str(bundle.get("type"))
        self.place = place
        self.by_address: dict[str, list[Json]] = {}
        self.by_name: dict[str, list[Json]] = {}
        for _, entry in _entries(bundle):
            resource, address = entry.get("resource"), entry.get("fullUrl")
            if type(resource) is not dict:
                continue
            if type(address) is str:
                self.by_address.setdefault(address, []).append(resource)
            if type(resource.get("id")) is str:
                self.by_name.setdefault(f"{resource.get('resourceType')}/{resource['id']}", []).append(resource)

    def faults(self, uses: list[Use]) -> Iterator[Fault]:
        """What is wrong with these references."""
        for use in uses:
            found = self.resolve(use)
            if found is None:
                continue
            inside = use.place.startswith(f"{self.place}.entry[0].resource.")
            complete = self.kind == "document" or (self.kind == "message" and ".resource.focus" in use.place)
            local = use.literal.startswith("urn:") or _RELATIVE.fullmatch(use.literal)
            if not found:
                if complete and inside and local:
                    yield "not-found", use.place, "points to a resource that is not in the Bundle"
                continue
            version = _HISTORY.search(use.literal)
            if version:
                found = [r for r in found if _version(r) in ("", version[1])]
                if not found and self.kind == "document":
                    yield "not-found", use.place, "points to a version that is not in the document"
            if len(found) > 1 and self.kind in _ONE_STATE:
                yield "not-found", use.place, "points to several entries of the Bundle"
            kinds = {str(resource.get("resourceType")) for resource in found}
            if use.targets and found and not kinds & set(use.targets):
                yield "structure", use.place, "points to an entry of a type that may not stand here"

    def resolve(self, use: Use) -> list[Json] | None:
        """Entries that a reference may mean; None when it is no literal that could point into the Bundle."""
        text = use.literal
        if text.startswith("#") or "?" in text:
            return None
        text = _HISTORY.sub("", text)
        relative = _RELATIVE.fullmatch(text)
        if relative is None:
            return self.by_address.get(text, [])
        base = _RESTFUL.fullmatch(use.base)
        if base is not None:
            return self.by_address.get(base[1] + text, [])
        return self.by_name.get(text, [])


def _version(resource: Json) -> str:
    meta = resource.get("meta")
    version = meta.get("versionId") if type(meta) is dict else None
    return version if type(version) is str else ""
