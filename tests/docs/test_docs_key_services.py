# SPDX-License-Identifier: Apache-2.0
"""The pages on key services, word for word: what they say to type is typed."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from salus.app.demo_openbao import POLICY
from salus.app.providers import PROVIDERS, REQUIRED
from salus.cli import main
from salus.kernel.settings import Keys
from tests.docs.pages import blocks, text_of
from tests.support.key_services import SOFTHSM
from tests.support.openbao import FailingBao, bao

__all__ = ["bao"]

PAGES = {
    "openbao": "docs/howto/keys-openbao.md",
    "aws": "docs/howto/keys-aws.md",
    "azure": "docs/howto/keys-azure.md",
    "gcp": "docs/howto/keys-gcp.md",
    "pkcs11": "docs/howto/keys-pkcs11.md",
}


def of_kind(provider: str, info: str) -> list[str]:
    return [block.text for block in blocks(text_of(PAGES[provider])) if block.info == info]


@pytest.mark.parametrize("provider", PAGES)
def test_the_settings_on_a_page_are_complete(provider: str) -> None:
    (shown,) = of_kind(provider, "toml")
    keys = msgspec.convert(tomllib.loads(shown)["keys"], Keys)
    assert keys.provider == provider
    assert all(getattr(keys, name) for name in REQUIRED[provider])


def test_every_provider_has_its_page() -> None:
    assert set(PAGES) | {"vault"} == set(PROVIDERS)


def test_the_policy_on_the_page_is_the_one_that_is_tried() -> None:
    assert of_kind("openbao", "hcl") == [POLICY]


def test_the_page_on_openbao(bao: FailingBao, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server without anything of ours, and the commands of the page, one after the other."""
    root = bao.root()
    root.sys.disable_secrets_engine("transit")
    root.sys.disable_auth_method("approle")
    (tmp_path / "policy.hcl").write_text(of_kind("openbao", "hcl")[0])
    on_server = next(text for text in of_kind("openbao", "sh") if "bao secrets enable" in text)
    env = os.environ | {
        "BAO_ADDR": bao.address,
        "BAO_TOKEN": root.token,
        "BAO_CACERT": str(bao.folder / "tls" / "ca.crt"),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    said = [
        subprocess.run(shlex.split(line), check=True, cwd=tmp_path, env=env, capture_output=True, text=True).stdout
        for line in on_server.splitlines()
    ]
    secret = tmp_path / "private"
    secret.mkdir(mode=0o700)
    credential = secret / "credential.json"
    (shape,) = of_kind("openbao", "json")
    credential.write_text(shape.replace("…", said[-2].strip(), 1).replace("…", said[-1].strip(), 1))
    credential.chmod(0o600)
    (settings,) = of_kind("openbao", "toml")
    settings = settings.replace("/run/salus/credential.json", str(credential))
    settings = settings.replace("/etc/salus/bao-ca.crt", str(bao.folder / "tls" / "ca.crt"))
    (tmp_path / "keys.toml").write_text(settings.replace("https://bao.example.org:8200", bao.address))
    on_salus = next(text for text in of_kind("openbao", "sh") if "salus init" in text)
    monkeypatch.chdir(tmp_path)
    assert "openbao" in typed(on_salus)
    assert "the key provider (openbao) wraps and unwraps" in typed("salus doctor")
    monkeypatch.setenv("SALUS_KEYS_TIMEOUT_SECONDS", "0.2")
    bao.freeze()
    try:
        assert "vault: " in typed("salus keys status", code=4)
        assert "vault: " in typed("salus doctor", code=1)
    finally:
        bao.thaw()


def test_the_page_on_security_modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if shutil.which("softhsm2-util") is None:
        pytest.skip("softhsm2 is not installed (Debian package softhsm2)")
    assert f'"{SOFTHSM}"' in of_kind("pkcs11", "toml")[0]
    (tmp_path / "tokens").mkdir()
    config = tmp_path / "softhsm2.conf"
    config.write_text(f"directories.tokendir = {tmp_path / 'tokens'}\nobjectstore.backend = file\n")
    token, on_salus = of_kind("pkcs11", "sh")
    secret = tmp_path / "private"
    secret.mkdir(mode=0o700)
    (secret / "pin").write_text("87654321\n")
    (secret / "pin").chmod(0o600)
    settings = of_kind("pkcs11", "toml")[0].replace("/run/salus/pin", str(secret / "pin"))
    (tmp_path / "keys.toml").write_text(settings)
    monkeypatch.setenv("SOFTHSM2_CONF", str(config))
    monkeypatch.chdir(tmp_path)
    subprocess.run(shlex.split(token), check=True, capture_output=True)
    pkcs11 = pytest.importorskip("pkcs11")
    pkcs11.lib(str(SOFTHSM)).reinitialize()  # another test may have loaded it with tokens of its own
    said = typed(on_salus)
    assert "pkcs11" in said
    assert "at once" in said


def typed(commands: str, code: int = 0) -> str:
    """Type lines that begin with `salus`; returns what was said."""
    said = ""
    for line in commands.splitlines():
        program, *arguments = shlex.split(line)
        assert program == "salus"
        done = CliRunner().invoke(main, arguments)
        assert done.exit_code == code, done.output
        said += done.output
    return said
