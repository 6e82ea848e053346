# SPDX-License-Identifier: Apache-2.0
"""Purposes of use: the codes that an actor may state and a role may be limited to.

Source: value set v3-PurposeOfUse, http://terminology.hl7.org/ValueSet/v3-PurposeOfUse (code system
v3-ActReason), the codes that make sense in a clinic. A code outside this list is refused in policies and
tokens alike.
"""

from __future__ import annotations

PURPOSES: dict[str, str] = {
    "TREAT": "treatment",
    "ETREAT": "emergency treatment",
    "BTG": "break the glass",
    "CAREMGT": "care management",
    "COC": "coordination of care",
    "POPHLTH": "population health",
    "HPAYMT": "healthcare payment",
    "CLMATTCH": "claim attachment",
    "COVAUTH": "coverage authorization",
    "ELIGVER": "eligibility verification",
    "REMITADV": "remittance advice",
    "HOPERAT": "healthcare operations",
    "PATADMIN": "patient administration",
    "RECORDMGT": "records management",
    "HQUALIMP": "healthcare quality improvement",
    "PATSFTY": "patient safety",
    "HCOMPL": "health compliance",
    "HLEGAL": "legal",
    "FRAUD": "fraud",
    "HSYSADMIN": "health system administration",
    "SYSDEV": "health system development",
    "HTEST": "test health data",
    "TRAIN": "training",
    "HRESCH": "healthcare research",
    "CLINTRCH": "clinical trial research",
    "PUBHLTH": "public health",
    "PATRQT": "patient requested",
    "FAMRQT": "family requested",
    "PWATRNY": "power of attorney",
    "SUPNWK": "support network",
}
"""Meaning by code."""
