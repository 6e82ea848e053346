# SPDX-License-Identifier: Apache-2.0
"""Accounts: made, changed, ended; and what a look into the file tells."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from identity_desk import PASSWORD, Desk

from salus.identity.accounts.profile import handle_of
from salus.kernel.commit import Unit
from salus.kernel.errors import Kind, Problem


def problem_of(desk: Desk, change: object) -> Kind:
    with pytest.raises(Problem) as caught:
        desk.do(change)  # type: ignore[arg-type]
    return caught.value.kind


def test_an_account_is_found_by_its_name_in_its_tenant_alone(desk: Desk) -> None:
    desk.person()
    user = desk.user()
    assert (user.id, user.kind, user.roles, user.display) == ("dr.amara", "user", ("physician",), "Amara Okafor")
    assert (user.party, user.disabled, user.created_ms) == ("Practitioner/1", False, desk.clock.ms)
    assert desk.users.find("other", "dr.amara") is None
    assert desk.users.find("default", "dr.amar") is None
    assert [u.id for u in desk.users.all_users("default")] == ["dr.amara"]
    assert desk.users.all_users("other") == []


def test_a_name_is_given_once_even_to_two_at_the_same_moment(desk: Desk) -> None:
    def add(unit: Unit) -> None:
        desk.users.add_service(unit, "default", "lab-feed", roles=("service",), display="Feed")

    async def both() -> list[BaseException | None]:
        units = [Unit(), Unit()]
        for unit in units:
            add(unit)
        return await desk.commit(*units)

    outcomes = asyncio.run(both())
    assert outcomes.count(None) == 1
    assert [o.kind for o in outcomes if isinstance(o, Problem)] == [Kind.CONFLICT]
    assert problem_of(desk, add) is Kind.CONFLICT


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "Dr.Amara"},
        {"name": ""},
        {"name": "a" * 65},
        {"name": "-x"},
        {"name": "x\n"},
        {"roles": ()},
        {"roles": ("a", "a")},
        {"display": " "},
        {"display": "x" * 201},
        {"party": "Practitioner"},
        {"party": "Patient/1/_history/2"},
    ],
)
def test_an_account_with_a_value_that_is_not_fit_is_refused(desk: Desk, wrong: dict[str, object]) -> None:
    values = {"name": "feed", "roles": ("service",), "display": "Feed", "party": ""} | wrong
    name = str(values.pop("name"))
    assert problem_of(desk, lambda unit: desk.users.add_service(unit, "default", name, **values)) is Kind.INVALID


def test_roles_can_be_changed_and_a_lost_update_is_noticed(desk: Desk) -> None:
    desk.person()
    desk.do(lambda unit: desk.users.change(unit, "default", "dr.amara", roles=("auditor",)))
    assert desk.user().roles == ("auditor",)
    assert desk.user().display == "Amara Okafor"
    late = Unit()
    desk.users.change(late, "default", "dr.amara", roles=("physician",))
    desk.do(lambda unit: desk.users.change(unit, "default", "dr.amara", party=""))
    (outcome,) = asyncio.run(desk.commit(late))
    assert isinstance(outcome, Problem)
    assert outcome.kind is Kind.CONFLICT
    assert desk.user().roles == ("auditor",)


def test_what_does_not_exist_cannot_be_changed(desk: Desk) -> None:
    desk.service()
    changes = [
        lambda unit: desk.users.change(unit, "default", "nobody", roles=("x",)),
        lambda unit: desk.users.set_disabled(unit, "default", "nobody", disabled=True),
        lambda unit: desk.users.set_password(unit, "default", "nobody", PASSWORD),
        lambda unit: desk.users.set_password(unit, "default", "lab-feed", PASSWORD),
    ]
    assert {problem_of(desk, change) for change in changes} == {Kind.NOT_FOUND}


def test_the_file_holds_no_name_password_or_secret_in_clear(desk: Desk, tmp_path: Path) -> None:
    secret = desk.person()
    token = desk.token(label="ward tablet")
    stored = b"".join(path.read_bytes() for path in tmp_path.glob("identity.db*"))
    for clear in ("dr.amara", "Amara", "Okafor", "Practitioner/1", "argon2", PASSWORD, secret, token, "ward tablet"):
        assert clear.encode() not in stored


def test_tampered_account_does_not_open(desk: Desk) -> None:
    desk.person()
    desk.person("mallory")
    keys = desk.keyring.tenant("default")
    amara, mallory = handle_of(keys, "dr.amara"), handle_of(keys, "mallory")
    # Someone who can write the file puts his own password hash and profile in place of another's.
    desk.db.execute(
        "update account set sealed = (select sealed from account where handle = ?) where handle = ?",
        (amara, mallory),
    )
    with pytest.raises(Problem) as caught:
        desk.users.find("default", "mallory")
    assert caught.value.kind is Kind.FAULT
