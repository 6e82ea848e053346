# SPDX-License-Identifier: Apache-2.0
"""What FHIR says about operations: definitions, parameters in, parameters out.  https://hl7.org/fhir/R4/operations.html

`definition` describes an operation and writes its OperationDefinition, `arguments` reads what somebody sent by that
description, `answer` writes `Parameters`. Nothing is carried out here; the stories are in `salus.records.operations`.
"""
