# SPDX-License-Identifier: Apache-2.0
"""References between resources: read one, name its target, rewrite those of a transaction.

A reference is relative (`Patient/1`), absolute, a URN, or points into its own resource (`#p1`). An absolute
one under one of the server's own base URLs is the same as a relative one, so that no spelling hides whom a
record is about. https://hl7.org/fhir/R4/references.html

Conditional references (`Patient?identifier=…`) are not resolved here, and links inside a narrative are left
alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from salus.fhir.definitions import structure

_LOCAL = re.compile(r"([A-Z][A-Za-z]{1,63})/([A-Za-z0-9\-.]{1,64})(?:/_history/([A-Za-z0-9\-.]{1,64}))?")
_VERSION = re.compile(r"/_history/[A-Za-z0-9\-.]{1,64}$")
_URI_TYPES = {"uri", "url", "canonical", "oid", "uuid"}


@dataclass(frozen=True, slots=True)
class Reference:
    """A reference taken apart.

    Attributes:
        form: `local` (relative, or absolute under an own base), `contained`, `urn`, `absolute` or `other`.
        type: resource type, for `local`.
        id: logical id for `local`, fragment for `contained`.
        version: version id for `local`, or "".
        url: the text itself for `urn`, `absolute` and `other`.
    """

    form: str
    type: str = ""
    id: str = ""
    version: str = ""
    url: str = ""


def parse(text: str, bases: Sequence[str] = ()) -> Reference:
    """Take `Reference.reference` apart.

    Args:
        text: the reference as written.
        bases: the server's own base URLs.
    """
    if text.startswith("#"):
        return Reference("contained", id=text[1:])
    found = _LOCAL.fullmatch(_relative(text, bases))
    if found is not None:
        return Reference("local", found[1], found[2], found[3] or "")
    if text.startswith("urn:"):
        return Reference("urn", url=text)
    return Reference("absolute" if "://" in text else "other", url=text)


def local_reference(text: str, bases: Sequence[str] = ()) -> tuple[str, str] | None:
    """Type and id of a record of this server, or None when the reference points elsewhere.

    Args:
        text: the reference as written; a version is passed over.
        bases: the server's own base URLs.
    """
    found = _LOCAL.fullmatch(_relative(text, bases))
    return None if found is None else (found[1], found[2])


def target_reader(bases: Sequence[str] = ()) -> Callable[[str], str]:
    """A function that gives the name under which a reference is indexed.

    `Type/id` for a record of this server; another absolute URL or URN as it is; always without a version.
    """
    own = tuple(base.rstrip("/") + "/" for base in bases)

    def target(text: str) -> str:
        if "/_history/" in text:
            text = _VERSION.sub("", text)
        for base in own:
            if text.startswith(base):
                rest = text[len(base) :]
                return rest if _LOCAL.fullmatch(rest) else text
        return text

    return target


def _relative(text: str, bases: Sequence[str]) -> str:
    for base in bases:
        start = base.rstrip("/") + "/"
        if text.startswith(start):
            return text[len(start) :]
    return text


def rewrite(resource: dict[str, Any], mapping: Mapping[str, str]) -> None:
    """Replace, in place, what points to other entries of a transaction.

    Looks at `Reference.reference` and at elements of type uri, url, canonical, oid and uuid (but `system`),
    in contained resources too. A text that only happens to equal a fullUrl in a string element stays. A
    Bundle is left as it is: its entries refer to each other. https://hl7.org/fhir/R4/http.html#trules

    Args:
        resource: the decoded resource.
        mapping: `Type/id` by fullUrl (or by whatever else a reference may say in full).
    """
    if mapping and resource.get("resourceType") != "Bundle":
        _rewrite(resource, mapping, _uri_elements())


def _rewrite(node: dict[str, Any], mapping: Mapping[str, str], elements: frozenset[str]) -> None:
    for key, value in node.items():
        kind = value.__class__
        if kind is str:
            if key in elements and value in mapping:
                node[key] = mapping[value]
        elif kind is dict:
            _rewrite(value, mapping, elements)
        elif kind is list:
            for at, item in enumerate(value):
                kind = item.__class__
                if kind is dict:
                    _rewrite(item, mapping, elements)
                elif kind is str and key in elements and item in mapping:
                    value[at] = mapping[item]


@cache
def _uri_elements() -> frozenset[str]:
    """JSON names of all elements that hold a URI somewhere in R4, and `reference`.

    All but `system`, which names a code system or namespace: never an entry, yet the most frequent of all.
    """
    names = {"reference"}
    for found in structure().types.values():
        for field in found.fields:
            for kind in _URI_TYPES.intersection(field.types):
                choice = field.name.endswith("[x]")
                names.add(field.name[:-3] + kind[0].upper() + kind[1:] if choice else field.name)
    return frozenset(names - {"system"})
