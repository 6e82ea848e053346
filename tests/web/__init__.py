# SPDX-License-Identifier: Apache-2.0
"""Pages: cookies, forms, drawing, and what a real browser makes of them."""
