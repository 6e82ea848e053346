# SPDX-License-Identifier: Apache-2.0
"""The authorization server over HTTP: forms in, JSON and redirects out."""
