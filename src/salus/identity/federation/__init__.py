# SPDX-License-Identifier: Apache-2.0
"""Signing in with the identity provider of an organisation: Salus as an OpenID Connect relying party."""
