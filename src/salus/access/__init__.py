# SPDX-License-Identifier: Apache-2.0
"""Who may do what: the policy, the decision, and the permit without which no record leaves the store.

`decide.Access.decide()` is the only maker of a `Permit`. No policy, no role or no grant means no access.
"""
