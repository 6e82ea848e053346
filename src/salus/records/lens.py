# SPDX-License-Identifier: Apache-2.0
"""How the FHIR rules read resources of one tenant: its own base address, and the search parameters that it has."""

from __future__ import annotations

from functools import lru_cache

from salus.fhir.compartment import PatientCompartment
from salus.fhir.search.extract import Extractor
from salus.fhir.search.parameters import STANDARD, Registry


class Lens:
    """Extraction and compartment for one base address.

    Attributes:
        bases: own base addresses; they make absolute references local.
        registry: which search parameters there are.
        extractor: gives index rows.
        compartment: tells the patients of a record.
    """

    def __init__(self, base: str, registry: Registry) -> None:
        self.bases = (base,)
        self.registry = registry
        self.extractor = Extractor(self.bases, registry)
        self.compartment = PatientCompartment(self.bases)


@lru_cache(maxsize=256)
def lens(base: str, registry: Registry = STANDARD) -> Lens:
    """The lens of a tenant's base address and search parameters, made once for each."""
    return Lens(base, registry)
