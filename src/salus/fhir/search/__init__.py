# SPDX-License-Identifier: Apache-2.0
"""Search as FHIR R4 defines it: parameters, index rows of a resource, query grammar, exact matching, sorting.

Pure rules over values (https://hl7.org/fhir/R4/search.html). What a query may see and how it is answered
from the encrypted index is decided elsewhere. Reading order: `expression` and `leaves` (where a parameter
points), `parameters` (the registry), `extract` (rows of a resource), `clauses` and `query` (what is asked),
`match` and `sort`.
"""
