# SPDX-License-Identifier: Apache-2.0
"""Invented patients: complete, plausible FHIR R4 records for the demo clinic, for benchmarks and for tests.

Everything follows from a seed, the number of the patient and today's date: no clock, no files, no network.
Nobody here exists; telephone numbers are of the 555-01xx kind, mail goes to example.org and no national
identifier is made up.
"""
