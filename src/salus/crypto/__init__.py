# SPDX-License-Identifier: Apache-2.0
"""Keys, envelopes, key providers and the blind index: bytes and key names, never what a record means."""
