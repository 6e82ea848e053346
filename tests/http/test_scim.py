# SPDX-License-Identifier: Apache-2.0
"""A directory keeps accounts and groups through SCIM."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.support.clinic import Client, Clinic
from tests.support.scim import GROUP, PATCH, USER, Directory, directory

from salus.audit.event import EventType
from salus.identity.provisioning.person import logins


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Directory]:
    clinic = Clinic(tmp_path_factory.mktemp("scim") / "data")
    yield directory(clinic)
    clinic.close()
    clinic.loop.close()


@pytest.fixture
def scim(shared: Directory) -> Iterator[Directory]:
    """A directory that keeps nobody yet."""
    yield shared
    shared.clean()


@pytest.fixture
def clinic(scim: Directory) -> Clinic:
    return scim.clinic


def test_a_person_is_provisioned_and_has_an_account(scim: Directory, clinic: Clinic) -> None:
    answer = scim.post(
        "Users",
        {
            "schemas": [USER],
            "userName": "Jane.Doe",
            "externalId": "00u1",
            "name": {"givenName": "Jane", "familyName": "Doe"},
            "emails": [{"value": "jane@clinic.local", "type": "work", "primary": True}],
        },
    )
    made = answer.json()
    assert answer.status_code == 201
    assert answer.headers["content-type"].startswith("application/scim+json")
    assert answer.headers["location"] == made["meta"]["location"]
    assert answer.headers["etag"] == made["meta"]["version"]
    assert made["meta"]["location"] == f"https://localhost:8443/scim/v2/Users/{made['id']}"
    assert (made["userName"], made["externalId"], made["active"]) == ("Jane.Doe", "00u1", True)
    account = clinic.house.users.find("default", "jane.doe")
    assert account is not None
    assert (account.kind, account.roles, account.display, account.disabled) == ("user", (), "Jane Doe", False)
    assert scim.get(f"Users/{made['id']}").json() == made


def test_an_account_without_a_role_may_nothing(scim: Directory, clinic: Clinic) -> None:
    scim.person("jane")
    assert bearer(clinic, "jane").get("/fhir/Patient/anna").status_code == 403


def test_a_group_gives_the_role_that_an_operator_mapped_to_it(scim: Directory, clinic: Clinic) -> None:
    jane, joe = scim.person("jane"), scim.person("joe")
    scim.map("Ward physicians", "physician")
    group = scim.post("Groups", {"schemas": [GROUP], "displayName": "ward PHYSICIANS", "members": [{"value": jane}]})
    assert group.status_code == 201
    assert roles(clinic, "jane") == ("physician",)
    assert bearer(clinic, "jane").get("/fhir/Patient/anna").status_code == 200
    assert scim.get(f"Users/{jane}").json()["roles"] == [{"value": "physician"}]
    assert scim.get(f"Users/{jane}").json()["groups"][0]["value"] == group.json()["id"]
    id_ = group.json()["id"]
    assert scim.patch(f"Groups/{id_}", add("members", [{"value": joe}])).status_code == 200
    assert roles(clinic, "joe") == ("physician",)
    assert scim.patch(f"Groups/{id_}", remove(f'members[value eq "{jane}"]')).status_code == 200
    assert (roles(clinic, "jane"), roles(clinic, "joe")) == ((), ("physician",))
    assert scim.delete(f"Groups/{id_}").status_code == 204
    assert roles(clinic, "joe") == ()


def test_roles_follow_a_group_that_is_renamed_and_two_groups_that_give_the_same(
    scim: Directory, clinic: Clinic
) -> None:
    jane = scim.person("jane")
    scim.map("Ward", "nurse")
    scim.map("Pool", "nurse")
    scim.map("Pool", "front-desk")
    ward, pool = scim.group("Ward", jane), scim.group("Pool", jane)
    assert set(roles(clinic, "jane")) == {"nurse", "front-desk"}
    assert scim.patch(f"Groups/{pool}", replace("displayName", "Choir")).status_code == 200
    assert roles(clinic, "jane") == ("nurse",)
    assert scim.patch(f"Groups/{ward}", replace("displayName", "Pool")).status_code == 200
    assert set(roles(clinic, "jane")) == {"nurse", "front-desk"}


def test_what_an_operator_gave_stays_beside_what_groups_give(scim: Directory, clinic: Clinic) -> None:
    jane = scim.person("jane")
    clinic.run(scim.commit(lambda unit: clinic.house.users.change(unit, "default", "jane", roles=("billing",))))
    scim.map("Ward", "nurse")
    ward = scim.group("Ward", jane)
    assert roles(clinic, "jane") == ("billing", "nurse")
    scim.put(f"Groups/{ward}", {"schemas": [GROUP], "displayName": "Ward", "members": []})
    assert roles(clinic, "jane") == ("billing",)


def test_a_suspended_person_is_out_at_once_and_back_when_resumed(scim: Directory, clinic: Clinic) -> None:
    jane = scim.person("jane")
    scim.map("Ward", "physician")
    scim.group("Ward", jane)
    person = bearer(clinic, "jane")
    assert person.get("/fhir/Patient/anna").status_code == 200
    assert scim.patch(f"Users/{jane}", replace("active", False)).json()["active"] is False
    assert person.get("/fhir/Patient/anna").status_code == 401
    assert scim.patch(f"Users/{jane}", replace("active", True)).json()["active"] is True
    assert person.get("/fhir/Patient/anna").status_code == 401, "what ended stays ended"
    assert bearer(clinic, "jane").get("/fhir/Patient/anna").status_code == 200


def test_a_deleted_person_is_out_at_once_and_their_name_is_not_given_again(scim: Directory, clinic: Clinic) -> None:
    jane = scim.person("jane")
    scim.map("Ward", "physician")
    ward = scim.group("Ward", jane)
    person = bearer(clinic, "jane")
    assert scim.delete(f"Users/{jane}").status_code == 204
    assert person.get("/fhir/Patient/anna").status_code == 401
    assert scim.get(f"Users/{jane}").status_code == 404
    assert "members" not in scim.get(f"Groups/{ward}").json()
    old = clinic.house.users.find("default", "jane")
    assert old is not None
    assert (old.disabled, old.roles) == (True, ())
    again = scim.person("jane")
    assert again != jane
    new = clinic.house.users.find("default", "jane-2")
    assert new is not None
    assert not new.disabled


def test_an_account_that_an_operator_disabled_is_not_brought_back_by_a_sync(scim: Directory, clinic: Clinic) -> None:
    jane = scim.person("jane")
    clinic.run(scim.commit(lambda unit: clinic.house.users.set_disabled(unit, "default", "jane", disabled=True)))
    scim.patch(f"Users/{jane}", replace("title", "Dr"))
    scim.put(f"Users/{jane}", {"schemas": [USER], "userName": "jane", "active": True})
    assert clinic.house.users.find("default", "jane").disabled  # type: ignore[union-attr]


def test_an_account_that_was_there_is_handed_over(scim: Directory, clinic: Clinic) -> None:
    clinic.run(
        scim.commit(
            lambda unit: clinic.house.users.add_person(unit, "default", "old", roles=("billing",), display="Old Hand")
        )
    )
    assert scim.post("Users", {"schemas": [USER], "userName": "old"}).status_code == 409
    user = clinic.house.users.find("default", "old")
    assert user is not None
    people = clinic.house.directories.provisioning.people
    clinic.run(scim.commit(lambda unit: people.adopt(unit, "default", user, user_name="OLD@x", external_id="")))
    found = scim.get('Users?filter=userName eq "old@X"').json()["Resources"]
    assert [each["roles"] for each in found] == [[{"value": "billing"}]]
    scim.patch(f"Users/{found[0]['id']}", replace("active", False))
    assert clinic.house.users.find("default", "old").disabled  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("given", "login"),
    [
        ("jane", "jane"),
        ("Jane.Doe", "jane.doe"),
        ("jane@clinic.local", "jane-clinic.local-ec3a0b"),
        ("Ärztin", "rztin-0d27fc"),
        ("…", "person-2c7ce5"),
    ],
)
def test_login_names_of_those_who_have_other_names_elsewhere(given: str, login: str) -> None:
    first, second, *_ = logins(given)
    assert first.rpartition("-")[0] == login.rpartition("-")[0]
    assert second == f"{first}-2"
    assert next(iter(logins(given.upper()))) == first


# ── versions ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_versions_keep_two_writers_apart_and_save_a_read(scim: Directory) -> None:
    jane = scim.person("jane")
    first = scim.get(f"Users/{jane}").headers["etag"]
    assert scim.get(f"Users/{jane}", headers={"if-none-match": first}).status_code == 304
    changed = scim.patch(f"Users/{jane}", replace("title", "Dr"), headers={"if-match": first})
    assert changed.status_code == 200
    assert changed.headers["etag"] != first
    for answer in (
        scim.patch(f"Users/{jane}", replace("title", "Prof"), headers={"if-match": first}),
        scim.put(f"Users/{jane}", {"schemas": [USER], "userName": "jane"}, headers={"if-match": first}),
        scim.delete(f"Users/{jane}", headers={"if-match": first}),
    ):
        assert answer.status_code == 412
        assert answer.json()["status"] == "412"
    assert scim.get(f"Users/{jane}", headers={"if-none-match": first}).status_code == 200


# ── searching ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ('userName eq "ANNE"', ["anne"]),
        ('userName sw "a"', ["anne", "arno"]),
        ('userName ew "e"', ["anne", "bille"]),
        ('userName co "n"', ["anne", "arno"]),
        ('externalId eq "x-arno"', ["arno"]),
        ('externalId eq "X-ARNO"', []),
        ("title pr", ["anne"]),
        ("not (title pr)", ["arno", "bille"]),
        ('title eq "Dr" and userName eq "anne"', ["anne"]),
        ('title eq "Dr" or userName eq "bille"', ["anne", "bille"]),
        ('emails[type eq "work" and value co "@a."]', ["anne"]),
        ('emails.value eq "arno@b.example"', ["arno"]),
        ("active eq false", ["bille"]),
        ('meta.created gt "2020-01-01T00:00:00Z"', ["anne", "arno", "bille"]),
        ('userName ne "anne"', ["arno", "bille"]),
        ('urn:ietf:params:scim:schemas:core:2.0:User:userName eq "anne"', ["anne"]),
        ('groups.display eq "Ward"', ["anne"]),
        ('userName eq "x\\" or userName pr or userName eq \\"x"', []),
    ],
)
def test_filters(scim: Directory, query: str, names: list[str]) -> None:
    anne = scim.person("anne", title="Dr", emails=[{"value": "anne@a.example", "type": "work"}])
    scim.person("arno", externalId="x-arno", emails=[{"value": "arno@b.example", "type": "work"}])
    scim.person("bille", active=False)
    scim.group("Ward", anne)
    listed = scim.get("Users", params={"filter": query})
    assert listed.status_code == 200, listed.text
    assert [each["userName"] for each in listed.json().get("Resources", ())] == names
    body = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"], "filter": query}
    found = scim.post("Users/.search", body).json()
    assert [each["userName"] for each in found["Resources"]] == names


def test_pages_order_and_attributes(scim: Directory) -> None:
    for name in ("b", "a", "d", "c"):
        scim.person(name)
    page = scim.get("Users", params={"startIndex": "2", "count": "2", "sortBy": "userName"}).json()
    assert (page["totalResults"], page["startIndex"], page["itemsPerPage"]) == (4, 2, 2)
    assert [each["userName"] for each in page["Resources"]] == ["b", "c"]
    down = scim.get("Users", params={"sortBy": "userName", "sortOrder": "descending", "attributes": "userName"}).json()
    assert [each["userName"] for each in down["Resources"]] == ["d", "c", "b", "a"]
    assert {name for each in down["Resources"] for name in each} == {"schemas", "id", "userName"}
    none = scim.get("Users", params={"count": "0"}).json()
    assert (none["totalResults"], none["Resources"]) == (4, [])
    assert scim.get("Users", params={"startIndex": "-5", "count": "1"}).json()["startIndex"] == 1


def test_a_search_over_everything(scim: Directory) -> None:
    jane = scim.person("jane")
    scim.group("jane", jane)
    body = {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"],
        "filter": 'userName eq "jane" or displayName eq "jane"',
    }
    found = scim.post(".search", body).json()
    assert [each["meta"]["resourceType"] for each in found["Resources"]] == ["User", "Group"]


# ── what is written down ─────────────────────────────────────────────────────────────────────────────────────────────


def test_everything_is_in_the_log(scim: Directory, clinic: Clinic) -> None:
    jane = scim.person("jane")
    scim.get(f"Users/{jane}")
    scim.patch(f"Users/{jane}", replace("active", False))
    scim.group("Ward", jane)
    scim.get("Schemas")
    scim.delete(f"Users/{jane}")
    log = scim.log()
    assert [type_ for type_, _ in log] == [
        EventType.USER_CREATE,
        EventType.PROVISION_READ,
        EventType.USER_CHANGE,
        EventType.PROVISION_GROUP,
        EventType.PROVISION_READ,
        EventType.USER_CHANGE,
    ]
    assert "account jane suspended" in log[2][1]
    assert "account jane ended" in log[5][1]


def roles(clinic: Clinic, name: str) -> tuple[str, ...]:
    user = clinic.house.users.find("default", name)
    assert user is not None
    return user.roles


def bearer(clinic: Clinic, name: str) -> Client:
    """An application of this account."""
    user = clinic.house.users.find("default", name)
    assert user is not None
    return Client(clinic, {"authorization": f"Bearer {Directory.token_of(clinic, user)}"})


def add(path: str, value: Any) -> dict[str, Any]:
    return {"schemas": [PATCH], "Operations": [{"op": "add", "path": path, "value": value}]}


def replace(path: str, value: Any) -> dict[str, Any]:
    return {"schemas": [PATCH], "Operations": [{"op": "replace", "path": path, "value": value}]}


def remove(path: str) -> dict[str, Any]:
    return {"schemas": [PATCH], "Operations": [{"op": "remove", "path": path}]}
