# SPDX-License-Identifier: Apache-2.0
"""What a directory, or who stole its token, tries through SCIM: more power, other accounts, filters that break out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from salus.audit.event import EventType, Outcome
from salus.audit.reading import Filter
from salus.kernel.commit import Unit
from tests.support.clinic import PEOPLE, Client, Clinic
from tests.support.scim import GROUP, NAME, PATCH, USER, Directory, directory

ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"


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


def patch_of(*operations: dict[str, Any]) -> dict[str, Any]:
    return {"schemas": [PATCH], "Operations": list(operations)}


def roles(clinic: Clinic, name: str) -> tuple[str, ...]:
    user = clinic.house.users.find("default", name)
    assert user is not None
    return user.roles


# ── more power ───────────────────────────────────────────────────────────────────────────────────────────────────────

ROLES: list[Any] = [
    [{"value": "administrator"}],
    ["administrator"],
    {"value": "administrator"},
    "administrator",
    [{"value": "administrator", "primary": True}, {"value": "physician"}],
]


@pytest.mark.parametrize("wanted", ROLES)
@pytest.mark.parametrize("name", ["roles", "Roles", "ROLES"])
def test_a_role_that_is_asked_for_is_refused(scim: Directory, clinic: Clinic, wanted: Any, name: str) -> None:
    """B17."""
    jane = scim.person("jane")
    asked = {"schemas": [USER], "userName": "eve", name: wanted}
    for answer in (scim.post("Users", asked), scim.put(f"Users/{jane}", asked | {"userName": "jane"})):
        assert answer.status_code == 400
        assert answer.json()["scimType"] == "mutability"
    assert clinic.house.users.find("default", "eve") is None
    assert roles(clinic, "jane") == ()


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "add", "path": "roles", "value": [{"value": "administrator"}]},
        {"op": "replace", "path": "roles", "value": [{"value": "administrator"}]},
        {"op": "Add", "path": f"{USER}:roles", "value": [{"value": "administrator"}]},
        {"op": "add", "value": {"roles": [{"value": "administrator"}]}},
        {"op": "replace", "value": {f"{USER}:roles": [{"value": "administrator"}]}},
        {"op": "replace", "path": "roles.value", "value": "administrator"},
        {"op": "add", "path": 'roles[value eq "administrator"].value', "value": "administrator"},
        {"op": "add", "path": "groups", "value": [{"value": "any"}]},
        {"op": "add", "value": {"groups": [{"value": "any"}]}},
        {"op": "replace", "path": "id", "value": "another"},
        {"op": "replace", "path": "meta.resourceType", "value": "Group"},
    ],
)
def test_what_is_read_only_is_not_patched(scim: Directory, clinic: Clinic, operation: dict[str, Any]) -> None:
    jane = scim.person("jane")
    before = scim.get(f"Users/{jane}").json()
    answer = scim.patch(f"Users/{jane}", patch_of({"op": "add", "path": "title", "value": "Dr"}, operation))
    assert answer.status_code == 400, answer.text
    assert scim.get(f"Users/{jane}").json() == before
    assert roles(clinic, "jane") == ()


def test_a_group_named_like_a_role_gives_nothing(scim: Directory, clinic: Clinic) -> None:
    jane = scim.person("jane")
    for name in ("administrator", "physician", "provisioner"):
        scim.group(name, jane)
    assert roles(clinic, "jane") == ()


def test_extensions_and_entitlements_give_nothing(scim: Directory, clinic: Clinic) -> None:
    more = {
        "entitlements": [{"value": "administrator"}],
        "userType": "administrator",
        "password": "choose-one-for-them-9",
        "x509Certificates": [{"value": "AAAA"}],
        "party": "Practitioner/physician",
        "kind": "service",
        ENTERPRISE: {"department": "administrator"},
    }
    id_ = scim.person("jane", **more)
    user = clinic.house.users.find("default", "jane")
    assert user is not None
    assert (user.roles, user.kind, user.party) == ((), "user", "")
    shown = scim.get(f"Users/{id_}").json()
    assert not {"password", "entitlements", "x509Certificates", "party", "kind"} & shown.keys()
    kept = clinic.house.db.execute("select password from account where password is not null").fetchall()
    assert kept == []


# ── other accounts ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_accounts_that_it_did_not_make_are_not_there(scim: Directory, clinic: Clinic) -> None:
    assert scim.get("Users").json()["totalResults"] == 0
    for name in (NAME, *PEOPLE):
        assert scim.get("Users", params={"filter": f'userName eq "{name}"'}).json()["totalResults"] == 0
        for method, body in (
            ("GET", None),
            ("PUT", {"schemas": [USER], "userName": name, "active": True}),
            ("PATCH", patch_of({"op": "replace", "path": "active", "value": True})),
            ("DELETE", None),
        ):
            answer = scim.request(method, f"Users/{name}", body)
            assert answer.status_code == 404, (name, method)
            assert answer.json() == scim.request(method, "Users/no-such-person", body).json()
    assert roles(clinic, NAME) == ("provisioner",)


@pytest.mark.parametrize("name", ["administrator", "ADMINISTRATOR", " administrator ", "ａdministrator", NAME])
def test_a_name_that_somebody_has_is_not_taken_over(scim: Directory, clinic: Clinic, name: str) -> None:
    before = clinic.house.users.find("default", name.strip().lower())
    answer = scim.post("Users", {"schemas": [USER], "userName": name})
    assert (answer.status_code, answer.json()["scimType"]) == (409, "uniqueness")
    mallory = scim.person("mallory")
    renamed = scim.patch(f"Users/{mallory}", patch_of({"op": "replace", "path": "userName", "value": name}))
    assert renamed.status_code == 200, "a name of the directory's own: the login stays"
    assert clinic.house.users.find("default", "mallory") is not None
    assert clinic.house.users.find("default", name.strip().lower()) == before


def test_two_people_do_not_share_a_name(scim: Directory) -> None:
    scim.person("jane")
    other = scim.person("joe")
    for answer in (
        scim.post("Users", {"schemas": [USER], "userName": "JANE"}),
        scim.put(f"Users/{other}", {"schemas": [USER], "userName": "Jane"}),
        scim.patch(f"Users/{other}", patch_of({"op": "replace", "path": "userName", "value": "jane"})),
    ):
        assert (answer.status_code, answer.json()["scimType"]) == (409, "uniqueness")


def test_a_member_has_to_be_somebody_whom_it_keeps(scim: Directory, clinic: Clinic) -> None:
    scim.map("Ward", "administrator")
    other = scim.group("Other")
    for value in (NAME, "nurse", other, "no-such", "../Users", ""):
        body = {"schemas": [GROUP], "displayName": f"G{value}", "members": [{"value": value}]}
        answer = scim.post("Groups", body)
        assert (answer.status_code, answer.json()["scimType"]) == (400, "invalidValue"), value
    nested = {"schemas": [GROUP], "displayName": "N", "members": [{"value": other, "type": "Group"}]}
    assert scim.post("Groups", nested).status_code == 400
    assert roles(clinic, "nurse") == ("nurse",)


def test_a_person_of_one_tenant_is_nobody_in_another(scim: Directory, clinic: Clinic) -> None:
    jane = scim.person("jane")
    clinic.house.keyring.create_tenant("north")
    answer = scim.client.get(f"/t/north/scim/v2/Users/{jane}")
    assert answer.status_code == 401


# ── who may ──────────────────────────────────────────────────────────────────────────────────────────────────────────

DOORS = [
    ("GET", "ServiceProviderConfig", None),
    ("GET", "ResourceTypes", None),
    ("GET", "ResourceTypes/User", None),
    ("GET", "Schemas", None),
    ("GET", f"Schemas/{USER}", None),
    ("POST", ".search", {}),
    ("GET", "Users", None),
    ("POST", "Users/.search", {}),
    ("POST", "Users", {"schemas": [USER], "userName": "eve"}),
    ("GET", "Users/x", None),
    ("PUT", "Users/x", {"schemas": [USER], "userName": "eve"}),
    ("PATCH", "Users/x", {}),
    ("DELETE", "Users/x", None),
    ("GET", "Groups", None),
    ("POST", "Groups/.search", {}),
    ("POST", "Groups", {"schemas": [GROUP], "displayName": "eve"}),
    ("GET", "Groups/x", None),
    ("PUT", "Groups/x", {"schemas": [GROUP], "displayName": "eve"}),
    ("PATCH", "Groups/x", {}),
    ("DELETE", "Groups/x", None),
]


@pytest.mark.parametrize("who", ["administrator", "physician", "service", "anna", "security-officer"])
def test_who_is_no_directory_finds_every_door_shut(clinic: Clinic, who: str) -> None:
    scim = Directory(clinic, clinic.as_(who))
    for method, path, body in DOORS:
        answer = scim.request(method, path, body)
        assert answer.status_code == 403, (method, path)
        assert answer.json()["schemas"] == ["urn:ietf:params:scim:api:messages:2.0:Error"]
    refused = [
        entry.event
        for _, entry in clinic.log().page("default", Filter(actor=who), limit=100).entries
        if entry.event.outcome is Outcome.REFUSED
    ]
    assert len(refused) == len(DOORS)
    assert clinic.house.users.find("default", "eve") is None


def test_a_stranger_and_a_directory_at_the_records(scim: Directory, clinic: Clinic) -> None:
    stranger = Directory(clinic, clinic.stranger)
    for method, path, body in DOORS:
        answer = stranger.request(method, path, body)
        assert answer.status_code == 401, (method, path)
        assert answer.headers["www-authenticate"].startswith("Bearer")
    for path in ("/fhir/Patient/anna", "/fhir/Patient", "/fhir/AuditEvent", "/fhir/_history"):
        assert scim.client.get(path).status_code in {401, 403}


def test_a_token_that_scopes_narrow_provisions_nobody(scim: Directory, clinic: Clinic) -> None:
    user = clinic.house.users.find("default", NAME)
    assert user is not None
    unit = Unit()
    token, _ = clinic.house.tokens.issue(unit, user, "HOPERAT", scopes=("user/*.cruds",))
    clinic.run(clinic._commit(unit))
    narrowed = Directory(clinic, Client(clinic, {"authorization": f"Bearer {token}"}))
    assert narrowed.get("Users").status_code == 403


# ── filters that break out, and other broken requests ────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "text",
    [
        '" or 1=1 --',
        "userName eq 'jane'",
        'userName eq "jane',
        'userName eq "a"; drop table account',
        'userName eq "a" union select sealed from account',
        'userName like "%"',
        'userName eq "a" or',
        "userName",
        'userName eq "a") or (userName pr',
        'password eq "x"',
        "sealed pr",
        'userName[value eq "x"]',
        'urn:evil:userName eq "x"',
        "active gt true",
        'title eq "' + "x" * 3000 + '"',
        "not (" * 500 + "title pr" + ")" * 500,
        "(" * 60 + "title pr" + ")" * 60,
        'userName eq "\\ud800"',
        "\x00",
    ],
)
def test_a_filter_that_is_none(scim: Directory, text: str) -> None:
    """B17: parsed as a whole into a closed tree, or refused; and never said back."""
    scim.person("jane", title="Dr")
    body = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"], "filter": text}
    for answer in (scim.get("Users", params={"filter": text}), scim.post("Users/.search", body)):
        assert answer.status_code == 400 or answer.json()["totalResults"] == 0, answer.text
        assert len(text) < 10 or text not in answer.text
    patched = scim.patch("Users/" + scim.person("joe"), patch_of({"op": "remove", "path": f"emails[{text}]"}))
    assert patched.status_code in {200, 400}


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "Users", []),
        ("POST", "Users", {}),
        ("POST", "Users", {"schemas": [USER]}),
        ("POST", "Users", {"schemas": [USER], "userName": ""}),
        ("POST", "Users", {"schemas": [USER], "userName": "   "}),
        ("POST", "Users", {"schemas": [USER], "userName": 7}),
        ("POST", "Users", {"schemas": [USER], "userName": "x" * 300}),
        ("POST", "Users", {"schemas": [USER], "userName": "x", "active": "perhaps"}),
        ("POST", "Users", {"schemas": [USER], "userName": "x", "emails": "x"}),
        ("POST", "Users", {"schemas": [USER], "userName": "x", "externalId": ["a"]}),
        ("POST", "Users", {"schemas": [GROUP], "userName": "x"}),
        (
            "POST",
            "Users",
            {
                "schemas": [USER],
                "userName": "x",
                "emails": [{"value": "a", "primary": True}, {"value": "b", "primary": True}],
            },
        ),
        ("POST", "Groups", {"schemas": [GROUP]}),
        ("POST", "Groups", {"schemas": [GROUP], "displayName": "x", "members": "all"}),
        (
            "POST",
            "Groups",
            {"schemas": [GROUP], "displayName": "x", "members": [{"$ref": "https://evil.example/Users/1"}]},
        ),
        ("PATCH", "Users/ID", {}),
        ("PATCH", "Users/ID", {"schemas": [PATCH]}),
        ("PATCH", "Users/ID", {"schemas": [PATCH], "Operations": []}),
        ("PATCH", "Users/ID", patch_of({"op": "erase", "path": "title"})),
        ("PATCH", "Users/ID", patch_of({"op": "remove"})),
        ("PATCH", "Users/ID", patch_of({"op": "remove", "path": "userName"})),
        ("PATCH", "Users/ID", patch_of({"op": "replace", "path": "title[", "value": "x"})),
        ("PATCH", "Users/ID", patch_of({"op": "replace", "path": "__class__", "value": "x"}) | {"schemas": []}),
        ("GET", "Users?count=many", None),
        ("GET", "Users?startIndex=1.5", None),
        ("GET", "Users?sortBy=password", None),
        ("GET", "Users?sortBy=name", None),
        ("GET", "Users?count=1&count=2", None),
        ("GET", "Users?limit=1", None),
        ("GET", "Users?attributes=userName&excludedAttributes=title", None),
        ("GET", "Users/ID?count=1", None),
        ("POST", ".search", {"filter": "title pr"}),
    ],
)
def test_broken_requests_are_told_in_the_form_of_scim(
    scim: Directory, clinic: Clinic, method: str, path: str, body: Any
) -> None:
    jane = scim.person("jane", title="Dr")
    answer = scim.request(method, path.replace("ID", jane), body)
    assert answer.status_code == 400, answer.text
    told = answer.json()
    assert told["schemas"] == ["urn:ietf:params:scim:api:messages:2.0:Error"]
    assert told["status"] == "400"
    assert told["detail"]
    assert clinic.house.users.find("default", "x") is None
    assert str(EventType.REQUEST_FAILED) not in [type_ for type_, _ in scim.log()]


def test_errors_never_say_back_what_was_sent(scim: Directory) -> None:
    jane = scim.person("jane")
    secret = "Zq7-never-repeat"
    for answer in (
        scim.post("Users", {"schemas": [USER], "userName": 1, "title": [secret]}),
        scim.post("Users", {"schemas": [USER], "userName": "a", "emails": [{"value": {secret: secret}}]}),
        scim.get("Users", params={"filter": f'{secret} eq "{secret}'}),
        scim.get("Users", params={"sortBy": secret}),
        scim.get("Users", params={secret: secret}),
        scim.patch(f"Users/{jane}", patch_of({"op": secret, "path": "title", "value": secret})),
        scim.patch(f"Users/{jane}", patch_of({"op": "replace", "path": f"title.{secret}", "value": secret})),
        scim.get(f"Users/{secret}"),
        scim.get(f"Schemas/{secret}"),
        scim.get(secret),
    ):
        assert answer.status_code in {200, 400, 404}, answer.text
        assert secret not in answer.text


def test_addresses_and_methods_that_there_are_not(scim: Directory) -> None:
    for method, path, status in (
        ("GET", "Nothing", 404),
        ("GET", "Me", 404),
        ("POST", "Bulk", 404),
        ("DELETE", "Users", 405),
        ("POST", "Schemas", 405),
    ):
        answer = scim.request(method, path)
        assert answer.status_code == status
        assert answer.json()["status"] == str(status)
    wrong = scim.post("Users", {"schemas": [USER], "userName": "a"}, headers={"content-type": "text/plain"})
    assert wrong.status_code == 415
    assert scim.get("Schemas?filter=id pr").status_code == 403
