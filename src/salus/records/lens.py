# SPDX-License-Identifier: Apache-2.0
"""How the FHIR rules read resources of one tenant: its own base address makes absolute references local."""

from __future__ import annotations

from functools import lru_cache

from salus.fhir.compartment import PatientCompartment
from salus.fhir.search.extract import Extractor


class Lens:
    """Extraction and compartment for one base address.

    Attributes:
        bases: own base addresses.
        extractor: gives index rows.
        compartment: tells the patients of a record.
    """

    def __init__(self, base: str) -> None:
        self.bases = (base,)
        self.extractor = Extractor(self.bases)
        self.compartment = PatientCompartment(self.bases)


@lru_cache(maxsize=256)
def lens(base: str) -> Lens:
    """The lens of a tenant's base address, made once."""
    return Lens(base)
