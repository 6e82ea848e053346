# SPDX-License-Identifier: Apache-2.0
"""What a worker process does beside its requests."""

from __future__ import annotations

import asyncio
import logging

import pytest

from salus.app import background
from salus.app.background import Background
from salus.kernel.errors import Kind, Problem


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "_AFTER_FAILURE_SECONDS", 0.0)


def test_a_failure_is_told_without_its_values_and_the_next_round_comes(caplog: pytest.LogCaptureFixture) -> None:
    failures = [RuntimeError("the patient is Anna"), Problem(Kind.UNAVAILABLE, "Later.", "keys are away"), OSError(28)]
    fine = asyncio.Event()

    async def work() -> None:
        if failures:
            raise failures.pop(0)
        fine.set()

    async def run() -> None:
        task = Background("counting sheep", work, pause=0.0)
        task.start()
        await fine.wait()
        await task.stop()

    with caplog.at_level(logging.ERROR):
        asyncio.run(run())
    assert caplog.messages == [
        "counting sheep: RuntimeError",
        "counting sheep: unavailable: keys are away",
        "counting sheep: OSError",
    ]


def test_it_ends_in_the_middle_of_a_round_and_says_so_before() -> None:
    seen: list[str] = []

    async def run() -> None:
        under_way = asyncio.Event()

        async def work() -> None:
            under_way.set()
            try:
                await asyncio.Event().wait()
            finally:
                seen.append("cancelled")

        task = Background("waiting", work, pause=0.0, ending=lambda: seen.append("ending"))
        task.start()
        await under_way.wait()
        await task.stop()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(run())
    assert seen == ["ending", "cancelled"]


def test_what_never_began_can_be_ended() -> None:
    async def work() -> None:
        raise AssertionError

    asyncio.run(Background("nothing", work, pause=0.0).stop())
