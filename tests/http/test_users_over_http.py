# SPDX-License-Identifier: Apache-2.0
"""Administration of people over HTTP: who may, how lately they must have been recognised, and what takes two."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from tests.support.clinic import PEOPLE, Client, Clinic
from tests.support.recognised import PASSWORD_AND_CODE, recognised

from salus.audit.event import EventType, Outcome
from salus.audit.reading import Filter
from salus.http.users_api import user_routes
from salus.kernel.commit import Unit

_NUMBERS = itertools.count()
JSON = {"content-type": "application/json"}


def invitation(name: str) -> dict[str, object]:
    """The body that invites a nurse."""
    return {"name": name, "roles": ["nurse"], "display": "Ben"}


def post(who: Client, path: str, body: object = None) -> tuple[int, dict[str, object]]:
    answer = who.post(path, body, headers=JSON)
    return answer.status_code, answer.json() if answer.content else {}


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    """One clinic for all tests: each has a nurse of its own."""
    made = Clinic(tmp_path_factory.mktemp("clinic") / "data")
    yield made
    made.close()
    made.loop.close()


@pytest.fixture
def ben() -> str:
    """A name that nobody has yet."""
    return f"nurse.ben{next(_NUMBERS)}"


@pytest.fixture
def admin(clinic: Clinic) -> Client:
    return recognised(clinic, "boss", "administrator")


@pytest.fixture
def colleague(clinic: Clinic) -> Client:
    return recognised(clinic, "vice", "administrator")


def test_an_administrator_invites_a_nurse_and_sees_her(admin: Client, ben: str) -> None:
    status, made = post(admin, "/admin/users", invitation(ben))
    assert status == 201
    assert len(str(made["code"])) == 27
    assert "T" in str(made["ends"])
    shown = admin.get(f"/admin/users/{ben}").json()
    assert (shown["roles"], shown["standing"]) == (["nurse"], "invited")
    assert shown["factors"] == {"password": False, "code": False, "passkeys": [], "recovery_codes": 0}
    assert ben in [user["name"] for user in admin.get("/admin/users").json()["users"]]
    assert post(admin, "/admin/users", invitation(ben))[0] == 409
    status, again = post(admin, f"/admin/users/{ben}/invitation")
    assert status == 201
    assert again["code"] != made["code"]


def test_every_door_is_closed_to_whoever_may_not(clinic: Clinic) -> None:
    """Nobody but who manages people, however surely recognised; and what is refused is in the log."""
    known = {name: (roles, purpose) for name, (roles, purpose, _) in PEOPLE.items()}
    for name, (roles, purpose) in known.items():
        if set(roles) & {"administrator", "security-officer", "privacy-officer"}:
            continue
        who = recognised(clinic, f"{name}.x", *roles, purpose=purpose)
        for route in user_routes(clinic.house.people):
            path = route.pattern.replace("{name}", "boss").replace("{id}", "1")
            answer = who.request(route.method, path, json={}, headers=JSON)
            assert answer.status_code == 403, (name, route.method, path)
    assert clinic.stranger.get("/admin/users").status_code == 401
    refused = Filter(outcomes=frozenset({Outcome.REFUSED}), types=frozenset({EventType.USER_INVITE}))
    entries = [entry.event for _, entry in clinic.log().page("default", refused, limit=50).entries]
    assert {event.actor.id for event in entries} >= {"nurse.x", "physician.x", "anna.x", "auditor.x"}


def test_a_privacy_officer_looks_and_changes_nothing(clinic: Clinic, ben: str) -> None:
    officer = recognised(clinic, "privacy", "privacy-officer")
    assert officer.get("/admin/users").status_code == 200
    assert post(officer, "/admin/users", invitation(ben))[0] == 403


def test_a_change_asks_for_factors_that_were_shown_a_moment_ago(clinic: Clinic, ben: str) -> None:
    late = recognised(clinic, "boss", "administrator", seconds_ago=301)
    assert late.get("/admin/users").status_code == 200
    answer = late.post("/admin/users", invitation(ben), headers=JSON)
    assert answer.status_code == 401
    told = answer.headers["www-authenticate"]
    assert told.startswith('Bearer realm="salus", error="insufficient_user_authentication"')
    assert 'acr_values="urn:salus:aal2"' in told
    assert "max_age=300" in told


def test_a_token_that_no_person_signed_in_for_changes_nobody(clinic: Clinic, ben: str) -> None:
    """One that an operator or a service holds is no evidence of a person who is there."""
    service = clinic.as_("administrator")
    assert service.get("/admin/users").status_code == 200
    answer = service.post("/admin/users", invitation(ben), headers=JSON)
    assert answer.status_code == 401
    assert "insufficient_user_authentication" in answer.headers["www-authenticate"]


def test_a_role_that_demands_aal3_opens_nothing_below_it(clinic: Clinic, ben: str) -> None:
    weak = recognised(clinic, "boss", "administrator", factors=PASSWORD_AND_CODE)
    for answer in (
        weak.get("/admin/users"),
        weak.get("/fhir/Practitioner/nurse"),
        weak.post("/admin/users", invitation(ben)),
    ):
        assert answer.status_code == 401
        assert 'acr_values="urn:salus:aal3"' in answer.headers["www-authenticate"]
    assert weak.post("/auth/sign-out").status_code == 204


@pytest.mark.parametrize("act", ["suspend", "leave"])
def test_who_is_suspended_or_leaves_is_out_at_once(clinic: Clinic, admin: Client, act: str, ben: str) -> None:
    nurse = recognised(clinic, ben, "nurse", purpose="TREAT")
    assert nurse.get("/fhir/Practitioner/nurse").status_code == 200
    assert post(admin, f"/admin/users/{ben}/{act}")[0] == 204
    assert nurse.get("/fhir/Practitioner/nurse").status_code == 401
    assert admin.get(f"/admin/users/{ben}").json()["standing"] == {"suspend": "suspended", "leave": "left"}[act]
    status, code = post(admin, f"/admin/users/{ben}/reinstate")
    assert (status, "code" in code) == (201, True)  # this one never had factors
    assert nurse.get("/fhir/Practitioner/nurse").status_code == 401


def test_sessions_are_listed_and_ended_from_afar(clinic: Clinic, admin: Client, ben: str) -> None:
    nurse = recognised(clinic, ben, "nurse", purpose="TREAT")
    other = recognised(clinic, ben, "nurse", purpose="TREAT")
    listed = admin.get(f"/admin/users/{ben}/sessions").json()["sessions"]
    assert [session["device"] for session in listed] == ["test", "test"]
    assert admin.delete(f"/admin/users/{ben}/sessions/{listed[0]['id']}").status_code == 204
    assert other.get("/fhir/Practitioner/nurse").status_code == 401
    assert nurse.get("/fhir/Practitioner/nurse").status_code == 200
    assert admin.delete(f"/admin/users/boss/sessions/{listed[1]['id']}").status_code == 404
    assert admin.delete(f"/admin/users/{ben}/sessions").status_code == 204
    assert nurse.get("/fhir/Practitioner/nurse").status_code == 401


def test_nobody_does_it_to_themselves(admin: Client) -> None:
    for path, body in (
        ("suspend", None),
        ("leave", None),
        ("unlock", None),
        ("reset", {"lost": "all"}),
        ("reinstate", None),
        ("invitation", None),
    ):
        assert post(admin, f"/admin/users/boss/{path}", body)[0] == 403, path
    assert admin.put("/admin/users/boss", {"roles": ["physician"]}, headers=JSON).status_code == 403


def test_a_reset_gives_a_code_and_never_a_password(clinic: Clinic, admin: Client, ben: str) -> None:
    unit = Unit()
    clinic.run(
        clinic.house.users.add_user(unit, "default", ben, "violet harbour 42 kites", roles=("nurse",), display="Ben")
    )
    clinic.run(clinic._commit(unit))
    for lost in ("password", "factors", "all"):
        status, made = post(admin, f"/admin/users/{ben}/reset", {"lost": lost})
        assert (status, set(made)) == (201, {"code", "ends"})
    assert post(admin, f"/admin/users/{ben}/reset", {"lost": "invite"})[0] == 422
    for body in ({}, {"lost": 1}, {"lost": "all", "password": "x"}, []):
        assert post(admin, f"/admin/users/{ben}/reset", body)[0] == 400


def test_a_peer_is_reset_by_two_after_a_day(clinic: Clinic, admin: Client, colleague: Client) -> None:
    recognised(clinic, "peer", "administrator")
    status, waits = post(admin, "/admin/users/peer/reset", {"lost": "all"})
    assert (status, set(waits)) == (202, {"approval"})
    (listed,) = [a for a in colleague.get("/admin/approvals").json()["approvals"] if a["id"] == waits["approval"]]
    assert (listed["by"], listed["name"], listed["reset"]) == ("boss", "peer", "all")
    one = f"/admin/approvals/{waits['approval']}"
    assert post(admin, one, {"approve": True})[0] == 403
    assert post(recognised(clinic, "peer"), one, {"approve": True})[0] == 403
    status, made = post(colleague, one, {"approve": True})
    assert (status, set(made)) == (201, {"code", "ends"})
    assert clinic.house.people.invitations.find("default", "peer", str(made["code"])) is None  # not before tomorrow
    assert post(colleague, one, {"approve": True})[0] == 404


def test_a_role_that_demands_aal3_is_given_by_two(clinic: Clinic, admin: Client, colleague: Client, ben: str) -> None:
    recognised(clinic, ben, "nurse", purpose="TREAT")
    wanted = {"roles": ["nurse", "administrator"], "display": "Ben Ito"}
    answer = admin.put(f"/admin/users/{ben}", wanted, headers=JSON)
    assert answer.status_code == 202
    shown = admin.get(f"/admin/users/{ben}").json()
    assert (shown["roles"], shown["display"]) == (["nurse"], "Ben Ito")
    assert post(colleague, f"/admin/approvals/{answer.json()['approval']}", {"approve": True})[0] == 204
    assert admin.get(f"/admin/users/{ben}").json()["roles"] == ["nurse", "administrator"]
    assert admin.put(f"/admin/users/{ben}", {"roles": ["nurse"]}, headers=JSON).status_code == 200


def test_an_administrator_is_invited_by_two(admin: Client, colleague: Client, ben: str) -> None:
    status, waits = post(admin, "/admin/users", {"name": f"new.{ben}", "roles": ["administrator"], "display": "New"})
    assert status == 202
    assert admin.get(f"/admin/users/new.{ben}").json()["standing"] == "suspended"
    status, made = post(colleague, f"/admin/approvals/{waits['approval']}", {"approve": True})
    assert (status, "code" in made) == (201, True)
    assert admin.get(f"/admin/users/new.{ben}").json()["standing"] == "invited"


def test_what_was_asked_for_can_be_refused(admin: Client, colleague: Client, ben: str) -> None:
    _, waits = post(admin, "/admin/users", {"name": f"new.{ben}", "roles": ["administrator"], "display": "New"})
    assert post(colleague, f"/admin/approvals/{waits['approval']}", {"approve": False})[0] == 204
    assert waits["approval"] not in admin.get("/admin/approvals").text


def test_unknown_names_and_roles_and_wrong_bodies(admin: Client, ben: str) -> None:
    assert admin.get("/admin/users/nobody").status_code == 404
    for path in ("suspend", "leave", "unlock", "reinstate"):
        assert post(admin, f"/admin/users/nobody/{path}")[0] == 404
    assert post(admin, "/admin/users", invitation(ben) | {"roles": ["wizard"]})[0] == 422
    assert post(admin, "/admin/users", invitation(ben) | {"roles": []})[0] == 422
    assert post(admin, "/admin/users", invitation(ben) | {"name": "Not A Name"})[0] == 422
    assert post(admin, "/admin/users", invitation(ben) | {"password": "chosen by the administrator"})[0] == 400
    assert admin.post("/admin/users", invitation(ben), headers={"content-type": "text/plain"}).status_code == 415


def test_what_is_done_is_in_the_log_and_no_code_is(clinic: Clinic, admin: Client, ben: str) -> None:
    _, made = post(admin, "/admin/users", invitation(ben))
    post(admin, f"/admin/users/{ben}/suspend")
    entries = [entry.event for _, entry in clinic.log().page("default", Filter(), limit=2).entries]
    assert [event.type for event in entries] == [EventType.USER_SUSPEND, EventType.USER_INVITE]
    assert {event.actor.id for event in entries} == {"boss"}
    assert str(made["code"]) not in repr(entries)
