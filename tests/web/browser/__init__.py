# SPDX-License-Identifier: Apache-2.0
"""The pages in a real Chromium, against a real server."""
