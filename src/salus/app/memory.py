# SPDX-License-Identifier: Apache-2.0
"""Memory of a process that holds large tables, decodes large Bundles and must not give away its keys."""

from __future__ import annotations

import ctypes
import gc
import resource

_PR_SET_DUMPABLE = 4  # linux/prctl.h

# New containers before a look at the young ones. A Bundle of 1 MB decodes to 100,000; to look at all of them at once
# takes as long as in portions, but nobody else has a turn in between.
_YOUNG = 40_000
_LOOKS = 50  # at the young ones, before one at those that have stayed


def calm_collector() -> None:
    """Leave alone what lives for ever (rules, tables, keys), and look less often at what is new.

    Call it once everything is loaded. Measured on imports: a third of the CPU went into looking for cycles, and none
    of the records' data ever forms one.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, _LOOKS, 100)


def seal_memory() -> None:
    """Let no copy of this process' memory be made: no core dump, and no other process of the same user may attach.

    With PR_SET_DUMPABLE 0 the kernel also gives `/proc/<pid>` to root, so environment and memory of the process are
    closed to its own user. Privileged users can still look.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
