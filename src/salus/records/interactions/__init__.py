# SPDX-License-Identifier: Apache-2.0
"""One file per FHIR interaction (https://hl7.org/fhir/R4/http.html).

Each is a story: decide, validate, seal and store, audit, answer.

`stage` in the writing interactions does everything short of the commit, so that a transaction can stage many and commit
them as one.
"""
