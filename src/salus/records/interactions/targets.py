# SPDX-License-Identifier: Apache-2.0
"""What references inside a transaction come to mean: other entries, or the one record that a condition matches.

https://hl7.org/fhir/R4/http.html#trules  https://hl7.org/fhir/R4/bundle.html#references
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from salus.fhir.definitions import resource_types
from salus.kernel.errors import Issue, Kind, Problem
from salus.records.context import Context
from salus.records.finding import match_one

_TYPES = frozenset(resource_types())
_CONDITION = re.compile(r"([A-Z][A-Za-z]+)\?(.+)")
_RESTFUL = re.compile(r"(https?://\S+/)([A-Z][A-Za-z]+)/([A-Za-z0-9\-.]{1,64})")
_RELATIVE = re.compile(r"[A-Z][A-Za-z]+/[A-Za-z0-9\-.]{1,64}")
_VERSION = re.compile(r"(\S+)/_history/([A-Za-z0-9\-.]{1,64})")

PIN = "http://hl7.org/fhir/StructureDefinition/resolve-as-version-specific"
"""The extension of a reference that must come to name the version which the transaction makes."""

VersionOf = Callable[[str], int]
"""The version that the transaction gives to a record, by `Type/id`; 0 for one that it does not write."""


class Targets(dict[str, str]):
    """`Type/id` by what a reference says. Conditions are looked up when they are first met.

    Args:
        entries: `Type/id` by fullUrl.
        sent: gives the `meta.versionId` that an entry carries, by its fullUrl; empty without one.
        version_of: tells the version that an entry becomes.
    """

    def __init__(
        self, ctx: Context, entries: Mapping[str, str], sent: Callable[[str], str], version_of: VersionOf
    ) -> None:
        super().__init__(entries)
        self._ctx = ctx
        self._sent = sent
        self._version_of = version_of
        self._own = ctx.base + "/"

    def __bool__(self) -> bool:
        return True  # even without entries there may be conditions

    def __contains__(self, text: object) -> bool:
        if dict.__contains__(self, text):
            return True
        if not isinstance(text, str):
            return False
        return ("?" in text and self._resolved(text)) or ("/_history/" in text and self._versioned(text))

    def seen_from(self, full_url: str) -> Mapping[str, str]:
        """The same, for references in an entry: relative ones are read against its own address, as in any Bundle."""
        address = _RESTFUL.fullmatch(full_url)
        return self if address is None else _Nearby(self, address[1])

    def _resolved(self, text: str) -> bool:
        condition = _CONDITION.fullmatch(text.removeprefix(self._own))
        if condition is None or condition[1] not in _TYPES:
            return False
        found, _ = match_one(self._ctx, condition[1], condition[2], "resource")
        if found is None:  # the same words for none and for one that is hidden
            words = "A conditional reference matches no record."
            raise Problem(Kind.INCORRECT, words, issues=(Issue("not-found", words, "resource"),))
        self[text] = f"{condition[1]}/{found.version.id}"
        return True

    def _versioned(self, text: str) -> bool:
        """A reference to the version that an entry says it is comes to name the version that it becomes."""
        named = _VERSION.fullmatch(text)
        if named is None or not dict.__contains__(self, named[1]) or self._sent(named[1]) != named[2]:
            return False
        target = self[named[1]]
        version = self._version_of(target)
        if version:
            self[text] = f"{target}/_history/{version}"
        return bool(version)


class _Nearby(dict[str, str]):
    """Targets, with relative references completed by the root of an entry's address."""

    def __init__(self, targets: Targets, root: str) -> None:
        super().__init__()
        self._targets = targets
        self._root = root

    def __bool__(self) -> bool:
        return True

    def __contains__(self, text: object) -> bool:
        if text in self._targets:
            return True
        return isinstance(text, str) and _RELATIVE.fullmatch(text) is not None and self._root + text in self._targets

    def __getitem__(self, text: str) -> str:
        return self._targets[text] if text in self._targets else self._targets[self._root + text]


class Apart(Targets):
    """For an entry of a batch: looks conditions up, and meets a reference to another entry with a refusal.

    Entries of a batch may not rely on each other (https://hl7.org/fhir/R4/http.html#brules).

    Args:
        made: fullUrl of the records that the batch makes.
    """

    def __init__(self, ctx: Context, made: frozenset[str]) -> None:
        super().__init__(ctx, {}, lambda _: "", lambda _: 0)
        self._made = made

    def __contains__(self, text: object) -> bool:
        if text not in self._made:
            return super().__contains__(text)
        words = "An entry of a batch may not refer to a record that the same batch makes; send a transaction."
        raise Problem(Kind.INCORRECT, words, issues=(Issue("business-rule", words, "resource"),))


def pin(resource: dict[str, Any], version_of: VersionOf) -> None:
    """Give the references that ask for it their version, in place, and drop the extension that asked.

    Args:
        resource: with references that are rewritten already.
        version_of: tells the version.
    """
    waiting: list[Any] = [resource]
    while waiting:
        node = waiting.pop()
        if isinstance(node, list):
            waiting += node
        elif isinstance(node, dict):
            waiting += node.values()
            if "reference" in node and "extension" in node:
                _pin(node, version_of)


def _pin(reference: dict[str, Any], version_of: VersionOf) -> None:
    asked = [one for one in _extensions(reference) if one.get("url") == PIN and one.get("valueBoolean") is True]
    version = version_of(str(reference["reference"])) if asked else 0
    if not version:
        return
    reference["reference"] += f"/_history/{version}"
    kept = [one for one in _extensions(reference) if one not in asked]
    if kept:
        reference["extension"] = kept
    else:
        del reference["extension"]


def _extensions(node: dict[str, Any]) -> list[dict[str, Any]]:
    found = node["extension"]
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
