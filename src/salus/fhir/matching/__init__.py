# SPDX-License-Identifier: Apache-2.0
"""Are these two the same person? Comparing Patients field by field, for `Patient/$match`.

`words` compares texts, `fields` says how well each field agrees, `judge` adds the weights to a score and a grade that
explain themselves. Pure rules; where candidates come from is `salus.records.operations.match`.
"""
