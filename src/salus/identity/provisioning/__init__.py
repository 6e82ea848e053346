# SPDX-License-Identifier: Apache-2.0
"""Accounts and groups that a directory keeps here through SCIM: what it may do, and what it can never reach."""
