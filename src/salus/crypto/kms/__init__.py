# SPDX-License-Identifier: Apache-2.0
"""Key providers: where the key that protects all other keys lives. One file per provider."""
