# SPDX-License-Identifier: Apache-2.0
"""Where records lie: sealed bodies, facts beside them, blind tokens over them. Every way in takes a `Permit`."""
