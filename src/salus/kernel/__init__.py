# SPDX-License-Identifier: Apache-2.0
"""What every room may use: errors, the actor, settings, clock, ids and database handles. Knows no business."""
