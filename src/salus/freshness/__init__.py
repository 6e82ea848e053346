# SPDX-License-Identifier: Apache-2.0
"""That the database is as it was last written: no row taken away, added, changed or put back in an older state."""
