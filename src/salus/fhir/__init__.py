# SPDX-License-Identifier: Apache-2.0
"""What FHIR R4 says: definitions, strict JSON, validation, search parameters, outcomes.

Pure rules over values: no I/O but the definitions that ship with the package.
"""
