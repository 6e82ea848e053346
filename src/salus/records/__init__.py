# SPDX-License-Identifier: Apache-2.0
"""The patient record: one file per interaction, and the encrypted store under them. Decides nothing about who may."""
