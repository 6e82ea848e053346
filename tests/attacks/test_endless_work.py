# SPDX-License-Identifier: Apache-2.0
"""One request that asks for the same costly thing many times: the server has to say no instead of standing still."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from salus.kernel.settings import Limits
from salus.records.store.store import Store
from tests.support.clinic import Clinic, heart_rate, put_all

_FEW = 30  # records that one search may open here


@pytest.fixture
def tight(tmp_path: Path) -> Iterator[Clinic]:
    """A clinic where a search may open few records, with one record less than that."""
    clinic = Clinic(tmp_path / "data", Limits(requests_per_second=100_000, burst=100_000, search_candidates=_FEW))
    put_all(clinic.as_("service"), *(heart_rate("anna", 60 + n, f"beat-{n}") for n in range(_FEW - 3)))
    yield clinic
    clinic.close()
    clinic.loop.close()


def _graphql(clinic: Clinic, query: str) -> dict[str, Any]:
    found: dict[str, Any] = clinic.as_("physician").post("/fhir/$graphql", {"query": query}).json()
    return found


def test_searches_of_one_graphql_query_share_what_they_may_open(tight: Clinic) -> None:
    once = 'a0: ObservationList(_filter: "status ne x", _count: 1) { id }'
    opened = 'a1: ObservationConnection(_filter: "status ne x", _count: 0) { count }'
    assert "issue" not in _graphql(tight, f"{{ {once} }}")
    assert _graphql(tight, f"{{ {opened} }}")["data"]["a1"]["count"] == _FEW - 1
    both = _graphql(tight, "{ " + " ".join(opened.replace("a1", f"a{n}") for n in range(20)) + " }")
    assert "too-costly" in str(both)


def test_counting_in_graphql_opens_nothing_that_the_index_can_say(
    tight: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = 0
    really = Store.open

    def counted(*args: Any) -> Any:
        nonlocal opened
        opened += 1
        return really(*args)

    monkeypatch.setattr(Store, "open", counted)
    asked = " ".join(f"a{n}: ObservationConnection(_count: 0) {{ count }}" for n in range(20))
    assert _graphql(tight, f"{{ {asked} }}")["data"]["a7"]["count"] == _FEW - 1
    assert opened == 0


def test_a_description_with_a_thousand_names_is_not_looked_for(tight: Clinic) -> None:
    names = [{"family": f"k{n}", "given": [f"r{n}"]} for n in range(1_000)]
    described = {"resourceType": "Patient", "birthDate": "1980-02-29", "name": names}
    sent = {"resourceType": "Parameters", "parameter": [{"name": "resource", "resource": described}]}
    answer = tight.as_("physician").post("/fhir/Patient/$match", sent)
    assert answer.status_code == 400
    assert answer.json()["issue"][0]["code"] == "too-costly"


def test_the_same_include_many_times_opens_each_record_once(tight: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[bytes] = []
    really = Store.open_with_content

    def counted(self: Store, permit: Any, row: Any) -> Any:
        opened.append(row.rid)
        return really(self, permit, row)

    monkeypatch.setattr(Store, "open_with_content", counted)
    again = ("_revinclude:iterate=Observation:patient", "_revinclude=Observation:subject", "_include:iterate=*")
    answer = tight.as_("physician").get("/fhir/Patient?_id=anna&" + "&".join(again * 20))
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["entry"]) > _FEW - 2
    assert len(opened) == len(set(opened))


def test_a_value_set_that_asks_hundreds_of_sets_about_each_code_is_refused(tight: Clinic) -> None:
    same = ["http://hl7.org/fhir/ValueSet/languages"] * 500
    value_set = {"resourceType": "ValueSet", "status": "active", "compose": {"include": [{"valueSet": same}] * 50}}
    sent = {"resourceType": "Parameters", "parameter": [{"name": "valueSet", "resource": value_set}]}
    answer = tight.as_("anna").post("/fhir/ValueSet/$expand", sent)
    assert answer.status_code == 400
    assert answer.json()["issue"][0]["code"] == "too-costly"
