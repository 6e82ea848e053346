# SPDX-License-Identifier: Apache-2.0
"""Which passwords may be chosen, and how they are kept."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from identity_desk import CHEAP

from salus.identity.factors.breached import Breached
from salus.identity.factors.passwords import MAX_LENGTH, Cost, PasswordHasher, check_new, generate
from salus.kernel.errors import Kind, Problem

CONTEXT = ("default", "dr.amara", "Amara Okafor")
PEPPER = b"p" * 32


@pytest.fixture
def hasher() -> Iterator[PasswordHasher]:
    made = PasswordHasher(CHEAP)
    yield made
    made.close()


@pytest.mark.parametrize(
    "password",
    [
        "",
        "short-one11",
        "x" * (MAX_LENGTH + 1),
        "password1234",
        "P4ssw0rd2026!!",
        "PasswordPassword",
        "Welcome-Hospital-1",
        "sunshine summer 2026",
        "aaaaaaaaaaaaaaaa",
        "abababababab",
        "123456789012",
        "qwertyuiopas",
        "abcdefghijkl",
        "0987654321098",
        "AmaraOkafor1!",
        "okafor-amara-99",
        "salus!default!1",
    ],
)
def test_a_password_that_is_easy_to_guess_is_refused_without_being_repeated(password: str) -> None:
    with pytest.raises(Problem) as caught:
        check_new(password, CONTEXT, Breached())
    assert caught.value.kind is Kind.INVALID
    assert caught.value.issues[0].place == "password"
    assert not password or password not in caught.value.public


@pytest.mark.parametrize(
    "password",
    [
        "violet harbour 42 kites",
        "correct horse battery staple",
        "grüne Wiese im Regen",
        "密码很长而且没有人知道它是什么",
        "tR7#qpLm2!zK",
    ],
)
def test_a_password_of_any_characters_is_accepted(password: str) -> None:
    check_new(password, CONTEXT, Breached())


def test_generated_passwords_are_fit_and_differ() -> None:
    made = [generate() for _ in range(50)]
    assert len(set(made)) == 50
    for password in made:
        check_new(password, CONTEXT, Breached())
        assert re.fullmatch(r"[a-z]{5}(-[a-z]{5}){4}", password)


@given(st.text(max_size=300))
def test_any_text_is_judged_without_falling_over(password: str) -> None:
    with contextlib.suppress(Problem):
        check_new(password, CONTEXT, Breached())


def test_only_the_right_password_under_the_right_pepper_verifies(hasher: PasswordHasher) -> None:
    async def run() -> list[bool]:
        encoded = await hasher.hash(PEPPER, "violet harbour")
        return [
            await hasher.verify(PEPPER, encoded, "violet harbour"),
            await hasher.verify(PEPPER, encoded, "violet harbouR"),
            await hasher.verify(b"q" * 32, encoded, "violet harbour"),
            await hasher.verify(PEPPER, None, "violet harbour"),
            await hasher.verify(PEPPER, "$argon2id$v=19$m=64,t=1,p=1$AAAA", "violet harbour"),
            await hasher.verify(PEPPER, "", "violet harbour"),
        ]

    assert asyncio.run(run()) == [True, False, False, False, False, False]


def test_the_same_password_typed_on_another_keyboard_verifies(hasher: PasswordHasher) -> None:
    async def run() -> bool:
        return await hasher.verify(PEPPER, await hasher.hash(PEPPER, "caf\u00e9 au lait!"), "cafe\u0301 au lait!")

    assert asyncio.run(run())


def test_nothing_after_the_longest_password_is_ignored(hasher: PasswordHasher) -> None:
    async def run() -> bool:
        longest = "ab" * (MAX_LENGTH // 2)
        return await hasher.verify(PEPPER, await hasher.hash(PEPPER, longest), longest + "x")

    assert not asyncio.run(run())


def test_two_hashes_of_one_password_differ(hasher: PasswordHasher) -> None:
    async def run() -> set[str]:
        return {await hasher.hash(PEPPER, "violet harbour") for _ in range(2)}

    assert len(asyncio.run(run())) == 2


def test_the_default_cost_is_what_the_documents_say() -> None:
    hasher = PasswordHasher()
    encoded = asyncio.run(hasher.hash(PEPPER, "violet harbour"))
    hasher.close()
    assert encoded.startswith("$argon2id$v=19$m=65536,t=2,p=1$")


def test_sign_in_flood_is_refused_instead_of_exhausting_the_memory() -> None:
    hasher = PasswordHasher(Cost(passes=1, memory_kib=8192))

    async def run() -> list[object]:
        guesses = (hasher.verify(PEPPER, None, "guess") for _ in range(40))
        return list(await asyncio.gather(*guesses, return_exceptions=True))

    results = asyncio.run(run())
    hasher.close()
    refused = [r for r in results if isinstance(r, Problem)]
    assert len(refused) == 24
    assert {problem.kind for problem in refused} == {Kind.THROTTLED}
    assert results.count(False) == 16
