# SPDX-License-Identifier: Apache-2.0
"""Who did what, and proof that nobody changed it: events, append-only log, Merkle tree, verification."""
