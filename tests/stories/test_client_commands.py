# SPDX-License-Identifier: Apache-2.0
"""An application is registered, changed, disabled and removed on the command line, as the how-to says."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result
from tests.docs.pages import blocks, text_of

from salus.app.found import found
from salus.app.safety import could_be_better
from salus.cli import main
from salus.kernel.settings import Fetch, load


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found(tmp_path / "my-clinic")
    return tmp_path / "my-clinic"


def salus(folder: Path, line: str) -> Result:
    words = shlex.split(line.replace("my-clinic", str(folder)))
    return CliRunner().invoke(main, words if "--data-dir" in words else [*words, "--data-dir", str(folder)])


def commands() -> list[list[str]]:
    """The commands of each block of the page."""
    found = [block.text for block in blocks(text_of("docs/howto/register-an-app.md")) if block.info == "sh"]
    return [re.findall(r"^salus (.*)$", text.replace("\\\n", " "), re.MULTILINE) for text in found]


def test_the_commands_of_the_page_work_in_their_order(folder: Path) -> None:
    register, _, rest, permit = commands()
    said = [salus(folder, line) for line in (*register, *rest, *permit)]
    assert [each.exit_code for each in said] == [0] * len(said), [each.output for each in said]
    shown = said[1].output
    assert "https://growth.example/callback" in shown
    assert "launch openid fhirUser" in shown
    assert said[-2].output.startswith("salus_ia_")
    assert "openid patient/Observation.rs" in said[-1].output
    assert said[-2].output.strip() not in said[-1].output


def test_a_secret_is_changed_with_the_former_one_going_on(folder: Path) -> None:
    made = salus(folder, "client add growth --auth client_secret_basic --redirect https://p.example/cb")
    first = made.output.rpartition(" ")[2].strip()
    (rotate,) = commands()[1]
    second = salus(folder, rotate).output.strip()
    assert first.startswith("salus_cs_")
    assert second.startswith("salus_cs_")
    shown = salus(folder, "client show growth --json").output
    rows = [json.loads(line) for line in shown.splitlines()]
    assert len([row for row in rows if row["what"] == "secret"]) == 2
    assert first not in shown
    assert second not in shown
    salus(folder, "client secret growth")
    assert salus(folder, "client show growth --json").output.count('"secret"') == 1


@pytest.mark.parametrize(
    "wrong",
    [
        "client add evil --redirect javascript:alert(1)",
        "client add evil --redirect http://growth.example/",
        "client add evil --redirect https://u@growth.example/",
        "client add evil --redirect https://growth.example/cb --scope system/*.rs",
        "client add evil --backend --account nobody --jwks-uri https://k.example/ --scope system/*.rs",
        "client show nobody",
        "client secret nobody",
        "client remove nobody",
        "client change nobody --name X",
        "registration withdraw nothing",
        "registration permit --label x --scope system/*.rs",
    ],
)
def test_what_is_not_fit_is_refused_in_words_that_repeat_nothing(folder: Path, wrong: str) -> None:
    refused = salus(folder, wrong)
    assert refused.exit_code == 2, refused.output
    assert "Traceback" not in refused.output
    assert "javascript" not in refused.output
    assert "growth.example" not in refused.output


def test_what_is_changed_is_changed_alone(folder: Path) -> None:
    salus(folder, "client add app --name App --redirect https://a.example/cb --scope openid --dpop --par")
    assert salus(folder, "client change app --name Other --no-par").exit_code == 0
    rows = {
        row["what"]: row["value"]
        for row in map(json.loads, salus(folder, "client show app --json").output.splitlines())
    }
    assert (rows["client_name"], rows["scope"], rows["redirect_uris"]) == ("Other", "openid", "https://a.example/cb")
    assert (rows["dpop_bound_access_tokens"], rows["require_pushed_authorization_requests"]) == ("true", "false")


def test_a_public_key_becomes_a_key_set_and_a_private_one_is_refused(tmp_path: Path) -> None:
    from joserfc import jwk

    for key in (jwk.ECKey.generate_key("P-384"), jwk.OKPKey.generate_key("Ed25519"), jwk.RSAKey.generate_key(2048)):
        file = tmp_path / "key.pem"
        file.write_bytes(key.as_pem(private=False))
        done = CliRunner().invoke(main, ["client", "jwks", str(file)])
        (made,) = json.loads(done.output)["keys"]
        assert made["kid"] == key.thumbprint()
        assert "d" not in made
        file.write_bytes(key.as_pem(private=True))
        assert CliRunner().invoke(main, ["client", "jwks", str(file)]).exit_code == 2
    (tmp_path / "key.pem").write_text("nonsense")
    assert CliRunner().invoke(main, ["client", "jwks", str(tmp_path / "key.pem")]).exit_code == 2


@pytest.mark.parametrize(
    ("hosts", "said"), [("localhost:9443, keys.clinic.example", True), ("10.0.0.7", False), ("", False)]
)
def test_doctor_says_when_keys_may_come_from_this_machine(folder: Path, hosts: str, said: bool) -> None:
    settings = msgspec.structs.replace(load(folder), fetch=Fetch(hosts))
    told = [concern.what for concern in could_be_better(settings) if "this machine itself" in concern.what]
    assert bool(told) is said
    assert not any("keys.clinic.example" in words for words in told)


def test_doctor_misses_certificates_that_are_not_there(folder: Path) -> None:
    settings = msgspec.structs.replace(load(folder), fetch=Fetch("", "tls/nobody.crt"))
    assert any("ca_file" in concern.what for concern in could_be_better(settings))
