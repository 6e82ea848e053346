# SPDX-License-Identifier: Apache-2.0
"""Salus: the health-record platform that is secure before anyone configures it."""

__version__ = "0.1.0"
