# SPDX-License-Identifier: Apache-2.0
"""Profiles: from a StructureDefinition to a checker that asks only for what R4 itself does not ask already.

`element` reads a definition into a tree, `compiling` makes `checks` and `rules` of it, `slicing` tells which slice an
item belongs to, `run` is one check of one resource, `book` keeps the checkers. https://hl7.org/fhir/R4/profiling.html
"""
