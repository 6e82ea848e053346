# SPDX-License-Identifier: Apache-2.0
"""Launches from within the record: a handle counts once, for one application, for five minutes."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from client_desk import ClientDesk, app
from hypothesis import given, settings
from hypothesis import strategies as st
from identity_desk import Desk

from salus.identity.clients.launch import Launched, Launches, check_context, context_text
from salus.identity.smart.context import LaunchContext
from salus.kernel.commit import Unit
from salus.kernel.errors import Kind, Problem

BASE = "https://clinic.example/fhir"
CHART = LaunchContext(
    "dr.amara", "session-1", "anna", "visit-1", context_text([{"reference": "ImagingStudy/9"}]), "plan"
)


@pytest.fixture
def launches(desk: Desk) -> Launches:
    clients = ClientDesk(desk)
    clients.register(app(launch_uri="https://app.example/launch"))
    return Launches(desk.db, desk.keyring.tenant, desk.clock)


def started(desk: Desk, launches: Launches, **other: Any) -> Launched:
    client = app(launch_uri="https://app.example/launch?ehr=1")
    launched = desk.do(lambda unit: launches.start(unit, client, CHART, BASE))
    assert isinstance(launched, Launched)
    return launched


def take(desk: Desk, launches: Launches, handle: str, client: str = "app", tenant: str = "default") -> Any:
    return desk.do(lambda unit: launches.take(unit, tenant, handle, client))


def test_the_browser_goes_to_the_application_with_issuer_and_handle(desk: Desk, launches: Launches) -> None:
    launched = started(desk, launches)
    query = parse_qs(urlsplit(launched.address).query)
    assert query == {"ehr": ["1"], "iss": [BASE], "launch": [launched.handle]}
    assert "anna" not in launched.address
    assert take(desk, launches, launched.handle) == CHART


@pytest.mark.parametrize("how", ["again", "another client", "another tenant", "too late", "guessed", "empty"])
def test_a_handle_that_does_not_count_is_refused_in_the_same_words(desk: Desk, launches: Launches, how: str) -> None:
    handle, client, tenant = started(desk, launches).handle, "app", "default"
    if how == "again":
        take(desk, launches, handle)
    elif how == "another client":
        client = "portal"
    elif how == "another tenant":
        tenant = "other"
    elif how == "too late":
        desk.clock.later(300)
    else:
        handle = "" if how == "empty" else "salus_la_" + "A" * 43
    with pytest.raises(Problem) as refused:
        take(desk, launches, handle, client, tenant)
    assert refused.value.kind is Kind.INCORRECT
    assert refused.value.public.startswith("The launch is not known")


def test_race_for_a_handle_has_one_winner(desk: Desk, launches: Launches) -> None:
    import asyncio

    handle = started(desk, launches).handle
    units = [Unit() for _ in range(3)]
    for unit in units:
        assert launches.take(unit, "default", handle, "app") == CHART
    outcomes = asyncio.run(desk.commit(*units))
    assert outcomes.count(None) == 1


def test_handles_and_context_lie_nowhere_in_the_clear(desk: Desk, launches: Launches) -> None:
    handle = started(desk, launches).handle
    kept = repr(desk.db.execute("select * from client_launch").fetchall())
    assert handle not in kept
    assert "anna" not in kept


@pytest.mark.parametrize("change", [{"launch_uri": ""}, {"launch_uri": "https://app.example/launch", "disabled": True}])
def test_what_cannot_be_launched_is_not(launches: Launches, change: dict[str, Any]) -> None:
    with pytest.raises(Problem):
        launches.start(Unit(), app(**change), CHART, BASE)


@pytest.mark.requirement("smart@177", "smart@178", "smart@188")
@pytest.mark.parametrize(
    "references",
    [
        [{"reference": "Patient/anna"}],
        [{"reference": "Encounter/1", "role": "launch"}],
        [{"reference": "https://elsewhere.example/Observation/1"}],
        [{"reference": "Nothing/1"}],
        [{"role": "x"}],
        [{"reference": "Observation/1", "surprise": 1}],
        [{"reference": "Observation/1", "role": "sibling"}],
        [{"reference": "Observation/1", "role": ""}],
        ["Observation/1"],
        [{"identifier": "x"}],
        [{"reference": "Observation/1"}] * 21,
    ],
)
def test_context_that_the_standard_does_not_know_is_refused(references: list[Any]) -> None:
    with pytest.raises(Problem) as refused:
        check_context(LaunchContext("dr.amara", fhir_context=context_text(references)))
    assert [issue.place for issue in refused.value.issues] == ["fhirContext"]


def test_context_of_each_kind_is_taken() -> None:
    references = [
        {"reference": "Observation/1"},
        {"reference": "Patient/2", "role": "https://clinic.example/sibling"},
        {"canonical": "https://clinic.example/Questionnaire/q|2", "type": "Questionnaire"},
        {"identifier": {"system": "urn:x", "value": "1"}, "type": "ServiceRequest"},
    ]
    check_context(LaunchContext("dr.amara", patient="p-1", encounter="e.1", fhir_context=context_text(references)))


@settings(max_examples=60)
@given(handle=st.text(max_size=120))
def test_no_text_opens_a_launch_that_was_not_started(launches: Launches, handle: str) -> None:
    with pytest.raises(Problem):
        launches.take(Unit(), "default", handle, "app")
