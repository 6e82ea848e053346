# SPDX-License-Identifier: Apache-2.0
"""Applications and services that come to the authorization server: who they are and how they prove it."""
