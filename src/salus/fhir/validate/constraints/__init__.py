# SPDX-License-Identifier: Apache-2.0
"""R4's constraints that need FHIRPath: `breaks` says quickly whether one is broken, `breaches` says which and where.

Most constraints of R4 ask only what is there, and are part of the schema (`salus.fhir.validate.invariants`). Of the
others, generated code looks at each place only whether what the constraint speaks of is present (`presence`,
`walkers`); the expression itself runs where it could fail.
"""

from salus.fhir.validate.constraints.breaches import breaches, breaching
from salus.fhir.validate.constraints.walkers import breaks

__all__ = ["breaches", "breaching", "breaks"]
