# SPDX-License-Identifier: Apache-2.0
"""People from the command line: what an operator types, and what its person can do afterwards."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyotp
import pytest
from click.testing import CliRunner, Result
from tests.support.clinic import Clinic
from tests.support.hand_clock import HandClock

from salus.access.load import load_policy
from salus.app.clinic import accounts
from salus.app.found import found
from salus.app.house import policy_text
from salus.app.safety import _weak_officers
from salus.cli import main
from salus.cli.demo import _without_security_keys
from salus.identity.ceremonies.flow import Step
from salus.kernel.commit import Unit
from salus.kernel.errors import Kind, Problem
from salus.kernel.settings import FILE_NAME, load

NEW = "amber lantern 77 mills"


class Office:
    """A clinic, and the command line beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = HandClock()
        self.clinic = Clinic(folder, clock=self.clock)

    def run(self, *words: str, stdin: str = "", fails: bool = False) -> Result:
        """One `salus user` command."""
        done = CliRunner().invoke(main, ["user", *words, "--data-dir", str(self.folder)], input=stdin)
        assert (done.exit_code != 0) is fails, done.output
        self.clock.forward(60_000)  # the command has read the real clock, which is not far
        return done

    def step(self, judge: Any, *sent: Any) -> Any:
        """One step of a ceremony, committed."""
        unit = Unit()
        result = judge(unit, "default", *sent)
        result = self.clinic.run(result) if hasattr(result, "__await__") else result
        self.clinic.run(self.clinic._commit(unit))
        return result

    def enrol(self, name: str, code: str) -> str:
        """A person goes through an invitation; gives the secret of their application."""
        people = self.clinic.house.people
        secret, _ = self.step(people.sign_in.begin)
        self.step(people.sign_in.invitation, secret, name, code)
        self.step(people.enrolment.new_password, secret, NEW)
        seed = pyotp.parse_uri(self.step(people.enrolment.begin_code, secret).uri).secret
        self.step(people.enrolment.confirm_code, secret, self.code(seed))
        assert self.step(people.enrolment.codes_kept, secret).step is Step.DONE
        self.step(people.sign_in.finish, secret)
        self.clock.forward(30_000)
        return str(seed)

    def code(self, seed: str) -> str:
        return pyotp.TOTP(seed).generate_otp(self.clock.now_ms() // 30_000)

    def token(self, name: str, password: str, code: str = "") -> tuple[int, Any]:
        """POST /auth/token."""
        sent = {"user": name, "password": password, "code": code, "purpose": "TREAT"}
        answer = self.clinic.stranger.post("/auth/token", sent, headers={"content-type": "application/json"})
        self.clock.forward(60_000)
        return answer.status_code, answer.json()


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    made = Office(tmp_path / "data")
    yield made
    made.clinic.close()
    made.clinic.loop.close()


def printed(done: Result) -> str:
    found = re.search(r"shown once: ([0-9A-Z-]{27})", done.output)
    assert found, done.output
    return found[1]


def test_a_nurse_is_invited_works_is_suspended_comes_back_and_leaves(office: Office) -> None:
    seed = office.enrol("nurse.kim", printed(office.run("invite", "nurse.kim", "--role", "nurse")))
    status, body = office.token("nurse.kim", NEW, office.code(seed))
    assert status == 200
    bearer = {"authorization": f"Bearer {body['access_token']}"}
    assert office.clinic.stranger.get("/fhir/Practitioner/nurse", headers=bearer).status_code == 200
    listed = json.loads(office.run("sessions", "nurse.kim", "--json").stdout.splitlines()[0])
    assert listed["with"] == "pwd otp mfa"
    office.run("sign-out", "nurse.kim", "--session", listed["id"])
    assert office.clinic.stranger.get("/fhir/Practitioner/nurse", headers=bearer).status_code == 401
    office.run("suspend", "nurse.kim")
    assert office.token("nurse.kim", NEW, office.code(seed))[0] == 401
    office.run("reinstate", "nurse.kim")
    assert office.token("nurse.kim", NEW, office.code(seed))[0] == 200
    office.run("leave", "nurse.kim")
    assert office.token("nurse.kim", NEW, office.code(seed))[0] == 401
    assert re.search(r"nurse\.kim .* left$", office.run("list").output, re.MULTILINE)
    assert office.enrol("nurse.kim", printed(office.run("reinstate", "nurse.kim")))


def test_an_invitation_is_made_anew_and_a_reset_is_for_who_has_enrolled(office: Office) -> None:
    first = printed(office.run("invite", "nurse.kim", "--role", "nurse"))
    assert "not active" in office.run("reset", "nurse.kim", "--lost", "all", fails=True).output
    second = printed(office.run("invite", "nurse.kim", "--role", "nurse"))
    assert first != second
    office.enrol("nurse.kim", second)
    assert "reset" in office.run("invite", "nurse.kim", "--role", "nurse", fails=True).output
    assert office.enrol("nurse.kim", printed(office.run("reset", "nurse.kim", "--lost", "all")))


@pytest.mark.parametrize("words", [("suspend",), ("leave",), ("reinstate",), ("reset", "--lost", "all"), ("sessions",)])
def test_nobody_is_told(office: Office, words: tuple[str, ...]) -> None:
    assert "no such account" in office.run(words[0], "nobody", *words[1:], fails=True).output


def test_services_are_suspended_too(office: Office) -> None:
    service = office.clinic.as_("service")
    assert service.get("/fhir/Patient/anna").status_code == 200
    office.run("suspend", "service")
    assert service.get("/fhir/Patient/anna").status_code == 401
    assert "code" not in office.run("reinstate", "service").output


def test_a_leaked_password_is_refused_by_a_running_server(office: Office, tmp_path: Path) -> None:
    leaked = tmp_path / "pwned.txt"
    leaked.write_text(hashlib.sha1(NEW.encode(), usedforsecurity=False).hexdigest() + ":9\n")
    assert "1 passwords in breached.bin" in office.run("breached-list", "import", str(leaked)).output
    with pytest.raises(Problem) as caught:
        office.enrol("nurse.kim", printed(office.run("invite", "nurse.kim", "--role", "nurse")))
    assert caught.value.kind is Kind.INVALID


def test_a_machine_of_a_test_laboratory_needs_the_setting_and_the_doctor_shows_red(office: Office) -> None:
    words = ("add", "robot", "--role", "physician", "--laboratory")
    assert "laboratory_accounts" in office.run(*words, stdin="four short violets 9\n", fails=True).output
    with (office.folder / FILE_NAME).open("a") as file:
        file.write('\n[identity]\nlaboratory_accounts = "robot, other"\n')
    office.run(*words, stdin="four short violets 9\n")
    office.run("add", "human", "--role", "physician", stdin="four short violets 9\n")
    assert office.token("robot", "four short violets 9")[0] == 401  # the server was started without it
    office.clinic.close()
    office.clinic.settings = load(office.folder)
    office.clinic.open()
    assert office.token("robot", "four short violets 9")[0] == 200
    assert office.token("human", "four short violets 9")[0] == 401
    office.run("password", "robot", stdin="nine long violets 4\n")
    assert office.token("robot", "nine long violets 4")[0] == 200
    assert "People choose" in office.run("password", "human", stdin="nine long violets 4\n", fails=True).output
    doctor = CliRunner().invoke(main, ["doctor", "--data-dir", str(office.folder)])
    assert doctor.exit_code == 1
    assert re.search(r"^WRONG.*A password alone opens the record for: other, robot", doctor.output, re.MULTILINE)


def test_a_password_that_is_the_only_factor_has_fifteen_characters(office: Office) -> None:
    with (office.folder / FILE_NAME).open("a") as file:
        file.write('\n[identity]\nlaboratory_accounts = "robot"\n')
    office.run("add", "robot", "--role", "physician", "--laboratory", stdin="tuvok77 lamp\n")
    office.clinic.close()
    office.clinic.settings = load(office.folder)
    office.clinic.open()
    assert office.token("robot", "tuvok77 lamp")[0] == 401


def test_passwords_survive_new_keys_of_the_provider_and_of_the_tenant(office: Office) -> None:
    """The pepper hangs on the tenant's root key, which is wrapped anew and stays."""
    seed = office.enrol("nurse.kim", printed(office.run("invite", "nurse.kim", "--role", "nurse")))
    office.clinic.close()
    for what in ("kms", "tenant"):
        done = CliRunner().invoke(main, ["keys", "rotate", what, "--data-dir", str(office.folder)])
        assert done.exit_code == 0, done.output
    done = CliRunner().invoke(main, ["keys", "rewrap", "--data-dir", str(office.folder)])
    assert done.exit_code == 0, done.output
    office.clinic.open()
    assert office.token("nurse.kim", NEW, office.code(seed))[0] == 200


def test_the_officers_of_a_demo_work_with_codes_and_the_doctor_says_so(tmp_path: Path) -> None:
    settings = found(tmp_path / "demo")
    _without_security_keys(settings)
    policy = load_policy(policy_text(settings))
    assert {policy.assurance((account.role,)) for account in accounts(1)} == {2}
    assert load_policy().assurance(("administrator",)) == 3
    assert any("administrator" in concern.what for concern in _weak_officers(settings))
