# SPDX-License-Identifier: Apache-2.0
"""The documentation and the program must say the same."""
