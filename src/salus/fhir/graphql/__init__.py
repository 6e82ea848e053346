# SPDX-License-Identifier: Apache-2.0
"""GraphQL over FHIR resources, read only.  https://hl7.org/fhir/R4/graphql.html

`document` reads a query and resolves fragments, variables and conditions; `shape` holds it against the types of R4;
`select` takes what was asked for out of resources, and asks a `Source` for others. graphql-core has the grammar; the
execution is ours, because FHIR's directives change the shape of an answer and because every record needs a permit.
"""
