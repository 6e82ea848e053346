# SPDX-License-Identifier: Apache-2.0
"""FHIR XML (https://hl7.org/fhir/R4/xml.html) to and from the tree that `salus.fhir.json` decodes.

Records are kept as JSON; XML is a way in and a way out. Names, order and types come from the compiled definitions, so
every element of R4 is known, and nothing else is let in.
"""

from __future__ import annotations

from salus.fhir.xml.read import Reader, decode
from salus.fhir.xml.write import encode, write

__all__ = ["Reader", "decode", "encode", "write"]
