# SPDX-License-Identifier: Apache-2.0
"""Where an extension may stand, and which may be there at all (https://hl7.org/fhir/R4/extensibility.html).

An extension whose definition is at hand must stand where the definition allows it, and be a modifier exactly when the
definition says so. One that nobody here has heard of is passed over: R4 lets everybody define extensions. An unknown
modifier extension is an error, because it may turn the meaning of what it stands on.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final, NamedTuple, TypeGuard

from salus.fhir.definitions import structure
from salus.fhir.validate.finding import Severity

Json = dict[str, Any]
# Severity, code, words.
Fault = tuple[Severity, str, str]

# Domains for examples in writing, and DICOM's, which publishes no definitions.
_EXAMPLES: Final = ("example.org", "example.com", "acme.com", "nema.org")
# Definitions of later releases, which say the same about R4 elements as R5 does about its own.
_LATER: Final = "http://hl7.org/fhir/5.0/StructureDefinition/"
_PREFIX: Final = "http://hl7.org/fhir/StructureDefinition/"
# Places where HL7's own R4 definitions carry these, beyond what their contexts say.
_ALSO: Final = {
    "structuredefinition-fhir-type": ("ElementDefinition.type",),
    "structuredefinition-normative-version": ("CodeSystem", "OperationDefinition", "SearchParameter", "ValueSet"),
}
_BASES: Final = {"Age": "Quantity", "Count": "Quantity", "Distance": "Quantity", "Duration": "Quantity"}


class Spot(NamedTuple):
    """Where in the definitions an element is.

    Attributes:
        type: its type, or its path for a backbone element.
        definition: path within the type that defines it, such as `HumanName.family`; the type itself for a resource.
        route: path from the resource's root, without indices, such as `Patient.name.family`.
        primitive: for the sibling of a primitive, the type of that primitive.
        extension: url of the extension that it belongs to, if it does.
    """

    type: str
    definition: str
    route: str
    primitive: str = ""
    extension: str = ""


def absolute(url: Any) -> TypeGuard[str]:
    """Whether an extension names its own definition; one inside another may be named by its parent's."""
    return type(url) is str and ":" in url


def context_faults(definition: Json, spot: Spot, *, modifier: bool) -> Iterator[Fault]:
    """What is wrong with where an extension stands.

    Args:
        definition: the StructureDefinition of the extension.
        spot: the element that carries it.
        modifier: whether it stands in `modifierExtension`.
    """
    root: Json = (definition.get("snapshot") or definition.get("differential") or {}).get("element", [{}])[0]
    if modifier and not root.get("isModifier"):
        yield Severity.ERROR, "structure", "is not a modifier and must stand in `extension`"
    elif not modifier and root.get("isModifier"):
        yield Severity.ERROR, "structure", "is a modifier and must stand in `modifierExtension`"
    contexts = definition.get("context") or []
    also = _ALSO.get(definition.get("url", "").removeprefix(_PREFIX), ())
    if contexts and spot.type not in also and not any(_allows(context, spot) for context in contexts):
        yield Severity.ERROR, "structure", f"is an extension that may not be used on {spot.route}"


def unknown_fault(url: str, *, modifier: bool, strict: bool, examples: bool) -> Fault:
    """What to say about an extension whose definition is not at hand.

    Args:
        url: of the extension.
        modifier: whether it stands in `modifierExtension`.
        strict: whether it is an error.
        examples: whether that goes for those of domains for examples too.
    """
    later = url.startswith((_LATER, _PREFIX))
    if modifier and not later:
        return Severity.ERROR, "extension", "is a modifier extension that is not known here"
    if strict and not later and (examples or not any(part in url for part in _EXAMPLES)):
        return Severity.ERROR, "extension", "is an extension that is not known here"
    return Severity.WARNING, "extension", "is an extension that is not known here, so its content was not judged"


def _allows(context: Json, spot: Spot) -> bool:
    kind, expression = context.get("type"), str(context.get("expression", ""))
    if kind == "extension":
        return expression.partition("#")[0] == spot.extension
    if kind == "fhirpath":
        return True  # judged where FHIRPath is
    expression = expression.removeprefix(_PREFIX)
    return expression in _names(spot.primitive or spot.type, spot.definition, spot.route)


@lru_cache(maxsize=4096)  # routes are as many as resources can nest
def _names(type_: str, definition: str, route: str) -> frozenset[str]:
    """Everything that an element may be called in `StructureDefinition.context`."""
    # `Element` stands for every place, resources included, as HL7 itself uses it.
    found = {"Element", type_, definition, route, *_short(definition), *_short(route)}
    base = _BASES.get(type_)
    if base:
        found.add(base)
    kind = structure().types.get(type_)
    if kind is not None and kind.kind == "resource":
        found |= {"Resource", "DomainResource"}
    else:
        if kind is not None and kind.kind == "backbone":
            found.add("BackboneElement")
        primitive = structure().primitives.get(type_)
        while primitive is not None:
            found.add(primitive.base)
            primitive = structure().primitives.get(primitive.base)
    return frozenset(found)


def _short(path: str) -> tuple[str, ...]:
    """A choice is also called without its mark."""
    return (path.removesuffix("[x]"),) if path.endswith("[x]") else ()
