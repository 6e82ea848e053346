# SPDX-License-Identifier: Apache-2.0
"""Terminology: codes, code systems, value sets and concept maps (https://hl7.org/fhir/R4/terminology-module.html).

`protocol` says what validation, FHIRPath and search may ask; they take a `Terminology` and a `Canonicals` as values and
do not know where the definitions come from. The other modules are the rules that answer.
"""
