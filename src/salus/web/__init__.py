# SPDX-License-Identifier: Apache-2.0
"""Pages for people: signing in, factors, account. Draws what `salus.identity` asks next; decides nothing."""
