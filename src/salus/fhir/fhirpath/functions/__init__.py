# SPDX-License-Identifier: Apache-2.0
"""The functions of FHIRPath by name, each with the number of arguments that it takes."""

from __future__ import annotations

from typing import Final

from salus.fhir.fhirpath.functions import (
    boundaries,
    conversion,
    existence,
    fhir,
    filtering,
    maths,
    sets,
    strings,
    subsetting,
    tree,
    utility,
)
from salus.fhir.fhirpath.functions.calling import Function

FUNCTIONS: Final[dict[str, Function]] = {
    **existence.FUNCTIONS,
    **filtering.FUNCTIONS,
    **subsetting.FUNCTIONS,
    **sets.FUNCTIONS,
    **conversion.FUNCTIONS,
    **strings.FUNCTIONS,
    **maths.FUNCTIONS,
    **boundaries.FUNCTIONS,
    **tree.FUNCTIONS,
    **utility.FUNCTIONS,
    **fhir.FUNCTIONS,
}
"""All but `is`, `as` and `ofType`, whose argument is the name of a type: the compiler has them."""
