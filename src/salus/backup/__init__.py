# SPDX-License-Identifier: Apache-2.0
"""Backups: sealed chunks, signed and chained manifests, and the places where they lie. Knows nothing of records."""
