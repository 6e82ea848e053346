# SPDX-License-Identifier: Apache-2.0
"""The values of a FHIRPath Patch: `value[x]`, a resource, or parts that spell out an object.

https://hl7.org/fhir/R4/fhirpatch.html: only data types have a `value[x]`; anonymous types such as `Patient.contact` are
written as parts, each named after an element.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from salus.fhir.definitions import PRIMITIVES
from salus.fhir.patch.wording import malformed
from salus.fhir.validate.members import members

_WHOLE: Final = frozenset({"integer", "unsignedInt", "positiveInt"})
_NUMBERS: Final = _WHOLE | {"decimal"}
_QUANTITIES: Final = frozenset({"Quantity", "Age", "Count", "Distance", "Duration", "SimpleQuantity", "MoneyQuantity"})

Put = Callable[[dict[str, Any], str, str, dict[str, Any], str], None]


class Value(NamedTuple):
    """A value in JSON.

    Attributes:
        content: None where a primitive has only extensions.
        sibling: what JSON writes under the name with an underscore.
    """

    content: Any
    sibling: dict[str, Any] | None = None


def value_of(part: dict[str, Any], type_: str, *, choice: bool, put: Put, place: str) -> Value | None:
    """The value of a part for an element of a type.

    Args:
        type_: type code or path of a backbone element; `Resource` for any resource.
        choice: whether the element has other types as well; then only the very type fits.
        put: adds an element to an object (`salus.fhir.patch.slots.put`).
        place: of the operation, for errors.

    Returns:
        None when it is of another type.

    Raises:
        Problem: INCORRECT when the part holds no value.
    """
    if "resource" in part:
        return Value(part["resource"]) if type_ == "Resource" else None
    if "part" in part:
        return _spelled_out(part["part"], type_, choice=choice, put=put, place=place)
    name = next((key.lstrip("_") for key in part if key.lstrip("_").startswith("value")), None)
    if name is None:
        raise malformed("value must be a value[x], a resource, or parts.", place)
    sent = members("Parameters.parameter")[name].type
    if not (sent == type_ or (not choice and _suits(sent, type_))):
        return None
    return Value(part.get(name), part.get("_" + name))


def _spelled_out(parts: list[dict[str, Any]], type_: str, *, choice: bool, put: Put, place: str) -> Value | None:
    if choice or type_ in PRIMITIVES or type_ == "Resource":
        return None  # parts do not say which type of a choice they are
    made: dict[str, Any] = {}
    for part in parts:
        put(made, type_, part["name"], part, place)
    return Value(made)


def _suits(sent: str, type_: str) -> bool:
    """Whether a value may stand for an element of another type; the format is judged when the result is validated."""
    if sent in PRIMITIVES and type_ in PRIMITIVES:
        texts = not {sent, type_} & (_NUMBERS | {"boolean"})
        return texts or (sent in _WHOLE and type_ in _NUMBERS) or (sent == type_)
    return sent in _QUANTITIES and type_ in _QUANTITIES
