# SPDX-License-Identifier: Apache-2.0
"""Rules of the house that a reviewer would otherwise have to look for, read off the source."""
