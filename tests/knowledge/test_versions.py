# SPDX-License-Identifier: Apache-2.0
"""Which version is newer."""

from __future__ import annotations

from itertools import pairwise

import pytest

from salus.knowledge.versions import newness


@pytest.mark.parametrize(
    "oldest_first",
    [
        ("", "1.0.0-ballot", "1.0.0-ballot2", "1.0.0", "1.0.1", "1.10.0", "2.0.0"),
        ("2018-08-12", "2019-01-01", "2019-11"),
        ("20220901", "20230901"),
        ("2.9", "2.10", "3"),
    ],
)
def test_versions_in_order(oldest_first: tuple[str, ...]) -> None:
    for older, newer in pairwise(oldest_first):
        assert newness(older) < newness(newer)
