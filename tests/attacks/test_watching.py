# SPDX-License-Identifier: Apache-2.0
"""Who looks at the rows besides `salus verify`: the server while it answers and at its start, and the doctor."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner

from salus.app.examine import examine
from salus.app.verifying import accept
from salus.app.watching import Watch, check_counts
from salus.audit.event import EventType, Outcome
from salus.audit.reading import Filter
from salus.cli import main
from salus.kernel.db import Connection
from tests.support.clinic import Clinic
from tests.support.forging import account_enabled, change, forge, nurse_of_bert, set_to, taken_away, tokens_taken


def test_the_daily_look_finds_a_changed_row_and_says_so(clinic: Clinic, caplog: pytest.LogCaptureFixture) -> None:
    watch = Watch(clinic.house)
    assert clinic.run(watch.look()) == {"default": []}
    forge(clinic, account_enabled)
    with caplog.at_level(logging.ERROR):
        found = clinic.run(watch.look())
    assert "account: a row was changed" in found["default"][0].text
    assert "not as it was written, 1 findings" in caplog.text
    page = clinic.log().page("default", Filter(types=frozenset({EventType.STORE_VERIFY})), limit=2)
    assert [entry.event.outcome for _, entry in page.entries] == [Outcome.FAILED, Outcome.GRANTED]
    assert clinic.as_("physician").get("/fhir/Patient/anna").status_code == 200


def test_the_daily_look_goes_on_while_others_write(clinic: Clinic) -> None:
    async def both() -> dict[str, Any]:
        import asyncio

        looking = asyncio.create_task(Watch(clinic.house).look())
        for _ in range(5):
            await asyncio.sleep(0)
            answer = await clinic.http.put(
                "/fhir/Patient/dora",
                json={"resourceType": "Patient", "id": "dora"},
                headers={"authorization": f"Bearer {token}", "content-type": "application/fhir+json"},
            )
            assert answer.status_code in {200, 201}
        return await looking

    token = clinic.token("service")
    assert clinic.run(both()) == {"default": []}


@pytest.mark.parametrize("forgery", [taken_away, nurse_of_bert])
def test_a_server_that_starts_over_rows_that_are_missing_or_too_many_answers_nothing(
    clinic: Clinic, forgery: Callable[[Connection, Clinic], object]
) -> None:
    change(clinic)
    clinic.token("service")
    assert check_counts(clinic.house.db, clinic.house.manifest, "default")
    forge(clinic, forgery)
    assert not check_counts(clinic.house.db, clinic.house.manifest, "default")
    for _ in range(2):
        assert clinic.as_("service").get("/fhir/Patient/anna").status_code == 503
        assert clinic.as_("service").delete("/fhir/Patient/anna").status_code == 503
    clinic.run(accept(clinic.house, "default", "the test ends"))
    assert clinic.as_("service").get("/fhir/Patient/anna").status_code == 200


@pytest.mark.parametrize("forgery", [taken_away, nurse_of_bert, tokens_taken, set_to("updated", 5)])
def test_the_doctor_finds_it(clinic: Clinic, forgery: Callable[[Connection, Clinic], object]) -> None:
    assert not [found for found in examine(clinic.settings) if "as it was written" in found.what]
    forge(clinic, forgery)
    wrong = [found for found in examine(clinic.settings) if found.mark == "WRONG"]
    assert any("not as it was written" in found.what for found in wrong)


def test_the_command_tells_and_ends_with_one(clinic: Clinic) -> None:
    change(clinic)
    clinic.close()
    told = CliRunner().invoke(main, ["verify", "--data-dir", str(clinic.folder)])
    assert (told.exit_code, "Everything is as it was written" in told.output) == (0, True), told.output
    clinic.open()
    forge(clinic, taken_away)
    clinic.close()
    told = CliRunner().invoke(main, ["verify", "--data-dir", str(clinic.folder)])
    assert told.exit_code == 1
    assert "FOUND default: gone: Observation" in told.output
    assert "pulse" not in told.output
    told = CliRunner().invoke(main, ["verify", "--accept", "test", "--data-dir", str(clinic.folder)])
    assert told.exit_code == 0, told.output
    told = CliRunner().invoke(main, ["verify", "--quick", "--data-dir", str(clinic.folder)])
    assert told.exit_code == 0, told.output
    clinic.open()
