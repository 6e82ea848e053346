# SPDX-License-Identifier: Apache-2.0
"""Tokens as a stranger would try them: none, broken, old, stolen from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from tests.support.clinic import Client, Clinic
from tests.support.hand_clock import HandClock, HandElapsed

from salus.app.house import House
from salus.audit.event import EventType
from salus.http.limits import ANONYMOUS_BURST, ANONYMOUS_PER_SECOND
from salus.identity.tokens import PREFIX
from salus.kernel.commit import Unit

HOUR_MS = 3_600_000
PATHS = ("/fhir/Patient/anna", "/fhir/Patient", "/fhir/_history", "/fhir/AuditEvent", "/auth/sign-out")


@pytest.fixture
def timed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Clinic, HandClock]]:
    """A clinic and its clock."""
    clock = HandClock()
    clinic = Clinic(tmp_path_factory.mktemp("timed") / "data", clock=clock)
    yield clinic, clock
    clinic.close()
    clinic.loop.close()


def bearing(clinic: Clinic, credential: str) -> Client:
    """Somebody with this Authorization header."""
    return Client(clinic, {"authorization": credential})


def refused(answer: httpx.Response) -> bool:
    """A 401 that names the scheme and tells nothing else."""
    outcome = answer.json()
    return (
        answer.status_code == 401
        and answer.headers["www-authenticate"].startswith("Bearer")
        and outcome["resourceType"] == "OperationOutcome"
        and outcome["issue"][0]["code"] == "login"
        and "anna" not in answer.text.lower()
    )


@pytest.mark.parametrize("path", PATHS)
def test_no_token(clinic: Clinic, path: str) -> None:
    method = "POST" if path.startswith("/auth") else "GET"
    assert refused(clinic.stranger.request(method, path))


def test_every_kind_of_bad_token_gets_the_same_answer(clinic: Clinic) -> None:
    good = clinic.token("physician")
    flipped = good[:-1] + ("A" if good[-1] != "A" else "B")
    bad = (
        "Bearer garbage",
        f"Bearer {PREFIX}" + "A" * 43,
        f"Bearer {flipped}",
        f"Bearer {good}A",
        f"Bearer {good[:-1]}",
        f"Bearer {good} {good}",
        f"Bearer {good.upper()}",
        f"Bearer {PREFIX}" + "'; drop table token; --".ljust(43, "A"),
        "Bearer " + "x" * 60_000,
    )
    answers = [bearing(clinic, credential).get("/fhir/Patient/anna") for credential in bad]
    assert all(refused(answer) for answer in answers)
    assert len({answer.content for answer in answers}) == 1
    elsewhere = bearing(clinic, f"Bearer {good}").get("/t/nowhere/fhir/Patient/anna")
    told = {answer.headers["www-authenticate"] for answer in (*answers, elsewhere)}
    assert len(told) == 1
    assert 'error="invalid_token"' in told.pop()
    assert "error" not in clinic.stranger.get("/fhir/Patient/anna").headers["www-authenticate"]


@pytest.mark.parametrize("scheme", ["Basic", "Token", "bearerx", ""])
def test_a_good_token_under_another_scheme(clinic: Clinic, scheme: str) -> None:
    credential = f"{scheme} {clinic.token('physician')}".strip()
    assert refused(bearing(clinic, credential).get("/fhir/Patient/anna"))


def test_the_scheme_is_read_without_case(clinic: Clinic) -> None:
    """RFC 9110 section 11.1."""
    assert bearing(clinic, f"bearer {clinic.token('physician')}").get("/fhir/Patient/anna").status_code == 200


@pytest.mark.parametrize("name", ["access_token", "token", "_token", "authorization"])
def test_a_token_in_the_address_or_in_a_form_is_ignored(clinic: Clinic, name: str) -> None:
    """RFC 9700 section 4.3.2: addresses are logged and shared."""
    token = clinic.token("physician")
    assert refused(clinic.stranger.get(f"/fhir/Patient/anna?{name}={token}"))
    form = {"content-type": "application/x-www-form-urlencoded"}
    assert refused(clinic.stranger.request("POST", "/fhir/Patient/_search", content=f"{name}={token}", headers=form))
    assert refused(clinic.stranger.get("/fhir/Patient/anna", headers={"cookie": f"{name}={token}"}))


def test_a_revoked_token_stops_at_once(clinic: Clinic) -> None:
    physician = clinic.as_("physician")
    assert physician.get("/fhir/Patient/anna").status_code == 200
    session = next(t.id for t in clinic.house.tokens.all_tokens("default", "physician"))
    unit = Unit()
    clinic.house.tokens.revoke(unit, "default", session)
    clinic.run(clinic._commit(unit))
    assert refused(physician.get("/fhir/Patient/anna"))


def test_a_token_revoked_by_another_process_stops_within_a_second(timed: tuple[Clinic, HandClock]) -> None:
    clinic, clock = timed
    physician = clinic.as_("physician")
    assert physician.get("/fhir/Patient/anna").status_code == 200
    elsewhere = House(clinic.settings, clock=clock)
    session = next(t.id for t in elsewhere.tokens.all_tokens("default", "physician"))

    async def revoke() -> None:
        unit = Unit()
        elsewhere.tokens.revoke(unit, "default", session)
        await elsewhere.record(unit, elsewhere.operator(), EventType.TOKEN_REVOKE)

    clinic.run(revoke())
    elsewhere.close()
    clock.forward(1_000)
    assert refused(physician.get("/fhir/Patient/anna"))


def test_an_expired_token(timed: tuple[Clinic, HandClock]) -> None:
    clinic, clock = timed
    user = clinic.house.users.find("default", "physician")
    assert user is not None
    unit = Unit()
    token, _ = clinic.house.tokens.issue(unit, user, "TREAT", lifetime_ms=HOUR_MS)
    clinic.run(clinic._commit(unit))
    who = bearing(clinic, f"Bearer {token}")
    clock.forward(HOUR_MS - 1)
    assert who.get("/fhir/Patient/anna").status_code == 200
    clock.forward(1)
    assert refused(who.get("/fhir/Patient/anna"))


def test_a_token_of_another_tenant(clinic: Clinic) -> None:
    clinic.house.keyring.create_tenant("other")
    token = clinic.token("physician")
    for path in ("/t/other/fhir/Patient/anna", "/t/other/fhir/Patient", "/t/other/fhir/_history"):
        assert refused(bearing(clinic, f"Bearer {token}").get(path))
    unit = Unit()
    clinic.house.users.add_service(unit, "other", "feed", roles=("service",), display="feed")
    clinic.run(clinic._commit(unit))
    user = clinic.house.users.find("other", "feed")
    assert user is not None
    unit = Unit()
    foreign, _ = clinic.house.tokens.issue(unit, user, "TREAT")
    clinic.run(clinic._commit(unit))
    feed = bearing(clinic, f"Bearer {foreign}")
    assert refused(feed.get("/fhir/Patient/anna"))
    assert feed.get("/t/other/fhir/Patient/anna").status_code == 404
    assert "entry" not in feed.get("/t/other/fhir/Patient").json()
    assert "entry" not in feed.get("/t/other/fhir/_history").json()


def test_an_unknown_tenant_looks_like_a_bad_token(clinic: Clinic) -> None:
    good = clinic.as_("physician").get("/t/nowhere/fhir/Patient/anna")
    bad = bearing(clinic, "Bearer garbage").get("/fhir/Patient/anna")
    assert refused(good)
    assert good.content == bad.content


def test_the_default_tenant_by_its_long_name_is_the_same_wall(clinic: Clinic) -> None:
    assert clinic.as_("anna").get("/t/default/fhir/Patient/anna").status_code == 200
    assert clinic.as_("anna").get("/t/default/fhir/Patient/bert").status_code == 404
    assert refused(clinic.stranger.get("/t/default/fhir/Patient/anna"))


@pytest.mark.parametrize("path", ["/health", "/health/ready", "/fhir/metadata"])
def test_what_is_public_holds_no_record(clinic: Clinic, path: str) -> None:
    answer = clinic.stranger.get(path)
    assert answer.status_code == 200
    for word in ("anna", "bert", "physician", "salus_"):
        assert word not in answer.text


def test_guessing_tokens_is_slowed_down(clinic: Clinic) -> None:
    """Also bounds what a guesser writes to the audit log."""
    elapsed = HandElapsed()
    clinic.limits(ANONYMOUS_PER_SECOND, ANONYMOUS_BURST, elapsed)
    guesser = bearing(clinic, f"Bearer {PREFIX}" + "A" * 43)

    def statuses(tries: int) -> list[int]:
        return [guesser.get("/fhir/Patient/anna").status_code for _ in range(tries)]

    assert statuses(ANONYMOUS_BURST + 2) == [401] * ANONYMOUS_BURST + [429] * 2
    elapsed.forward(1)
    assert statuses(ANONYMOUS_PER_SECOND + 1) == [401] * ANONYMOUS_PER_SECOND + [429]
    throttled = guesser.get("/fhir/Patient/anna")
    assert int(throttled.headers["retry-after"]) >= 1
    assert throttled.json()["issue"][0]["code"] == "throttled"


def test_security_headers_stand_on_every_answer(clinic: Clinic) -> None:
    answers = [
        clinic.as_("physician").get("/fhir/Patient/anna"),
        clinic.as_("physician").get("/fhir/Patient/nobody"),
        clinic.stranger.get("/fhir/Patient/anna"),
        clinic.stranger.get("/nowhere"),
        clinic.stranger.request("TRACE", "/fhir/Patient"),
        clinic.as_("service").delete("/fhir/Condition/asthma-bert"),
    ]
    for answer in answers:
        headers = answer.headers
        assert "max-age" in headers["strict-transport-security"]
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["x-request-id"]
        assert "access-control-allow-origin" not in headers
        assert "server" not in headers


def test_an_origin_of_elsewhere_is_not_welcomed(clinic: Clinic) -> None:
    answer = clinic.as_("physician").get("/fhir/Patient/anna", headers={"origin": "https://evil.example"})
    assert not [name for name in answer.headers if name.startswith("access-control")]
    preflight = clinic.stranger.request("OPTIONS", "/fhir/Patient", headers={"origin": "https://evil.example"})
    assert preflight.status_code == 405
