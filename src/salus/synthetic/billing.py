# SPDX-License-Identifier: Apache-2.0
"""Money: Coverage and Account once, a Claim and the insurer's ExplanationOfBenefit for every visit.

All amounts are reckoned in whole cents, so that sums are exact: a claim's total is the sum of its items; for
each item and for the whole, eligible = copay + benefit; the payment is the benefit. The insurer is invented
and stands as a logical reference.
"""

from __future__ import annotations

from datetime import date, timedelta
from random import Random

from salus.synthetic.chart import Chart, Sitting
from salus.synthetic.encounters import KINDS
from salus.synthetic.terms import (
    ACT_CODE,
    ORGANIZATION,
    Resource,
    Term,
    concept,
    dollars,
    reference,
    terminology,
)

_ALLOWED_PERCENT = 80  # of the charge
_PATIENT_PERCENT = 20  # of what is allowed

_PROFESSIONAL = terminology("claim-type", "professional", "Professional")
_INSTITUTIONAL = terminology("claim-type", "institutional", "Institutional")
_NORMAL = terminology("processpriority", "normal", "Normal")
_SELF = terminology("subscriber-relationship", "self", "Self")
_CHILD = terminology("subscriber-relationship", "child", "Child")
_GROUP = terminology("coverage-class", "group", "Group")
_PRIVATE_PLAN = Term(ACT_CODE, "EHCPOL", "extended healthcare")
_PUBLIC_PLAN = Term(ACT_CODE, "PUBLICPOL", "public healthcare")
_ACCOUNT_KIND = Term(ACT_CODE, "PBILLACCT", "patient billing account")
_SUBMITTED = terminology("adjudication", "submitted", "Submitted Amount")
_ELIGIBLE = terminology("adjudication", "eligible", "Eligible Amount")
_COPAY = terminology("adjudication", "copay", "CoPay")
_BENEFIT = terminology("adjudication", "benefit", "Benefit Amount")


def _insurer(*, public: bool) -> Resource:
    name = "Commonwealth Public Plan" if public else "Harborlight Mutual Health"
    value = "PUBLIC-01" if public else "HMH-01"
    return {
        "type": "Organization",
        "identifier": {"system": "https://payers.example.org/id", "value": value},
        "display": f"{name} (invented)",
    }


class Ledger:
    """Bills one person's visits; made once per chart, which writes the Coverage and the Account."""

    def __init__(self, chart: Chart, first: date, random: Random) -> None:
        self._chart = chart
        age = chart.person.age(chart.today)
        public = age >= 65 or random.random() < 0.15
        self._insurer = public
        member = f"{'CPP' if public else 'HMH'}{random.randrange(10**8):08d}"
        coverage: Resource = {
            "status": "active",
            "type": concept(_PUBLIC_PLAN if public else _PRIVATE_PLAN),
            "subscriberId": member,
            "relationship": concept(_SELF if age >= 18 else _CHILD),
            "period": {"start": (first - timedelta(days=1)).replace(day=1).isoformat()},
            "payor": [_insurer(public=public)],
        }
        if not public:
            coverage["class"] = [{"type": concept(_GROUP), "value": f"G{random.randrange(100, 999)}"}]
        self.coverage = chart.add("Coverage", coverage)
        account: Resource = {
            "status": "active",
            "type": concept(_ACCOUNT_KIND),
            "name": "Clinic account",
            "servicePeriod": {"start": first.isoformat()},
            "coverage": [{"coverage": reference(self.coverage), "priority": 1}],
            "owner": reference(ORGANIZATION),
        }
        if age >= 18:
            account["guarantor"] = [{"party": reference(chart.patient)}]
        chart.add("Account", account)

    def bill(self, sitting: Sitting) -> None:
        """Write the Claim of a visit and the ExplanationOfBenefit that answers it some days later.

        https://hl7.org/fhir/R4/claim.html, https://hl7.org/fhir/R4/explanationofbenefit.html
        """
        services = sitting.services
        total = sum(cents for _, cents in services)
        claim = self._chart.add(
            "Claim",
            {
                **_shared(sitting),
                "created": sitting.visit.on.isoformat(),
                "priority": concept(_NORMAL),
                "insurance": [{"sequence": 1, "focal": True, "coverage": reference(self.coverage)}],
                "item": [_item(sitting, number, term, cents) for number, (term, cents) in enumerate(services, start=1)],
                "total": dollars(total),
            },
        )
        answered = min(sitting.visit.on + timedelta(days=9), self._chart.today)
        items, sums = [], [0, 0, 0, 0]
        for number, (term, cents) in enumerate(services, start=1):
            eligible = cents * _ALLOWED_PERCENT // 100
            copay = eligible * _PATIENT_PERCENT // 100
            amounts = [cents, eligible, copay, eligible - copay]
            sums = [whole + part for whole, part in zip(sums, amounts, strict=True)]
            items.append({**_item(sitting, number, term, cents), "adjudication": _lines(amounts)})
        self._chart.add(
            "ExplanationOfBenefit",
            {
                **_shared(sitting),
                "created": answered.isoformat(),
                "insurer": _insurer(public=self._insurer),
                "claim": reference(claim),
                "outcome": "complete",
                "insurance": [{"focal": True, "coverage": reference(self.coverage)}],
                "item": items,
                "total": _lines(sums),
                "payment": {"date": answered.isoformat(), "amount": dollars(sums[3])},
            },
        )


def _shared(sitting: Sitting) -> Resource:
    """What claim and answer say alike. Codes are ICD-10-CM, as on a real bill."""
    courses = sitting.visit.courses
    reasons = [course.disease.icd10 for course in courses] or [KINDS[sitting.visit.kind].reason]
    kind = _INSTITUTIONAL if sitting.visit.kind == "delivery" else _PROFESSIONAL
    return {
        "status": "active",
        "type": concept(kind),
        "use": "claim",
        "billablePeriod": {"start": sitting.at(0), "end": sitting.at(sitting.minutes)},
        "provider": reference(ORGANIZATION, "Salus Demo Clinic"),
        "careTeam": [{"sequence": 1, "provider": sitting.clinician, "responsible": True}],
        "diagnosis": [
            {"sequence": number, "diagnosisCodeableConcept": concept(reason)}
            for number, reason in enumerate(reasons, start=1)
        ],
    }


def _item(sitting: Sitting, number: int, term: Term, cents: int) -> Resource:
    item: Resource = {
        "sequence": number,
        "careTeamSequence": [1],
        "diagnosisSequence": [1],
        "productOrService": concept(term),
        "servicedDate": sitting.visit.on.isoformat(),
        "quantity": {"value": 1},
        "unitPrice": dollars(cents),
        "net": dollars(cents),
    }
    if number == 1:
        item["encounter"] = [reference(sitting.encounter)]
    return item


def _lines(amounts: list[int]) -> list[Resource]:
    """Write submitted, eligible, copay and benefit; the same shape serves for adjudication and for totals."""
    kinds = (_SUBMITTED, _ELIGIBLE, _COPAY, _BENEFIT)
    return [{"category": concept(kind), "amount": dollars(cents)} for kind, cents in zip(kinds, amounts, strict=True)]
