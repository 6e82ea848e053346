# SPDX-License-Identifier: Apache-2.0
"""What a `patient/` scope means for types that R4 keeps out of the patient compartment.

SMART leaves it open ("some EHRs may not enable access to all related resources … for example, Practitioners").
An application that shows a prescription has to name the prescriber, the pharmacy and the medicine, so what is about
nobody in particular may be read. What may be about a patient without standing in a compartment is held to the patient
by its reference, or not opened. A new type is closed until it is listed here.
https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html#patient-specific-scopes
"""

from __future__ import annotations

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
        *("EventDefinition", "GraphDefinition", "ImplementationGuide", "Library", "Measure", "MessageDefinition"),
        *("NamingSystem", "OperationDefinition", "PlanDefinition", "Questionnaire", "SearchParameter"),
        *("StructureDefinition", "StructureMap", "TerminologyCapabilities", "ValueSet"),
    }
)
"""Types about no patient: a `patient/` scope lets them be read and searched, never written."""

LINKED: dict[str, str] = {"Contract": "patient", "Device": "patient", "GuidanceResponse": "patient"}
"""Types outside the compartment that point to a patient, with the search parameter that says to whom."""

OWNED_BY_CONTENT: frozenset[str] = frozenset({"Binary", "Bundle"})
"""Types outside the compartment that Salus gives to the patients of what they hold, or of their security context."""
