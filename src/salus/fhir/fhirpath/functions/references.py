# SPDX-License-Identifier: Apache-2.0
"""Where a reference leads: into its own resource, to an entry of the Bundle around, or out of it.

https://hl7.org/fhir/R4/references.html#contained and https://hl7.org/fhir/R4/bundle.html#references
"""

from __future__ import annotations

from typing import Any

from salus.fhir.fhirpath.context import Context
from salus.fhir.fhirpath.convert import system
from salus.fhir.fhirpath.node import Node, root


def target(item: Any, ctx: Context) -> Node | None:
    """The resource that a Reference, canonical, URI or text points to, None when there is none."""
    node = item if type(item) is Node else None
    if node is not None and type(node.value) is dict:
        said = node.value.get("reference") if node.type == "Reference" else None
    else:
        said = system(item)
    if type(said) is not str or not said:
        return None
    around = node or ctx.resource
    if said[0] == "#":
        return _contained(around.container, said[1:]) if around else None
    entry = _entries(around, ctx).get(said) if around else None
    if entry is not None:
        return entry
    found = ctx.environment.resolve(said)
    return root(found) if found is not None else None


def _contained(container: Node, wanted: str) -> Node | None:
    if not wanted:
        return container
    inside = container.children_named("contained")
    return next((node for node in inside if type(node.value) is dict and node.value.get("id") == wanted), None)


def _entries(node: Node, ctx: Context) -> dict[str, Node]:
    """Resources of the outermost Bundle by full URL and, where that names a server's record, by `Type/id`."""
    if ctx.entries is None:
        top = node
        while top.parent is not None:
            top = top.parent
        ctx.entries = {}
        for entry in top.children_named("entry") if top.type == "Bundle" else ():
            for resource in entry.children_named("resource"):
                if type(resource.value) is not dict:
                    continue
                url = entry.value.get("fullUrl")
                local = f"{resource.type}/{resource.value.get('id')}"
                if type(url) is str:
                    ctx.entries.setdefault(url, resource)
                    if url.endswith("/" + local):
                        ctx.entries.setdefault(local, resource)
        ctx.spend(len(ctx.entries))
    return ctx.entries
