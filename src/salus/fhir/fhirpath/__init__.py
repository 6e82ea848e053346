# SPDX-License-Identifier: Apache-2.0
"""FHIRPath N1 (https://hl7.org/fhirpath/N1/) as FHIR R4 uses it, compiled to closures.

`compile("Patient.name.given").values(patient)`. Knowledge from outside (references, terminology, profiles,
the clock) comes in an `Environment`; nothing here does I/O.
"""

from salus.fhir.fhirpath.context import Environment
from salus.fhir.fhirpath.expression import Expression, compile  # noqa: A004 - the field's word
from salus.fhir.fhirpath.node import Node, root
from salus.fhir.fhirpath.quantity import Quantity
from salus.fhir.fhirpath.temporal import Temporal

__all__ = ["Environment", "Expression", "Node", "Quantity", "Temporal", "compile", "root"]
