# SPDX-License-Identifier: Apache-2.0
"""The authorization server: how a person lets an application act for them, and how a service gets a token."""
