# SPDX-License-Identifier: Apache-2.0
"""One file per operation (https://hl7.org/fhir/R4/operations.html); `table` lists them all.

Each is a story like an interaction: decide, work out, audit, answer. From the table come the routes, the
OperationDefinitions, the CapabilityStatement and the list in the documentation.
"""
