# SPDX-License-Identifier: Apache-2.0
"""What R4 adds to FHIRPath (https://hl7.org/fhir/R4/fhirpath.html#functions).

`elementDefinition`, `slice` and `checkModifiers` are for expressions inside of profiles.
"""

from __future__ import annotations

from typing import Any, Final

from salus.fhir.definitions import PRIMITIVES
from salus.fhir.fhirpath.context import Collection, Context, fault
from salus.fhir.fhirpath.convert import single, system, text_of
from salus.fhir.fhirpath.functions.calling import Function, eager, plain
from salus.fhir.fhirpath.functions.references import target
from salus.fhir.fhirpath.node import Node, root
from salus.fhir.fhirpath.operators import EMPTY, FALSE, TRUE, boolean
from salus.fhir.fhirpath.types import is_a, is_known
from salus.fhir.narrative import fault as narrative_fault
from salus.fhir.terminology.protocol import Subsumption

_PROFILE: Final = "http://hl7.org/fhir/StructureDefinition/"
_SUBSUMING: Final = frozenset({Subsumption.SUBSUMES, Subsumption.EQUIVALENT})
_SUBSUMED: Final = frozenset({Subsumption.SUBSUMED_BY, Subsumption.EQUIVALENT})


def _extension(items: Collection, ctx: Context, url: Collection) -> Collection:
    wanted = text_of(url)
    ctx.spend(len(items))
    found: Collection = []
    for item in items:
        for extension in item.children_named("extension") if type(item) is Node else ():
            inside = extension.value
            if type(inside) is dict and inside.get("url") == wanted:
                found.append(extension)
    return found


def system_url(node: Node) -> Any:
    """The url of an extension."""
    return node.value.get("url") if type(node.value) is dict else None


def _has_value(items: Collection, _: Context) -> Collection:
    if len(items) != 1:
        return FALSE
    item = items[0]
    if type(item) is not Node:
        return TRUE
    return boolean(item.type in PRIMITIVES and item.value is not None)


def _get_value(items: Collection, ctx: Context) -> Collection:
    if _has_value(items, ctx) is FALSE:
        return EMPTY
    value = system(items[0])
    return EMPTY if value is None else [value]


def _resolve(items: Collection, ctx: Context) -> Collection:
    found = [target(item, ctx) for item in items]
    ctx.spend(len(items))
    return [node for node in found if node is not None]


def _codings(item: Any) -> list[tuple[str, str]]:
    """System and code of a code, string, Coding or CodeableConcept."""
    if type(item) is not Node or type(item.value) is str:
        value = system(item)
        return [("", value)] if type(value) is str else []
    content = item.value if type(item.value) is dict else {}
    listed = content.get("coding") if item.type == "CodeableConcept" else [content]
    pairs = [(c.get("system", ""), c.get("code")) for c in listed or () if type(c) is dict]
    return [(where, code) for where, code in pairs if type(code) is str and type(where) is str]


def _member_of(items: Collection, ctx: Context, value_set: Collection) -> Collection:
    """Empty when the terminology cannot tell."""
    url = text_of(value_set)
    if not items or url is None:
        return EMPTY
    if len(items) > 1:
        fault("`memberOf` takes a single code")
    answers = [ctx.environment.member_of(url, where, code) for where, code in _codings(items[0])]
    if any(answers):
        return TRUE
    return EMPTY if None in answers else FALSE


def _subsumption(accepted: frozenset[Subsumption]) -> Function:
    def run(items: Collection, ctx: Context, other: Collection) -> Collection:
        if not items or not other:
            return EMPTY
        if len(items) > 1 or len(other) > 1:
            fault("a single code is needed on both sides")
        pairs = [(one, two) for one in _codings(items[0]) for two in _codings(other[0])]
        # Codes of different systems have no relation, so they cannot answer for those of the same one.
        near = [(w or v, a, b) for (w, a), (v, b) in pairs if w == v or not w or not v]
        answers = [Subsumption.EQUIVALENT if a == b else ctx.environment.subsumes(w, a, b) for w, a, b in near]
        if any(answer in accepted for answer in answers):
            return TRUE
        return EMPTY if not answers or any(a in (None, Subsumption.UNKNOWN) for a in answers) else FALSE

    return eager(run, 1)


def _conforms_to(items: Collection, ctx: Context, profile: Collection) -> Collection:
    url = text_of(profile)
    if not items or url is None:
        return EMPTY
    if len(items) > 1 or type(items[0]) is not Node or type(items[0].value) is not dict:
        fault("`conformsTo` takes a single resource or element")
    node: Node = items[0]
    known = ctx.environment.conforms_to(node.value, url)
    if known is not None:
        return boolean(known)
    name = url.partition("|")[0].removeprefix(_PROFILE)
    if not url.startswith(_PROFILE) or not is_known(name):
        fault("the profile is not known here")
    return boolean(is_a(node.type, name))


def _html_checks(items: Collection, _: Context) -> Collection:
    value = single(items)
    return EMPTY if value is None else boolean(type(value) is str and not narrative_fault(value))


def _check_modifiers(items: Collection, _: Context, *known: Collection) -> Collection:
    """True when no modifier extension is there but those that are named."""
    allowed = {text_of(url) for url in known}
    nodes = [item for item in items if type(item) is Node]
    return boolean(all(system_url(x) in allowed for n in nodes for x in n.children_named("modifierExtension")))


def _definition(items: Collection, ctx: Context) -> Collection:
    made = [ctx.environment.element_definition(item) for item in items if type(item) is Node]
    return [root(content, "ElementDefinition") for content in made if content is not None]


def _slice(items: Collection, ctx: Context, structure: Collection, name: Collection) -> Collection:
    url, wanted = text_of(structure), text_of(name)
    if url is None or wanted is None:
        return EMPTY
    return [item for item in items if type(item) is Node and ctx.environment.in_slice(item, url, wanted)]


FUNCTIONS: Final[dict[str, Function]] = {
    "extension": eager(_extension, 1),
    "hasValue": plain(_has_value),
    "getValue": plain(_get_value),
    "resolve": plain(_resolve),
    "memberOf": eager(_member_of, 1),
    "subsumes": _subsumption(_SUBSUMING),
    "subsumedBy": _subsumption(_SUBSUMED),
    "conformsTo": eager(_conforms_to, 1),
    "htmlChecks": plain(_html_checks),
    "checkModifiers": eager(_check_modifiers, 0, 32),
    "elementDefinition": plain(_definition),
    "slice": eager(_slice, 2),
}
