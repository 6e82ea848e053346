# SPDX-License-Identifier: Apache-2.0
"""What a `patient/` scope means for types that R4 keeps out of the patient compartment.

SMART leaves it open ("some EHRs may not enable access to all related resources … for example, Practitioners").
An application that shows a prescription has to name the prescriber, the pharmacy and the medicine, so what is about
nobody in particular may be read. What may be about a patient without saying about whom is not opened. A new type is
closed until it is listed here.
https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html#patient-specific-scopes
"""

from __future__ import annotations

from salus.fhir.compartment import BESIDE, compartment_types

SHARED: frozenset[str] = frozenset(
    {
        # the directory
        *("Endpoint", "HealthcareService", "InsurancePlan", "Location", "Organization", "OrganizationAffiliation"),
        *("Practitioner", "PractitionerRole", "Slot"),
        # what is prescribed and used
        *("DeviceDefinition", "Medication", "MedicationKnowledge", "Substance", "SpecimenDefinition"),
        *("ObservationDefinition", "ChargeItemDefinition"),
        # definitions and code systems
        *("ActivityDefinition", "CapabilityStatement", "CodeSystem", "CompartmentDefinition", "ConceptMap"),
        *("EventDefinition", "GraphDefinition", "Library", "Measure", "MessageDefinition"),
        *("NamingSystem", "OperationDefinition", "PlanDefinition", "Questionnaire", "SearchParameter"),
        *("StructureDefinition", "TerminologyCapabilities", "ValueSet"),
    }
)
"""Types about no patient: a `patient/` scope lets them be read and searched, never written."""

OWNED: frozenset[str] = frozenset({*compartment_types(), *BESIDE, "Binary", "Bundle"})
"""Types whose records may be a patient's; a Binary goes with its security context, a Bundle with its entries."""
