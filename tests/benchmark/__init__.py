# SPDX-License-Identifier: Apache-2.0
"""The benchmark is code like any other: what it claims must hold."""
