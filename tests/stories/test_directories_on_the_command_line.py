# SPDX-License-Identifier: Apache-2.0
"""An operator registers an identity provider, and says which group of a directory stands for which role."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from salus.cli import main

Run = Callable[..., Result]
ISSUER = ("--issuer", "https://id.hospital.example", "--client-id", "salus")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder: Path = tmp_path_factory.mktemp("directories") / "data"

    def run(*arguments: str, stdin: str = "", check: bool = True) -> Result:
        done = CliRunner().invoke(main, [*arguments, "--data-dir", str(folder)], input=stdin)
        assert not check or done.exit_code == 0, done.output
        return done

    run("init")
    run("user", "add", "dr", "--role", "physician", "--generate-password")
    run("user", "add", "feed", "--service", "--role", "service")
    return run


def rows(done: Result) -> list[dict[str, str]]:
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_the_life_of_an_identity_provider(run: Run) -> None:
    told = run("identity-provider", "add", "hospital", *ISSUER, stdin="very-secret\n").stdout
    assert "https://localhost:8443/sign-in/callback/hospital" in told
    assert "https://localhost:8443/sign-in/ended/hospital" in told
    listed = run("identity-provider", "list", "--json").stdout
    assert "very-secret" not in told + listed
    run("identity-provider", "link", "hospital", "dr", "248289761001")
    assert rows(run("identity-provider", "links", "hospital", "--json"))[0]["subject"] == "248289761001"
    assert run("identity-provider", "link", "hospital", "feed", "248289761001", check=False).exit_code == 2
    assert run("identity-provider", "link", "hospital", "nobody", "x", check=False).exit_code == 2
    run("identity-provider", "secret", "hospital", stdin="another\n")
    run("identity-provider", "disable", "hospital")
    assert rows(run("identity-provider", "list", "--json"))[0]["state"] == "disabled"
    run("identity-provider", "enable", "hospital")
    run("identity-provider", "unlink", "hospital", "dr")
    run("identity-provider", "remove", "hospital")
    assert run("identity-provider", "remove", "hospital", check=False).exit_code == 2


@pytest.mark.parametrize(
    "more",
    [
        ("--create",),
        ("--create", "--role", "no-such-role"),
        ("--create", "--role", "administrator"),
        ("--role", "nurse"),
    ],
)
def test_a_provider_that_would_give_too_much_is_not_registered(run: Run, more: tuple[str, ...]) -> None:
    done = run("identity-provider", "add", "wide", *ISSUER, *more, stdin="s\n", check=False)
    assert done.exit_code in {1, 2}
    assert rows(run("identity-provider", "list", "--json")) == []


def test_groups_stand_for_roles_that_one_party_may_give(run: Run) -> None:
    run("scim", "map", "Ward", "--role", "nurse")
    for role in ("provisioner", "administrator", "no-such-role"):
        assert run("scim", "map", "Ward", "--role", role, check=False).exit_code == 2
    assert rows(run("scim", "mappings", "--json")) == [{"group": "Ward", "role": "nurse"}]
    run("scim", "unmap", "ward", "--role", "nurse")
    assert run("scim", "unmap", "Ward", "--role", "nurse", check=False).exit_code == 2


def test_an_account_is_handed_over_once_and_that_of_a_service_never(run: Run) -> None:
    run("scim", "adopt", "dr", "--user-name", "dr@clinic.example")
    assert [each["account"] for each in rows(run("scim", "people", "--json"))] == ["dr"]
    for name in ("dr", "feed", "nobody"):
        assert run("scim", "adopt", name, check=False).exit_code in {1, 2}
