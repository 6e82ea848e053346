# SPDX-License-Identifier: Apache-2.0
"""Bringing in records from files: Bundles and NDJSON, plain, gzip, in a tar archive or a folder."""
