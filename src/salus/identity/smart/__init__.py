# SPDX-License-Identifier: Apache-2.0
"""SMART App Launch as the authorization server needs it: scopes, and the context of a launch."""
