# SPDX-License-Identifier: Apache-2.0
"""The library of the house: definitions, packages and code systems that are installed on this server.

Nothing here concerns a patient, and nothing belongs to a tenant: an operator installs, everybody uses. What a clinic
itself writes through FHIR (its own ValueSets and ConceptMaps) is a record of that clinic and lives in `salus.records`.
"""
