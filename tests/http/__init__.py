# SPDX-License-Identifier: Apache-2.0
"""Requests that are malformed, anonymous or too large, seen from the wire."""
