# SPDX-License-Identifier: Apache-2.0
"""What SMART App Launch says about scopes: their grammar and what a condition in one means. Pure."""
