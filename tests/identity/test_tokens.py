# SPDX-License-Identifier: Apache-2.0
"""Tokens: what they stand for, and that every way to lose one counts at once or within the promised time."""

from __future__ import annotations

import asyncio
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from identity_desk import Desk

from salus.identity.tokens import TokenRecord
from salus.kernel.commit import Unit
from salus.kernel.errors import Kind, Problem

HOUR_MS = 3600 * 1000


def refused(desk: Desk, token: str, tenant: str = "default") -> bool:
    """Whether the token is refused with the one answer there is."""
    answer = None
    try:
        desk.tokens.lookup(tenant, token)
    except Problem as problem:
        answer = (problem.kind, problem.public)
    assert answer in {None, (Kind.UNAUTHENTICATED, "The access token is not valid.")}
    return answer is not None


def test_a_token_stands_for_its_account(desk: Desk) -> None:
    desk.person()
    token = desk.token(scopes=("user/Observation.rs",))
    assert re.fullmatch(r"salus_[A-Za-z0-9_-]{43}", token)
    actor = desk.tokens.lookup("default", token)
    assert (actor.tenant, actor.id, actor.kind) == ("default", "dr.amara", "user")
    assert (actor.roles, actor.purpose, actor.party) == (("physician",), "TREAT", "Practitioner/1")
    assert actor.scopes == ("user/Observation.rs",)
    assert actor.session == desk.tokens.all_tokens("default")[0].id
    assert desk.tokens.lookup("default", token) is actor


def test_the_token_itself_is_nowhere_in_what_is_kept(desk: Desk) -> None:
    desk.person()
    token = desk.token()
    record = desk.tokens.all_tokens("default")[0]
    assert token not in repr(record)
    assert token not in repr(desk.tokens.lookup("default", token))


def test_expired_token_is_refused_to_the_millisecond(desk: Desk) -> None:
    desk.person()
    token = desk.token(lifetime_ms=60_000)
    desk.clock.ms += 59_999
    assert not refused(desk, token)
    desk.clock.ms += 1
    assert refused(desk, token)
    desk.clock.later(60)
    desk.writes.idle(desk.db)
    assert desk.db.execute("select count(*) from token").fetchone() == (0,)


def test_revoked_token_is_refused_at_once_here_and_soon_elsewhere(desk: Desk, second: Desk) -> None:
    desk.person()
    token = desk.token()
    kept = desk.token()
    assert not refused(desk, token)
    assert not refused(second, token)
    id_ = desk.tokens.lookup("default", token).session
    desk.do(lambda unit: desk.tokens.revoke(unit, "default", id_))
    assert refused(desk, token)
    desk.clock.ms += 100
    assert refused(second, token)
    assert not refused(second, kept)


@pytest.mark.parametrize("way", ["disable", "password", "revoke all"])
def test_whatever_ends_the_account_ends_its_tokens(desk: Desk, second: Desk, way: str) -> None:
    desk.person()
    desk.person("nurse.ben")
    token, other = desk.token(), desk.token("nurse.ben")
    assert not refused(second, token)
    if way == "disable":
        desk.do(lambda unit: desk.users.set_disabled(unit, "default", "dr.amara", disabled=True))
    elif way == "password":
        desk.do(lambda unit: desk.users.set_password(unit, "default", "dr.amara", "amber lantern 77 mills"))
    else:
        desk.do(lambda unit: desk.tokens.revoke_user(unit, "default", "dr.amara"))
    assert refused(desk, token)
    desk.clock.ms += 100
    assert refused(second, token)
    assert not refused(second, other)
    desk.do(lambda unit: desk.users.set_disabled(unit, "default", "dr.amara", disabled=False))
    assert refused(desk, token)  # coming back takes a new token


def test_a_disabled_account_gets_no_token_even_at_the_same_moment(desk: Desk) -> None:
    desk.person()
    user = desk.user()

    async def race() -> list[BaseException | None]:
        units = [Unit(), Unit()]
        desk.users.set_disabled(units[0], "default", "dr.amara", disabled=True)
        desk.tokens.issue(units[1], user, "TREAT")
        return await desk.commit(*units)

    first, late = asyncio.run(race())
    assert first is None
    assert isinstance(late, Problem)
    assert late.kind is Kind.NOT_FOUND
    assert desk.db.execute("select count(*) from token").fetchone() == (0,)


def test_changed_roles_count_for_tokens_that_are_out(desk: Desk, second: Desk) -> None:
    desk.person()
    token = desk.token()
    assert second.tokens.lookup("default", token).roles == ("physician",)
    desk.do(lambda unit: desk.users.change(unit, "default", "dr.amara", roles=("auditor",)))
    assert desk.tokens.lookup("default", token).roles == ("auditor",)
    desk.clock.ms += 100
    assert second.tokens.lookup("default", token).roles == ("auditor",)


def test_token_of_another_tenant_is_refused(desk: Desk) -> None:
    desk.person()
    desk.person(tenant="other")
    token = desk.token()
    assert refused(desk, token, "other")
    assert not refused(desk, token)
    assert refused(desk, token, "other")  # also after it was remembered for its own tenant


def test_a_tenant_that_does_not_exist_is_not_found(desk: Desk) -> None:
    with pytest.raises(Problem) as caught:
        desk.tokens.lookup("nowhere", "salus_" + "A" * 43)
    assert caught.value.kind is Kind.NOT_FOUND


@given(token=st.one_of(st.text(max_size=60), st.from_regex(r"salus_[A-Za-z0-9_-]{43}", fullmatch=True)))
def test_guessed_token_is_refused(desk: Desk, token: str) -> None:
    assert refused(desk, token)


def test_a_token_with_one_character_changed_is_refused(desk: Desk) -> None:
    desk.person()
    token = desk.token()
    for place in range(len(token)):
        changed = "B" if token[place] == "A" else "A"
        assert refused(desk, token[:place] + changed + token[place + 1 :])
    assert refused(desk, token + "=")
    assert refused(desk, " " + token[:-1])


def test_tampered_token_row_does_not_open(desk: Desk) -> None:
    desk.person()
    desk.person("mallory")
    mallory, amara = desk.token("mallory"), desk.token()
    # Someone who can write the file points his token at another account, or puts another's content into his row.
    desk.db.execute(
        "update token set handle = (select handle from token where id = ?) where id = ?",
        (desk.tokens.lookup("default", amara).session, desk.tokens.lookup("default", mallory).session),
    )
    desk.tokens.forget()
    desk.db.execute("update generation set number = number + 1")
    with pytest.raises(Problem) as caught:
        desk.tokens.lookup("default", mallory)
    assert caught.value.kind is Kind.FAULT


def test_a_longer_life_than_allowed_an_unknown_purpose_and_a_long_label_are_refused(desk: Desk) -> None:
    desk.person()
    desk.service()
    person, service = desk.user(), desk.user("lab-feed")
    wrong = [
        (person, "TREAT", {"lifetime_ms": 12 * HOUR_MS + 1}),
        (person, "TREAT", {"lifetime_ms": 0}),
        (service, "TREAT", {"lifetime_ms": 365 * 24 * HOUR_MS + 1}),
        (person, "MARKETING", {}),
        (person, "", {}),
        (person, "TREAT", {"label": "x" * 201}),
    ]
    for user, purpose, details in wrong:
        with pytest.raises(Problem) as caught:
            desk.tokens.issue(Unit(), user, purpose, **details)  # type: ignore[arg-type]
        assert caught.value.kind is Kind.INVALID


def test_without_a_lifetime_the_longest_is_taken(desk: Desk) -> None:
    desk.person()
    desk.service()
    for name, hours in (("dr.amara", 12), ("lab-feed", 365 * 24)):
        _, record = desk.tokens.issue(Unit(), desk.user(name), "TREAT")
        assert isinstance(record, TokenRecord)
        assert record.expires_ms - record.created_ms == hours * HOUR_MS


def test_tokens_are_listed_by_account_newest_first(desk: Desk) -> None:
    desk.person()
    desk.service()
    for label in ("first", "second"):
        desk.token(label=label)
        desk.clock.ms += 1
    desk.token("lab-feed", label="feed")
    assert [t.label for t in desk.tokens.all_tokens("default")] == ["feed", "second", "first"]
    assert [(t.user, t.label) for t in desk.tokens.all_tokens("default", "lab-feed")] == [("lab-feed", "feed")]
    assert desk.tokens.all_tokens("other") == []
    desk.clock.ms += 12 * HOUR_MS
    assert [t.label for t in desk.tokens.all_tokens("default")] == ["feed"]


def test_revoking_what_does_not_exist_or_is_another_tenants_is_not_found(desk: Desk) -> None:
    desk.person()
    token = desk.token()
    id_ = desk.tokens.lookup("default", token).session
    for tenant, wanted in (("default", "no-such-id"), ("other", id_)):
        with pytest.raises(Problem) as caught:
            desk.do(lambda unit, t=tenant, w=wanted: desk.tokens.revoke(unit, t, w))
        assert caught.value.kind is Kind.NOT_FOUND
    assert not refused(desk, token)
