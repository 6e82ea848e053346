# SPDX-License-Identifier: Apache-2.0
"""Loading large code systems from the files in which their owners hand them out: LOINC, SNOMED CT, RxNorm.

The files are licensed; Salus brings none and fetches none. They are read line by line and written in batches, so a
million rows need no more memory than a thousand. Until everything is there nobody sees the new system; after an
interruption the next load throws away what was left half.
"""
