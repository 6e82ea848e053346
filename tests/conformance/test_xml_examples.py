# SPDX-License-Identifier: Apache-2.0
"""Every official R4 example comes back from XML as it went in."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from salus.fhir import json, xml

EXAMPLES = Path(__file__).parents[3] / "shared" / "data" / "r4-examples.ndjson.gz"


@pytest.mark.skipif(not EXAMPLES.is_file(), reason="the shared data is not here")
def test_every_example_comes_back_as_it_was() -> None:
    with gzip.open(EXAMPLES) as lines:
        seen = 0
        for line in lines:
            resource = json.decode(line)
            back = xml.decode(xml.encode(resource))
            assert back == resource, (resource["resourceType"], resource.get("id"))
            seen += 1
    assert seen == 2322
