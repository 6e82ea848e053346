# SPDX-License-Identifier: Apache-2.0
"""References by canonical URL, such as `QuestionnaireResponse.questionnaire`.

They name a `url`, perhaps with `|version`, instead of a place on a server. https://hl7.org/fhir/R4/references.html#canonical
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from salus.access.permit import Permit
from salus.fhir.search.clauses import Clause, UriValue
from salus.records.candidates import Hit, hits, plan_alone, reads_masked
from salus.records.context import Context


def by_canonical(ctx: Context, type_: str, families: tuple[str, ...]) -> bool:
    """Whether any of these families of a type holds canonical URLs."""
    return any(
        spot.leaf.family in families and spot.leaf.datatype == "canonical"
        for spot in ctx.lens.registry.spots(type_)
        if spot.kind == "reference"
    )


def canonicals(resource: dict[str, Any]) -> list[str]:
    """How other records name a resource by canonical: its URL, and its URL with the version."""
    url, version = resource.get("url"), resource.get("version")
    if not isinstance(url, str):
        return []
    return [url, f"{url}|{version}"] if version else [url]


def as_written(targets: Iterable[str]) -> list[str]:
    """What references say, without the URLs under which canonicals with a version are indexed beside."""
    found = list(dict.fromkeys(targets))
    versioned = {target.partition("|")[0] for target in found if "|" in target}
    return [target for target in found if target not in versioned]


def names_any(names: Iterable[str], targets: Iterable[str]) -> bool:
    """Whether one of some references says one of these names."""
    return not set(names).isdisjoint(as_written(targets))


def named(ctx: Context, permit: Permit, canonical: str) -> Iterator[Hit]:
    """Records of the permit's type that a canonical names, in the version that it names, if it does.

    Args:
        permit: for searching a type.
    """
    known = ctx.lens.registry.parameters(permit.type).get("url")
    if known is None or known.kind != "uri" or (permit.masked and reads_masked(ctx, permit, "url")):
        return
    url, _, version = canonical.partition("#")[0].partition("|")
    clause = Clause("url", "uri", known.families, "", (UriValue(url),), (), indexed=True, text="")
    for hit in hits(ctx, permit, plan_alone(ctx, permit, (clause,)), content=True):
        if not version or (hit.content or {}).get("version") == version:
            yield hit
