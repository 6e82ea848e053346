# SPDX-License-Identifier: Apache-2.0
"""A page link is no proof of anything: it works for the one who got it, where they got it, for a day."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.clinic import BASE, PEOPLE, Client, Clinic, heart_rate, put_all
from tests.support.hand_clock import HandClock

DAY_MS = 24 * 3600 * 1000


@pytest.fixture(scope="module")
def paged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Clinic, HandClock]]:
    """A clinic with several pages, and its clock."""
    clock = HandClock()
    clinic = Clinic(tmp_path_factory.mktemp("paged") / "data", clock=clock)
    put_all(clinic.as_("service"), *(heart_rate("anna", 60 + n, f"more-{n}") for n in range(5)))
    yield clinic, clock
    clinic.close()
    clinic.loop.close()


def link(who: Client, path: str) -> str:
    """Where the next page of an answer is."""
    bundle = who.get(path).json()
    return next(one["url"] for one in bundle["link"] if one["relation"] == "next").removeprefix(BASE)


FIRST = (
    "/fhir/Observation?_count=2",
    "/fhir/Observation?_count=2&_sort=_id",
    "/fhir/Observation/_history?_count=2",
    "/fhir/_history?_count=2",
)


@pytest.mark.parametrize("first", FIRST)
def test_a_page_link_of_someone_else(paged: tuple[Clinic, HandClock], first: str) -> None:
    clinic, _ = paged
    following = link(clinic.as_("physician"), first)
    assert clinic.as_("physician").get(following).status_code == 200
    for name in PEOPLE:
        if name != "physician":
            assert clinic.as_(name).get(following).status_code in {400, 403}
    assert clinic.stranger.get(following).status_code == 401


@pytest.mark.parametrize("first", FIRST)
def test_an_edited_page_link(paged: tuple[Clinic, HandClock], first: str) -> None:
    physician = paged[0].as_("physician")
    address, _, sealed = link(physician, first).partition("_page=")
    middle = len(sealed) // 2
    flipped = "A" if sealed[middle] != "A" else "B"
    forgeries = (
        sealed[:middle] + flipped + sealed[middle + 1 :],
        sealed[:-4],
        sealed + "AAAA",
        "",
        "x",
        "é",
        "A" * 3000,
    )
    answers = [physician.get(f"{address}_page={forged}") for forged in forgeries]
    for answer in answers:
        assert answer.status_code == 400
        assert answer.json()["issue"][0]["expression"] == ["query._page"]
        assert answer.content == answers[0].content


def test_a_page_link_on_another_address(paged: tuple[Clinic, HandClock]) -> None:
    physician = paged[0].as_("physician")
    for first in FIRST:
        _, _, sealed = link(physician, first).partition("_page=")
        for other in ("Patient?", "Patient/_history?", "Patient/anna/_history?", "Condition?code=1&"):
            assert physician.get(f"/fhir/{other}_page={sealed}").status_code == 400
    _, _, sealed = link(physician, FIRST[2]).partition("_page=")
    assert physician.get(f"/fhir/Observation?_page={sealed}").status_code == 400
    assert physician.get(f"/fhir/Observation/pulse-anna/_history?_page={sealed}").status_code == 400


def test_a_page_link_of_the_audit_log_elsewhere(paged: tuple[Clinic, HandClock]) -> None:
    clinic, _ = paged
    following = link(clinic.as_("auditor"), "/fhir/AuditEvent?_count=2")
    assert clinic.as_("auditor").get(following).status_code == 200
    assert clinic.as_("security-officer").get(following).status_code == 400
    assert clinic.as_("physician").get(following).status_code == 403
    sealed = following.partition("_page=")[2]
    assert clinic.as_("auditor").get(f"/fhir/Practitioner?_page={sealed}").status_code == 403


def test_parameters_added_to_a_page_link_change_nothing(paged: tuple[Clinic, HandClock]) -> None:
    """What is searched stands inside the seal: nothing beside it widens the answer."""
    nurse = paged[0].as_("nurse")
    following = link(nurse, "/fhir/Observation?_count=2&code=8867-4")
    plain = nurse.get(following).json()
    assert nurse.get(f"{following}&patient=bert&_count=1000").json()["entry"] == plain["entry"]


def test_a_day_old_page_link(paged: tuple[Clinic, HandClock]) -> None:
    clinic, clock = paged
    physician = clinic.as_("physician")
    following = link(physician, FIRST[0])
    clock.forward(DAY_MS - 60_000)
    assert physician.get(following).status_code == 200
    clock.forward(120_000)
    assert physician.get(following).status_code == 400
    clock.forward(-DAY_MS)


def test_a_page_link_tells_nothing_of_what_is_searched(paged: tuple[Clinic, HandClock]) -> None:
    """Links end up in logs of proxies and browsers; the cursor hides the query."""
    from base64 import urlsafe_b64decode

    following = link(paged[0].as_("physician"), "/fhir/Observation?_count=2&code=8867-4&patient=anna")
    sealed = following.partition("_page=")[2]
    assert "8867" not in following
    assert b"8867" not in urlsafe_b64decode(sealed + "=" * (-len(sealed) % 4))
