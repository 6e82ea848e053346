# SPDX-License-Identifier: Apache-2.0
"""Composition: settings in, application out. The only place that wires rooms; no rules of its own."""
