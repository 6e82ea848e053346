# SPDX-License-Identifier: Apache-2.0
"""Consent: what each person allows to be done with the record.

Everybody permits treatment at the clinic. Those with a restricted note keep it from the pharmacist, some shut
the pharmacist out of everything, some forbid research. Children have a Consent without performer: the parent
is not in the record.
"""

from __future__ import annotations

from datetime import date, timedelta
from random import Random

from salus.synthetic.chart import Chart, staff_reference
from salus.synthetic.clinic import PHARMACIST
from salus.synthetic.terms import (
    ACT_CODE,
    ACT_REASON,
    LOINC,
    ORGANIZATION,
    RESTRICTED,
    Resource,
    Term,
    coding,
    concept,
    reference,
    terminology,
)

_PRIVACY = terminology("consentscope", "patient-privacy", "Privacy Consent")
_CATEGORY = Term(LOINC, "59284-0", "Consent Document")
_OPT_IN = Term(ACT_CODE, "OPTIN", "opt-in")
_TREATMENT = Term(ACT_REASON, "TREAT", "treatment")
_PAYMENT = Term(ACT_REASON, "HPAYMT", "healthcare payment")
_RESEARCH = Term(ACT_REASON, "HRESCH", "healthcare research")
_RECIPIENT = terminology("v3-ParticipationType", "IRCP", "information recipient")


def _actor(target: Resource) -> Resource:
    return {"role": concept(_RECIPIENT), "reference": target}


def _exception(chart: Chart, random: Random) -> Resource | None:
    """Draw what the person forbids, if anything; restricted notes are kept from the pharmacist."""
    if chart.person.has_secret:
        return {
            "type": "deny",
            "actor": [_actor(staff_reference(PHARMACIST))],
            "securityLabel": [coding(RESTRICTED)],
        }
    draw = random.random()
    if draw < 0.06:
        return {"type": "deny", "actor": [_actor(staff_reference(PHARMACIST))]}
    if draw < 0.2:
        return {"type": "deny", "purpose": [coding(_RESEARCH)]}
    return None


def write_consent(chart: Chart, first: date, random: Random) -> None:
    """Write the Consent (https://hl7.org/fhir/R4/consent.html) signed at the first visit, for ten years."""
    provision: Resource = {
        "type": "permit",
        "period": {"start": first.isoformat(), "end": (first + timedelta(days=3650)).isoformat()},
        "actor": [_actor(reference(ORGANIZATION, "Salus Demo Clinic"))],
        "purpose": [coding(_TREATMENT), coding(_PAYMENT)],
    }
    exception = _exception(chart, random)
    if exception is not None:
        provision["provision"] = [exception]
    fields: Resource = {
        "status": "active",
        "scope": concept(_PRIVACY),
        "category": [concept(_CATEGORY)],
        "dateTime": first.isoformat(),
        "organization": [reference(ORGANIZATION)],
        "policyRule": concept(_OPT_IN),
        "provision": provision,
    }
    if chart.person.age(first) >= 18:
        fields["performer"] = [reference(chart.patient)]
    chart.add("Consent", fields)
