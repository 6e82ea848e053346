# SPDX-License-Identifier: Apache-2.0
"""Units of measure: what a UCUM code means in base units, with exact arithmetic (https://ucum.org/ucum)."""

from salus.fhir.ucum.canonical import canonical
from salus.fhir.ucum.units import Scale, scale

__all__ = ["Scale", "canonical", "scale"]
