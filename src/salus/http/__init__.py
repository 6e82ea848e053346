# SPDX-License-Identifier: Apache-2.0
"""Speaks HTTP: takes requests apart, asks the rooms below, writes answers. Decides nothing about records."""
