# SPDX-License-Identifier: Apache-2.0
"""init, serve and doctor: what is refused, in which words, and how the doctor says to mend it."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tests.support.served import PATIENCE, SALUS

from salus.app.safety import DEMO_MARK
from salus.cli import main


def _run(*arguments: str | Path, stdin: str = "") -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments], input=stdin)


@pytest.fixture(scope="module")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder as `salus init` makes it; copy it before changing anything."""
    folder: Path = tmp_path_factory.mktemp("founded") / "data"
    made = _run("init", "--data-dir", folder)
    assert made.exit_code == 0, made.output
    return folder


@pytest.fixture
def folder(founded: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy of it."""
    copy = tmp_path / "data"
    shutil.copytree(founded, copy)
    copy.chmod(0o700)
    return copy


def test_the_installed_command_answers_a_shell(founded: Path, tmp_path: Path) -> None:
    """Other tests run commands in their own process."""

    def shell(*words: str | Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [SALUS, *words], input=stdin, capture_output=True, text=True, timeout=PATIENCE, check=False
        )

    listed = shell("access", "matrix", "--json", "--data-dir", founded)
    assert (listed.returncode, listed.stderr) == (0, "")
    assert "physician" in {json.loads(line)["role"] for line in listed.stdout.splitlines()}
    absent = shell("access", "matrix", "--data-dir", tmp_path / "nothing")
    assert (absent.returncode, absent.stdout) == (2, "")
    assert absent.stderr.startswith("salus: ")
    refused = shell("user", "add", "ada", "--role", "physician", "--data-dir", founded, stdin="password1234\n")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "password1234" not in refused.stderr
    assert "easy to guess" in refused.stderr


def test_init_makes_a_private_folder_and_says_where_the_root_key_is(founded: Path) -> None:
    assert founded.stat().st_mode & 0o777 == 0o700
    for file in founded.rglob("*"):
        if file.is_file() and file.name not in {"ca.crt", "server.crt"}:
            assert not file.stat().st_mode & 0o077, file
    assert (founded / "salus.toml").exists()


def test_init_refuses_a_folder_that_is_not_empty(founded: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("mine")
    for taken in (founded, tmp_path / "mine"):
        answer = _run("init", "--data-dir", taken)
        assert answer.exit_code != 0
        assert "is not empty" in answer.output
    assert [file.name for file in (tmp_path / "mine").iterdir()] == ["letter.txt"]


def test_init_does_not_overwrite_a_root_key_outside_the_folder(tmp_path: Path) -> None:
    key = tmp_path / "elsewhere.key"
    key.write_text("somebody's key")
    answer = _run("init", "--data-dir", tmp_path / "data", "--root-key-file", key)
    assert answer.exit_code != 0
    assert key.read_text() == "somebody's key"


def _chmod(name: str, mode: int) -> Callable[[Path], None]:
    return lambda folder: (folder / name).chmod(mode)


def _remove(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def _write(name: str, text: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_text(text) and None


def _public_demo(folder: Path) -> None:
    (folder / DEMO_MARK).write_text("{}")
    (folder / DEMO_MARK).chmod(0o600)
    settings = folder / "salus.toml"
    settings.write_text(settings.read_text().replace('host = "127.0.0.1"', 'host = "0.0.0.0"'))


def _foreign_key(folder: Path) -> None:
    shutil.copy(folder / "tls" / "ca.key", folder / "tls" / "server.key")


_UNSAFE: dict[str, tuple[Callable[[Path], None], str, str]] = {
    "a root key that others may read": (_chmod("keys/root.key", 0o644), "Others may read the root key", "chmod 600"),
    "a missing root key": (_remove("keys/root.key"), "root key file is missing", "Put it back"),
    "a folder that others may look into": (_chmod(".", 0o755), "Others may look into the data folder", "chmod 700"),
    "no certificate": (_remove("tls/server.crt"), "does not speak without TLS", "certificate renew"),
    "no key of the certificate": (_remove("tls/server.key"), "does not speak without TLS", "certificate renew"),
    "a TLS key that others may read": (_chmod("tls/server.key", 0o640), "key of the certificate", "chmod 600"),
    "a key of another certificate": (_foreign_key, "does not belong", "certificate renew"),
    "a certificate that is none": (_write("tls/server.crt", "x"), "cannot be read", "certificate renew"),
    "an invalid policy": (_write("policy.toml", "roles = 3"), "policy is not valid", "access"),
    "no policy": (_remove("policy.toml"), "policy", "access"),
    "a demo on a public address": (_public_demo, "demo folder", "127.0.0.1"),
    "an address without TLS": (
        _write("salus.toml", '[server]\nbase_url = "http://clinic.example"\n'),
        "https://",
        "base_url",
    ),
    "an address with something behind it": (
        _write("salus.toml", '[server]\nbase_url = "https://clinic.example/fhir"\n'),
        "behind the name",
        "without /fhir",
    ),
    "an address that is none": (_write("salus.toml", '[server]\nbase_url = "https://:x"\n'), "no address", "base_url"),
    "a name to listen on": (_write("salus.toml", '[server]\nhost = "localhost"\n'), "not an IP address", "host"),
    "a port that there is not": (_write("salus.toml", "[server]\nport = 65536\n"), "port is not", "port"),
    "nobody at work": (_write("salus.toml", "[server]\nworkers = 0\n"), "workers", "workers = 2"),
}


@pytest.mark.parametrize("name", _UNSAFE)
def test_serve_refuses_what_is_not_safe_and_the_doctor_says_how_to_mend_it(folder: Path, name: str) -> None:
    spoil, words, mend = _UNSAFE[name]
    spoil(folder)
    refused = _run("serve", "--data-dir", folder)
    assert refused.exit_code == 3, refused.output
    assert words in refused.output
    assert "not started" in refused.output
    found = _run("doctor", "--data-dir", folder)
    assert found.exit_code == 1, found.output
    assert "WRONG" in found.output
    assert words in found.output
    assert mend in found.output


def test_the_doctor_finds_nothing_wrong_with_a_fresh_folder(folder: Path) -> None:
    found = _run("doctor", "--data-dir", folder)
    assert found.exit_code == 0, found.output
    assert "the audit log of default is whole" in found.output
    assert "root key lies beside the data" in found.output  # could be better, and is told
    assert not (folder / ".flush-probe").exists()


@pytest.mark.parametrize(
    ("text", "named"),
    [("[server]\nprot = 1\n", "prot"), ("[sever]\nport = 1\n", "sever"), ('[server]\nport = "many"\n', "port")],
)
def test_an_unknown_or_wrong_setting_is_refused_by_name(folder: Path, text: str, named: str) -> None:
    (folder / "salus.toml").write_text(text)
    for command in ("serve", "doctor"):
        answer = _run(command, "--data-dir", folder)
        assert answer.exit_code == 2
        assert named in answer.output


def test_the_environment_overrides_the_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SALUS_SERVER_BASE_URL", "http://not-safe.example")
    answer = _run("serve", "--data-dir", folder)
    assert answer.exit_code == 3
    assert "base_url" in answer.output


def test_a_folder_without_settings_is_told_to_be_made(tmp_path: Path) -> None:
    answer = _run("serve", "--data-dir", tmp_path)
    assert answer.exit_code == 2
    assert "salus init" in answer.output


def test_a_new_certificate_belongs_to_the_same_authority(folder: Path) -> None:
    authority = (folder / "tls" / "ca.crt").read_bytes()
    before = _run("certificate", "show", "--data-dir", folder).output
    renewed = _run("certificate", "renew", "--data-dir", folder)
    assert renewed.exit_code == 0
    assert _run("certificate", "show", "--data-dir", folder).output == renewed.output != before
    assert (folder / "tls" / "ca.crt").read_bytes() == authority
    assert _run("doctor", "--data-dir", folder).exit_code == 0


def test_the_doctor_misses_a_profile_that_the_policy_demands(folder: Path) -> None:
    policy = folder / "policy.toml"
    shipped = policy.read_text("utf-8")
    us_core = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient"
    policy.write_text(f'{shipped}\n[profiles]\nPatient = ["{us_core}"]\n', "utf-8")
    assert _run("doctor", "--data-dir", folder).exit_code == 0
    policy.write_text(f'{shipped}\n[profiles]\nPatient = ["http://x.org/StructureDefinition/no"]\n', "utf-8")
    found = _run("doctor", "--data-dir", folder)
    assert found.exit_code == 1
    assert "salus package install" in found.output


@pytest.mark.parametrize(
    "options",
    [
        ("--port", "99999"),
        ("--port", "0"),
        ("--host", "localhost"),
        ("--base-url", "http://clinic.example"),
        ("--base-url", "https://clinic.example/fhir"),
    ],
)
def test_init_refuses_an_address_that_cannot_be_and_leaves_nothing(tmp_path: Path, options: tuple[str, str]) -> None:
    answer = _run("init", "--data-dir", tmp_path / "data", *options)
    assert answer.exit_code == 2, answer.output
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("shared", [False, True])
def test_a_port_is_not_shared_with_whoever_listens_there(folder: Path, shared: bool) -> None:
    with socket.socket() as other:
        if shared:  # as the workers of another Salus do, which would each get a part of the requests
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        (folder / "salus.toml").write_text(f"[server]\nport = {port}\n")
        for command in (
            ("serve", "--data-dir", folder),
            ("demo", "--port", str(port), "--data-dir", folder.parent / "d"),
        ):
            answer = _run(*command)
            assert answer.exit_code == 4, answer.output
            assert f"listens on port {port}" in answer.output
        assert not (folder.parent / "d").exists()


def test_a_token_for_a_purpose_that_no_role_serves_is_told(folder: Path) -> None:
    _run("user", "add", "feed", "--service", "--role", "service", "--data-dir", folder)
    told = _run("token", "issue", "feed", "--purpose", "HRESCH", "--data-dir", folder)
    assert told.exit_code == 0
    assert "no role of feed may be used for HRESCH" in told.stderr
    assert told.stdout.startswith("salus_")
    assert _run("token", "issue", "feed", "--data-dir", folder).stderr == ""
