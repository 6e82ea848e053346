# SPDX-License-Identifier: Apache-2.0
"""Pages of a search while records are written in between: every record of the beginning once, none twice."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.support.clinic import BASE, Client, Clinic, heart_rate, patient

_QUERIES = (
    "Observation?patient=anna",  # answered by the index alone
    "Observation?patient=anna&status=final",  # candidates are opened
    "Observation?_sort=value-quantity",
    "Observation?_sort=-value-quantity&patient=anna",
    "Observation?_sort=_lastUpdated",
    "Observation?_id=n0,n1,n2,n3,n4,n5,n6,n7",
)


def _ids(client: Client, query: str, between: Callable[[int], None]) -> list[str]:
    """Ids over all pages of two; `between` is called after each."""
    found: list[str] = []
    path = f"/fhir/{query}&_count=2"
    while path:
        bundle = client.get(path).json()
        found += [entry["resource"]["id"] for entry in bundle.get("entry", ())]
        path = next((link["url"] for link in bundle["link"] if link["relation"] == "next"), "").removeprefix(BASE)
        between(len(found))
    return found


def _fill(client: Client) -> set[str]:
    client.delete("/fhir/Observation/pulse-anna")
    client.delete("/fhir/Observation/pulse-bert")
    for n in range(8):
        client.put(f"/fhir/Observation/n{n}", heart_rate("anna", n, id_=f"n{n}"))
    return {f"n{n}" for n in range(8)}


@pytest.mark.parametrize("query", _QUERIES)
@pytest.mark.parametrize("touched", ["n0", "n4", "n7"])
def test_updates_between_pages_neither_lose_nor_repeat_a_record(clinic: Clinic, query: str, touched: str) -> None:
    service = clinic.as_("service")
    everything = _fill(service)
    moved = iter((50, -50, 3))  # to both ends of a sorted answer, and to its middle

    def between(_given: int) -> None:
        value = next(moved, None)
        if value is not None:
            service.put(f"/fhir/Observation/{touched}", heart_rate("anna", value, id_=touched))

    found = _ids(service, query, between)
    assert sorted(found) == sorted(everything)


@pytest.mark.parametrize("query", _QUERIES)
def test_every_record_rewritten_between_all_pages_is_still_given_once(clinic: Clinic, query: str) -> None:
    service = clinic.as_("service")
    everything = _fill(service)

    def between(given: int) -> None:
        for n in range(8):
            service.put(f"/fhir/Observation/n{n}", heart_rate("anna", (n * 7 + given) % 11, id_=f"n{n}"))

    assert sorted(_ids(service, query, between)) == sorted(everything)


@pytest.mark.parametrize("query", _QUERIES[:5])
def test_new_records_wait_for_the_next_search_and_deleted_ones_are_left_out(clinic: Clinic, query: str) -> None:
    service = clinic.as_("service")
    everything = _fill(service)

    def between(given: int) -> None:
        if given == 2:
            service.post("/fhir/Observation", heart_rate("anna", 4))
            service.delete("/fhir/Observation/n4")

    found = _ids(service, query, between)
    assert len(found) == len(set(found))
    assert everything - {"n4"} <= set(found) <= everything


def test_the_order_of_pages_is_that_of_the_beginning(clinic: Clinic) -> None:
    service = clinic.as_("service")
    _fill(service)

    def between(given: int) -> None:
        service.put("/fhir/Observation/n7", heart_rate("anna", -given, id_="n7"))

    assert _ids(service, "Observation?_sort=value-quantity", between) == [f"n{n}" for n in range(8)]


def test_a_record_that_stopped_to_match_is_not_given(clinic: Clinic) -> None:
    service = clinic.as_("service")
    for n in range(4):
        service.put(f"/fhir/Patient/p{n}", patient(f"p{n}", "Same", "1990-01-01"))

    def between(given: int) -> None:
        if given == 2:
            service.put("/fhir/Patient/p1", patient("p1", "Other", "1990-01-01"))

    assert _ids(service, "Patient?family=same", between) == ["p3", "p2", "p0"]
