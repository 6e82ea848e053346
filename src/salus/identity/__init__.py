# SPDX-License-Identifier: Apache-2.0
"""Who someone is: accounts, passwords, one-time codes, access tokens. What they may do is `salus.access`."""
