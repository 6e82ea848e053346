# SPDX-License-Identifier: Apache-2.0
"""What people do, step by step: signing in, binding factors, managing an account, coming and leaving."""
