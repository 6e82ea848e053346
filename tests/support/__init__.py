# SPDX-License-Identifier: Apache-2.0
"""People and places for tests: a clinic that works as the real one does, only smaller."""
