# SPDX-License-Identifier: Apache-2.0
"""Accounts, tokens, tenants and the audit log from the command line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from salus.app.house import DATABASE, KEYS_FOLDER, provider_of
from salus.cli import main
from salus.crypto.keyring import open_keyring
from salus.kernel.db import Connection, open_database
from salus.kernel.settings import load


def _run(*arguments: str | Path, stdin: str = "") -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments], input=stdin)


@pytest.fixture(scope="module")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("founded") / "data"
    assert _run("init", "--data-dir", folder).exit_code == 0
    assert _run("user", "add", "feed", "--service", "--role", "service", "--data-dir", folder).exit_code == 0
    return folder


@pytest.fixture
def folder(founded: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "data"
    shutil.copytree(founded, copy)
    copy.chmod(0o700)
    return copy


def _json(answer: Result) -> list[dict[str, Any]]:
    assert answer.exit_code == 0, answer.output
    return [json.loads(line) for line in answer.stdout.splitlines()]


# ── accounts ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_account_needs_a_role_that_the_policy_has(folder: Path) -> None:
    answer = _run("user", "add", "x", "--service", "--role", "surgeon", "--data-dir", folder)
    assert answer.exit_code == 2
    assert "no role surgeon" in answer.output
    assert "physician" in answer.output
    assert [row["name"] for row in _json(_run("user", "list", "--json", "--data-dir", folder))] == ["feed"]


def test_a_generated_password_is_shown_once_and_kept_nowhere_in_clear(folder: Path) -> None:
    answer = _run("user", "add", "dr", "--role", "physician", "--generate-password", "--data-dir", folder)
    assert answer.exit_code == 0, answer.output
    (password,) = [
        line.removeprefix("password: ") for line in answer.stdout.splitlines() if line.startswith("password: ")
    ]
    assert len(password) >= 16
    assert "otpauth://" in answer.stdout
    for file in folder.rglob("*"):
        if file.is_file():
            assert password.encode() not in file.read_bytes()
    assert password not in _run("user", "list", "--data-dir", folder).output


def test_a_piped_password_is_never_printed(folder: Path) -> None:
    secret = "correct horse battery staple 42"
    answer = _run("user", "add", "dr", "--role", "physician", "--data-dir", folder, stdin=f"{secret}\n")
    assert answer.exit_code == 0, answer.output
    assert secret not in answer.output


def test_a_name_is_taken_once(folder: Path) -> None:
    assert _run("user", "add", "feed", "--service", "--role", "service", "--data-dir", folder).exit_code == 2


# ── tokens ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_token_is_alone_on_standard_output_and_kept_nowhere_in_clear(folder: Path) -> None:
    answer = _run("token", "issue", "feed", "--label", "night feed", "--data-dir", folder)
    token = answer.stdout.strip()
    assert answer.exit_code == 0
    assert len(answer.stdout.split()) == 1
    listed = _run("token", "list", "--json", "--data-dir", folder)
    (row,) = _json(listed)
    assert (row["account"], row["purpose"], row["label"]) == ("feed", "TREAT", "night feed")
    assert token not in listed.output
    for file in folder.rglob("*"):
        if file.is_file():
            assert token.encode() not in file.read_bytes()


def test_a_scope_that_is_not_understood_is_refused_and_not_left_out(folder: Path) -> None:
    for scope, code in (("system/Observation.rs", 0), ("system/Observation.sr", 2), ("system/*.rs?category=x", 2)):
        assert _run("token", "issue", "feed", "--scope", scope, "--data-dir", folder).exit_code == code


def test_a_revoked_token_leaves_the_list(folder: Path) -> None:
    for _ in range(2):
        _run("token", "issue", "feed", "--data-dir", folder)
    first, second = _json(_run("token", "list", "--json", "--data-dir", folder))
    assert _run("token", "revoke", first["id"], "--data-dir", folder).exit_code == 0
    assert [row["id"] for row in _json(_run("token", "list", "--json", "--data-dir", folder))] == [second["id"]]


@pytest.mark.parametrize(
    "arguments",
    [
        ("issue", "nobody"),
        ("issue", "feed", "--purpose", "CURIOSITY"),
        ("revoke", "no-such-id"),
        ("issue", "feed", "--hours", "-1"),
    ],
)
def test_what_makes_no_sense_is_refused_with_words(folder: Path, arguments: tuple[str, ...]) -> None:
    answer = _run("token", *arguments, "--data-dir", folder)
    assert answer.exit_code in {2, 3}, answer.output
    assert answer.stdout == ""
    assert answer.stderr.startswith("salus: ")


# ── tenants ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_tenant_has_accounts_of_its_own(folder: Path) -> None:
    added = _run("tenant", "add", "north", "--data-dir", folder)
    assert added.stdout.strip().endswith("/t/north/fhir")
    assert [row["name"] for row in _json(_run("tenant", "list", "--json", "--data-dir", folder))] == [
        "default",
        "north",
    ]
    assert _run("token", "issue", "feed", "--tenant", "north", "--data-dir", folder).exit_code == 2
    assert (
        _run(
            "user", "add", "feed", "--service", "--role", "service", "--tenant", "north", "--data-dir", folder
        ).exit_code
        == 0
    )
    assert _run("token", "issue", "feed", "--tenant", "north", "--data-dir", folder).exit_code == 0
    assert _run("audit", "verify", "--tenant", "north", "--data-dir", folder).exit_code == 0
    assert _json(_run("token", "list", "--json", "--data-dir", folder)) == []


@pytest.mark.parametrize("name", ["default", "North", "a/b", "", "-x", "a" * 64])
def test_a_tenant_name_that_cannot_be_is_refused(folder: Path, name: str) -> None:
    assert _run("tenant", "add", "--data-dir", folder, "--", name).exit_code == 2


def test_an_unknown_tenant_is_told(folder: Path) -> None:
    assert _run("audit", "verify", "--tenant", "south", "--data-dir", folder).exit_code == 2


# ── the audit log ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_everything_done_on_the_command_line_is_in_the_log(folder: Path) -> None:
    _run("token", "issue", "feed", "--data-dir", folder)
    rows = _json(_run("audit", "list", "--json", "--data-dir", folder))
    assert [row["event"] for row in rows][:3] == ["auth.token.issue", "user.create", "tenant.create"]
    assert all(row["account"].startswith("operator:") for row in rows)
    again = _json(_run("audit", "list", "--json", "--limit", "1", "--data-dir", folder))
    assert again[0]["event"] == "audit.read"  # reading the log is written to it


def _open(folder: Path) -> Connection:
    settings = load(folder)
    keyring = open_keyring(folder / KEYS_FOLDER, provider_of(settings))
    page_key = keyring.page_key("records")
    keyring.close()
    return open_database(folder / DATABASE, page_key)


_FORGERIES = {  # on the rows of the log, one for each commit
    "an edited entry": "update audit_batch set entries = "
    "cast(substr(entries, 1, length(entries) - 4) || x'00000000' as blob) where first = 1",
    "a deleted entry": "delete from audit_batch where first = 1",
    "the last entries cut off": "delete from audit_batch where first >= 2",
    "two entries swapped": "update audit_batch set first = -1 where first = 0;"
    "update audit_batch set first = 0 where first = 1; update audit_batch set first = 1 where first = -1",
}


@pytest.mark.parametrize("name", _FORGERIES)
def test_a_forgery_is_caught(folder: Path, name: str) -> None:
    for _ in range(2):
        _run("token", "issue", "feed", "--data-dir", folder)
    assert _run("audit", "verify", "--data-dir", folder).exit_code == 0
    database = _open(folder)
    before = database.total_changes()
    database.execute(_FORGERIES[name]).fetchall()
    assert database.total_changes() > before
    database.close()
    answer = _run("audit", "verify", "--data-dir", folder)
    assert answer.exit_code == 1, answer.output
    assert "FOUND" in answer.output
    assert "The log was tampered with." in answer.output
    examined = _run("doctor", "--data-dir", folder)
    assert examined.exit_code == 1
    assert "was tampered with" in examined.output
