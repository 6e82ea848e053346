# SPDX-License-Identifier: Apache-2.0
"""Privacy: what a patient's erasure needs before, during and after it."""
