# SPDX-License-Identifier: Apache-2.0
"""The FHIR routes: translate between HTTP and the interactions of `salus.records`."""
